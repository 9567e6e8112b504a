// A backup as the data that it was made of.
#include "backup/backups.hpp"

#include "base/log.hpp"
#include "base/text.hpp"

#include <algorithm>
#include <filesystem>

namespace chillbox::backup {
namespace {

using control::Backup;

constexpr size_t k_named = 5; // of those that there are

bool is_there(const Backup& b) { // stored, or on this host
  return b.gone_ms == 0;
}

} // namespace

// What a restore finds damaged is no longer proven either.
void Backups::unprove(const Backup& b, const std::string& why) {
  auto all = m_records.of(b.site);
  if (!all)
    return;
  const auto there = std::ranges::find(all->backups, b.serial, &Backup::serial);
  if (there == all->backups.end() || there->proven_ms == 0)
    return;
  there->proven_ms = 0;
  auto noted = m_records.put(*there);
  const auto newest = std::ranges::find_if(
      all->backups, [](const Backup& one) { return one.stored_ms != 0 && is_there(one); });
  if (noted && newest == there) // of which the state is
    noted = m_records.change_state(
        b.site, [&](control::BackupState& state) { state.unproven = printable(why, 1'000); });
  if (!noted)
    log::error(cat("backup of '", b.site.str(), "': ", noted.error().message));
  log::error(cat("backup of '", b.site.str(), "' is not proven any more: ", why));
  if (m_host.changed)
    m_host.changed();
}

Result<Backup> Backups::find(const SiteName& site, std::optional<uint64_t> serial) {
  const auto all = TRY(m_records.of(site)).backups;
  std::vector<std::string> there;
  for (const auto& b : all) {
    if (!is_there(b))
      continue;
    if (!serial || b.serial == *serial)
      return b;
    if (there.size() < k_named)
      there.push_back(cat(b.serial, " of ", rfc3339(b.taken_ms / 1000)));
  }
  if (!serial)
    return fail(Code::not_found, cat("there is no backup of '", site.str(), "'"));
  return fail(Code::not_found,
      cat("there is no backup ", *serial, " of '", site.str(),
          "': ", there.empty() ? "there is none" : cat("the newest are ", join(there, ", "))));
}

Result<Backup> Backups::find(const SiteName& site, const std::string& sha256) {
  for (const auto& b : TRY(m_records.of(site)).backups)
    if (is_there(b) && b.sha256 == sha256)
      return b;
  return fail(Code::not_found, cat("the backup of '", site.str(), "' is gone meanwhile"));
}

// For the archive and what is in it, next to the data as they are.
Result<void> Backups::room_for(const Backup& b, const std::string& dir) {
  const auto space = TRY(m_host.disk.space(dir));
  const uint64_t need = b.size + b.bytes;
  if (space.free_bytes < need)
    return fail(Code::preflight,
        cat("no space on the disk of ", dir, ": need ", human_size(need),
            " (the archive and what is in it), have ", human_size(space.free_bytes)));
  if (space.total_inodes != 0 && space.free_inodes < b.files)
    return fail(Code::preflight,
        cat("no inodes on the disk of ", dir, ": need ", b.files, ", have ", space.free_inodes));
  return {};
}

// An archive lies on this host until it is stored. As large as the last one and a quarter more, or
// as the data.
Result<void> Backups::room_to_make(const SiteName& site) {
  const auto before = TRY(m_records.of(site)).backups;
  const std::string dir = m_host.paths.state(), data = m_host.paths.data(site);
  uint64_t need = before.empty() ? 0 : before.front().size + before.front().size / 4;
  if (before.empty() && m_host.disk.exists(data))
    if (const auto size = m_host.disk.measure(data)) // while the site writes to them
      need = std::min(size->bytes, m_host.config.data_max);
  const auto space = TRY(m_host.disk.space(dir));
  if (space.free_bytes >= need)
    return {};
  return fail(Code::preflight,
      cat("no space on the disk of ", dir, ": need ", human_size(need),
          before.empty() ? " (the data)" : " (the last backup and a quarter more)", ", have ",
          human_size(space.free_bytes)));
}

Result<std::vector<std::string>> Backups::put_back(
    const Backup& b, const std::string& tree, const os::User& owner) {
  const auto name = ArchiveName::parse(b.name);
  if (!name)
    return fail(Code::corrupt, cat("'", printable(b.name), "' is no name of a backup"));
  const std::string above = std::filesystem::path(tree).parent_path();
  TRY(room_for(b, above));
  const Prover host = prover();
  const std::string path = tree + ".get";
  std::optional<GotArchive> got; // nullopt: it is on this host
  if (b.stored_ms != 0)
    got = TRY(get_archive(host, *name, path));
  auto made = [&]() -> Result<Checked> {
    const auto archive =
        TRY(got ? backup::verify(host, *name, path, std::move(*got)) : open_local(host, *name));
    if (archive.statement.sha256.str() != b.sha256)
      return fail(
          Code::denied, cat(b.name, ": it is not the archive that was stored under this name"));
    const auto key = TRY(unseal(host, archive));
    return backup::put_back(host, archive, key, tree, owner);
  }();
  (void)m_host.disk.remove(path);
  if (!made) {
    (void)m_host.disk.remove_tree(tree);
    if (is_verdict(made.error().code))
      unprove(b, made.error().message);
    return std::unexpected(std::move(made).error());
  }
  return std::move(made->remarks);
}

} // namespace chillbox::backup
