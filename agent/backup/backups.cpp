#include "backup/backups.hpp"

#include "base/fd.hpp"
#include "base/log.hpp"
#include "base/text.hpp"
#include "os/host_layout.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <ranges>
#include <set>

namespace chillbox::backup {
namespace {

using control::Backup;

// Of a site, while its target does not answer.
constexpr size_t k_most_waiting = 7;

std::string local_path(const os::Paths& paths, const Backup& b) {
  return cat(backups_dir(paths), "/", b.site.str(), "/", b.name.substr(b.name.rfind('/') + 1));
}

bool waits(const Backup& b) {
  return b.stored_ms == 0 && b.gone_ms == 0;
}

} // namespace

Backups::Backups(Host host)
    : m_host(std::move(host)),
      m_target({m_host.disk, m_host.runner, m_host.paths, m_host.config, m_host.as_root, &m_stop}),
      m_records(m_host.store) {}

// Nothing of the last daemon runs any more, so nobody writes to these.
void Backups::begin() {
  const std::string dir = backups_dir(m_host.paths);
  for (const char* scratch : {k_work_dir, k_proof_dir})
    (void)m_host.disk.remove_tree(cat(dir, "/", scratch));
  for (const auto& name : m_host.disk.list(dir).value_or(std::vector<std::string>{}))
    if (const auto site = SiteName::parse(name))
      sweep(*site);
  remember_retry();
}

// What no backup is that waits to be stored: half of one, or a signature whose archive never came
// to its name.
void Backups::sweep(const SiteName& site) {
  const auto record = m_records.of(site);
  if (!record)
    return log::error(cat("backup of '", site.str(), "': ", record.error().message));
  std::set<std::string> waiting;
  for (const auto& b : record->backups)
    if (waits(b)) {
      const std::string path = local_path(m_host.paths, b);
      waiting.insert({path, cat(path, k_signature_suffix)});
    }
  const std::string dir = cat(backups_dir(m_host.paths), "/", site.str());
  for (const auto& name : m_host.disk.list(dir).value_or(std::vector<std::string>{}))
    if (!waiting.contains(cat(dir, "/", name)))
      (void)m_host.disk.remove_tree(cat(dir, "/", name));
}

void Backups::stop() {
  m_stop = true;
  m_thread.wait();
  const std::lock_guard work(m_work);
}

// By the minute, so that it also grows where the store was lost, and never by less than one.
Result<uint64_t> Backups::next_serial(const SiteName& site) {
  const auto before = TRY(m_records.of(site)).backups;
  const auto minutes = static_cast<uint64_t>(std::max<int64_t>(1, m_host.clock.wall() / 60));
  return std::max(minutes, before.empty() ? 1 : before.front().serial + 1);
}

void Backups::note(const SiteName& site, const std::string& problem) {
  const auto noted = m_records.change_state(site, [&](control::BackupState& state) {
    state.tried_ms = m_host.clock.wall_ms();
    state.problem = printable(problem, 1'000);
  });
  if (!noted)
    log::error(cat("backup of '", site.str(), "': ", noted.error().message));
  else if (is_due(site)) // not before: what nobody knows of is tried again
    change_due([&](auto& due) { due.erase(site); });
  if (m_host.changed)
    m_host.changed();
}

// The oldest of those that wait to be stored, if there are more than `but`. False: it stays.
bool Backups::forget_oldest(const SiteName& site, size_t but) {
  const auto record = m_records.of(site);
  if (!record || static_cast<size_t>(std::ranges::count_if(record->backups, waits)) <= but)
    return false;
  Backup gone = *std::ranges::find_if(std::views::reverse(record->backups), waits);
  gone.gone_ms = m_host.clock.wall_ms();
  if (!m_records.put(gone)) // first: what no record names goes at the next start
    return false;
  const std::string path = local_path(m_host.paths, gone);
  (void)m_host.disk.remove(path);
  (void)m_host.disk.remove(cat(path, k_signature_suffix));
  log::warn(cat("backup of '", site.str(), "': that of ", rfc3339(gone.taken_ms / 1000),
      ", which could never be stored, is deleted for newer ones"));
  return true;
}

// The oldest first. One whose archive is gone waits no longer, and one that the target refuses is
// in no other one's way.
Result<void> Backups::store_waiting(const SiteName& site) {
  auto all = TRY(m_records.of(site)).backups;
  Result<void> refused;
  for (auto& b : std::views::reverse(all)) {
    if (!waits(b))
      continue;
    if (m_host.disk.exists(local_path(m_host.paths, b))) {
      auto stored = store_one(b);
      if (!stored && stored.error().code != Code::denied)
        return stored;
      if (!stored && refused)
        refused = std::move(stored);
      continue;
    }
    b.gone_ms = m_host.clock.wall_ms();
    TRY(m_records.put(b));
  }
  return refused;
}

// The signature last: what has none is no backup.
Result<void> Backups::store_one(Backup& b) {
  const std::string path = local_path(m_host.paths, b);
  const std::string signature = cat(path, k_signature_suffix);
  for (const auto& [file, name] :
      {std::pair{path, b.name}, std::pair{signature, cat(b.name, k_signature_suffix)}}) {
    const Fd fd(::open(file.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC));
    struct stat st{};
    if (!fd || ::fstat(fd.get(), &st) != 0)
      return fail_errno(file, errno);
    TRY(lend(fd.get(), m_host.as_root));
    TRY(m_target.put(name, fd.get(), static_cast<uint64_t>(st.st_size)));
  }
  b.stored_ms = m_host.clock.wall_ms();
  TRY(m_records.put(b));
  (void)m_host.disk.remove(path);
  (void)m_host.disk.remove(signature);
  return {};
}

Result<Backup> Backups::make(const SiteName& site) {
  (void)TRY(m_target.program());
  const auto row = TRY(m_host.store.site(site));
  if (!row)
    return fail(Code::not_found, cat("no site '", site.str(), "' on this host"));
  const Taker taker{m_host.disk, m_host.runner, m_host.clock, m_host.paths, m_host.config,
      m_host.host_name, m_host.as_root, m_host.prepare, &m_stop};
  const auto older = store_waiting(site);
  if (!older && older.error().code == Code::interrupted && m_stop)
    return std::unexpected(older.error());
  auto room = room_to_make(site);
  while (!room && forget_oldest(site, 1))
    room = room_to_make(site);
  TRY(room);
  const uint64_t serial = TRY(next_serial(site));
  const auto taken = TRY(
      take(taker, {.site = site, .release = row->live, .serial = serial, .stopped = row->stopped}));
  Backup b{.site = site,
      .serial = taken.name.serial,
      .name = taken.name.str(),
      .release = row->live,
      .size = taken.size,
      .bytes = taken.report.bytes,
      .files = taken.report.files,
      .sha256 = taken.sha256.str(),
      .taken_ms = taken.name.taken_ms,
      .warnings = join(taken.report.warnings, "\n")};
  TRY(m_records.put(b));
  for (const auto& warning : taken.report.warnings)
    log::warn(cat("backup of '", site.str(), "': ", warning));
  while (forget_oldest(site, k_most_waiting)) {}
  if (const auto stored = store_one(b); !stored)
    return fail(stored.error().code,
        cat("taken, but not stored: ", stored.error().message, "; it is kept as ",
            local_path(m_host.paths, b), " and stored with the next one"));
  TRY_IN("stored, but not an older one that waits", older);
  return b;
}

Result<Backup> Backups::create(const SiteName& site) {
  const std::unique_lock work(m_work, std::try_to_lock);
  if (!work)
    return fail(Code::busy, "another backup is being made or proven on this host");
  return create_now(site);
}

Result<Backup> Backups::create_now(const SiteName& site) {
  auto made = make(site);
  if (!made && made.error().code == Code::interrupted && m_stop)
    return made; // if it was due, the next daemon makes it
  note(site, made ? "" : made.error().message);
  if (!made)
    log::error(cat("backup of '", site.str(), "': ", made.error().message));
  return made;
}

Prover Backups::prover() const {
  return {m_host.disk, m_host.runner, m_host.paths, m_host.config, m_host.as_root, m_target,
      m_host.file_key, &m_stop};
}

// Its own directory, which goes with it whatever happens.
Result<Checked> Backups::check_stored(const Backup& b, const ArchiveName& name, GotArchive got) {
  const std::string tree = cat(backups_dir(m_host.paths), "/", k_proof_dir, "/", b.site.str());
  const Prover host = prover();
  const auto archive = TRY(backup::verify(host, name, got_path(name), std::move(got)));
  auto checked = [&]() -> Result<Checked> {
    if (archive.statement.sha256.str() != b.sha256)
      return fail(
          Code::denied, cat(b.name, ": it is not the archive that was stored under this name"));
    const auto key = TRY(unseal(host, archive));
    TRY(unpack(host, archive, key, tree));
    return check(host, archive, tree);
  }();
  (void)m_host.disk.remove(archive.path);
  (void)m_host.disk.remove_tree(tree);
  if (checked && !checked->damaged.empty())
    return fail(Code::corrupt, cat(b.name, ": ", join(checked->damaged, "; ")));
  return checked;
}

std::string Backups::got_path(const ArchiveName& name) const {
  return archive_path(m_host.paths, name) + ".get";
}

// What is found damaged, or another's, is not proven any more, whatever it was before. That the
// target refuses to give it says nothing of it.
Result<Backup> Backups::prove(const SiteName& site) {
  (void)TRY(m_target.program());
  const auto all = TRY(m_records.of(site)).backups;
  const auto newest =
      std::ranges::find_if(all, [](const Backup& b) { return b.stored_ms != 0 && b.gone_ms == 0; });
  if (newest == all.end())
    return fail(Code::not_found,
        cat("no backup of '", site.str(), "' is stored: `chillboxctl backup create ", site.str(),
            "`"));
  Backup b = *newest;
  const auto name = ArchiveName::parse(b.name);
  if (!name)
    return fail(Code::corrupt, cat("'", printable(b.name), "' is no name of a backup"));
  const std::string dir = backups_dir(m_host.paths);
  for (const auto& path : {dir, cat(dir, "/", site.str())})
    TRY(m_host.disk.make_dir(path, 0700, os::root_owner(m_host.paths)));
  auto got = TRY(get_archive(prover(), *name, got_path(*name)));
  const auto checked = check_stored(b, *name, std::move(got));
  if (checked)
    for (const auto& remark : checked->remarks)
      log::warn(cat("backup of '", site.str(), "': ", remark));
  else if (b.proven_ms == 0 || !is_verdict(checked.error().code))
    return std::unexpected(checked.error());
  b.proven_ms = checked ? m_host.clock.wall_ms() : 0;
  TRY(m_records.put(b));
  if (!checked)
    return std::unexpected(checked.error());
  return b;
}

Result<Backup> Backups::verify(const SiteName& site) {
  const std::unique_lock work(m_work, std::try_to_lock);
  if (!work)
    return fail(Code::busy, "another backup is being made or proven on this host");
  return verify_now(site);
}

Result<Backup> Backups::verify_now(const SiteName& site) {
  auto proven = prove(site);
  if (!proven && proven.error().code == Code::interrupted && m_stop)
    return proven;
  if (const auto record = m_records.of(site);
      !proven && record && std::ranges::none_of(record->backups, &Backup::stored_ms))
    return proven; // nothing was stored yet, which says nothing of what will be
  const bool locked = !proven && proven.error().code == Code::sealed;
  const auto noted = m_records.change_state(site, [&](control::BackupState& state) {
    if (proven || is_verdict(proven.error().code))
      state.checked_ms = m_host.clock.wall_ms();
    if (!locked) // of which nothing was said
      state.unproven = proven ? "" : printable(proven.error().message, 1'000);
  });
  if (!noted)
    log::error(cat("backup of '", site.str(), "': ", noted.error().message));
  if (!proven && !locked)
    log::error(cat("backup of '", site.str(), "' is not proven: ", proven.error().message));
  if (m_host.changed)
    m_host.changed();
  return proven;
}

Result<std::vector<control::BackupState>> Backups::states() {
  std::vector<control::BackupState> states;
  for (const auto& row : TRY(m_host.store.sites())) {
    auto state = TRY(m_records.state(row.site));
    if (!row.live.empty() && !m_host.config.target.empty()) {
      state.next_ms = m_host.next_due(m_host.clock.wall()).value_or(0) * 1000;
      state.stale = stale(state);
    }
    states.push_back(std::move(state));
  }
  return states;
}

Result<control::BackupList> Backups::list(const std::optional<SiteName>& site) {
  control::BackupList list{.target = m_host.config.target, .key = {}, .sites = {}, .backups = {}};
  list.sites = TRY(states());
  if (const auto key = public_key(m_host.disk, m_host.paths))
    list.key = key->to_line();
  std::erase_if(list.sites, [&](const auto& state) { return site && state.site != *site; });
  for (const auto& state : list.sites)
    for (auto& b : TRY(m_records.of(state.site)).backups)
      if (b.gone_ms == 0)
        list.backups.push_back(std::move(b));
  return list;
}

config::HostBackup read_settings(os::Disk& disk, const os::Paths& paths) {
  constexpr size_t k_max_file = 1024 * 1024;
  const auto text = disk.read(paths.config_file(), k_max_file);
  auto read = text ? config::parse_host_backup(*text, "chillboxd.toml") : config::HostBackup{};
  return read ? std::move(*read) : config::HostBackup{};
}

std::string name_of_host(const std::string& server_name) {
  if (server_name != "_")
    return server_name;
  std::array<char, 256> name{};
  if (::gethostname(name.data(), name.size() - 1) != 0 || name[0] == 0)
    return "host";
  return name.data();
}

} // namespace chillbox::backup
