#include "backup/proof.hpp"
#include "backup/target.hpp"
#include "base/text.hpp"
#include "cli/core/answers.hpp"
#include "cli/core/duration.hpp"
#include "cli/core/prompt.hpp"
#include "cli/core/temporary_dir.hpp"
#include "cli/core/terminal.hpp"
#include "cli/fleet/ssh.hpp"
#include "cli/laptop/backup_carry.hpp"
#include "cli/laptop/bring_release.hpp"
#include "cli/laptop/host_export.hpp"
#include "cli/pack/kinds.hpp"
#include "control/json.hpp"
#include "os/clock.hpp"
#include "os/disk.hpp"
#include "os/io.hpp"

#include <nlohmann/json.hpp>

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <filesystem>
#include <map>
#include <set>

namespace chillbox::cli {
namespace {

namespace fs = std::filesystem;
using backup::ArchiveName;

constexpr const char* k_compared_jobs = "200"; // so many of the newest of a site are looked at

// The programs that a target needs, on this laptop.
class ReadTarget {
public:
  static Result<ReadTarget> open(const std::string& folder, const std::string& kind) {
    if (!parse_key_name(kind))
      return fail(Code::invalid, cat("'", printable(kind, 80), "' is no target"));
    ReadTarget target(TRY(TemporaryDir::for_hooks()));
    const fs::path root = target.m_root.path();
    TRY(write_shipped_hooks(root / "usr/lib/chillbox/hooks"));
    std::error_code error;
    fs::create_directories(root / "etc/chillbox", error);
    fs::create_directory_symlink(
        fs::absolute(fs::path(folder) / k_export_target), root / "etc/chillbox/backup", error);
    if (error)
      return fail_errno("make what the target needs", error.value());
    target.m_config->target = kind;
    return target;
  }
  Result<std::vector<std::string>> list() const { return target().list(); }
  ArchiveFetch fetch(const ArchiveName& name) const {
    return {.archive = [this, name](int to) { return target().get(name.str(), to, UINT32_MAX); },
        .signature = [this, name]() -> Result<std::string> {
          const std::string file = m_root.path() + "/minisig";
          Fd fd(::open(file.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
          if (!fd)
            return fail_errno(file, errno);
          TRY(target().get(
              cat(name.str(), backup::k_signature_suffix), fd.get(), backup::k_max_signature));
          return os::real_disk().read(file, backup::k_max_signature);
        }};
  }

private:
  explicit ReadTarget(TemporaryDir root) : m_root(std::move(root)) {}
  backup::Target target() const {
    return backup::Target(
        {os::real_disk(), os::real_runner(), os::Paths{m_root.path()}, *m_config, false});
  }
  TemporaryDir m_root;
  std::unique_ptr<config::HostBackup> m_config = std::make_unique<config::HostBackup>();
};

// The names that the host has in those of its backups, for others may store at its target. Empty:
// they are not known.
std::set<std::string> hosts_of(const HostExport& old) {
  std::set<std::string> hosts;
  for (const auto& site : old.sites)
    if (const auto name = ArchiveName::parse(site.backup))
      hosts.insert(name->host);
  if (hosts.empty() && old.server_name != "_" && !old.server_name.empty())
    hosts.insert(old.server_name);
  return hosts;
}

class HostImporter {
public:
  HostImporter(Call& call, std::string folder, HostExport old, RemoteCtl to)
      : m_call(call), m_folder(std::move(folder)), m_old(std::move(old)), m_to(std::move(to)) {}
  Result<void> run();

private:
  Result<void> look();
  Result<void> agree();
  void find_backups();
  Result<void> bring_history();
  Result<void> bring_jobs(const control::JobList& list);
  Result<void> site(const ExportedSite& old, ImportedSite& done);
  Result<void> deploy(const ExportedSite& old);
  Result<std::optional<CarriedArchive>> newest(const ExportedSite& old);
  Result<void> data(const ExportedSite& old, ImportedSite& done);
  Result<bool> restore(const std::string& site, const control::Backup& backup);
  Result<void> serves(const std::string& site);
  Result<void> print_end(const HostImport& report);
  void print_left();
  void say(std::string_view what, std::string_view text) const;

  Call& m_call;
  std::string m_folder;
  HostExport m_old;
  RemoteCtl m_to;
  control::Facts m_facts;
  std::optional<crypto::MinisignPublicKey> m_key;
  std::optional<crypto::AgeIdentity> m_identity;
  std::optional<ReadTarget> m_target;
  std::map<std::string, ArchiveName> m_newest; // by site
};

void HostImporter::say(std::string_view what, std::string_view text) const {
  m_call.terminal.print_status(cat(m_call.terminal.err(Style::bold, what),
      std::string(what.size() < 12 ? 12 - what.size() : 1, ' '), text));
}

Result<void> HostImporter::look() {
  m_key = TRY_IN(k_export_file, crypto::MinisignPublicKey::parse(m_old.key));
  m_facts = TRY(m_to.ask<control::Facts>({"facts"}));
  if (has_another_key(m_to.target(), m_facts.recipient))
    return fail(
        Code::denied, cat(m_to.name(), " has another key than the one that is remembered of it"));
  if (m_facts.sealed)
    return fail(Code::sealed,
        cat(m_to.name(), " is locked: chillboxctl unlock -H ", m_to.name(),
            ". Nothing was changed"));
  find_backups();
  return {};
}

// What lies in the folder, and what the host has stored since it was written. A name proves
// nothing: who signed an archive, and as what, is looked at before anything of it is used.
void HostImporter::find_backups() {
  std::vector<std::string> names;
  const fs::path folder(m_folder);
  std::error_code error;
  for (const auto& entry : fs::recursive_directory_iterator(folder, error))
    names.push_back(entry.path().lexically_relative(folder).string());
  if (!m_old.target.empty()) {
    auto target = ReadTarget::open(m_folder, m_old.target);
    auto listed = target ? target->list() : std::unexpected(target.error());
    if (listed) {
      m_target.emplace(std::move(*target));
      names.insert(names.end(), listed->begin(), listed->end());
    } else {
      say("target",
          cat("not read: ", listed.error().message, "; what is in ", m_folder, " is used"));
    }
  }
  std::ranges::sort(names);
  const auto ours = hosts_of(m_old);
  for (const auto& text : names) {
    const auto name = ArchiveName::parse(text);
    if (!name || (!ours.empty() && !ours.contains(name->host)) ||
        !std::ranges::binary_search(names, cat(text, backup::k_signature_suffix)))
      continue;
    const auto [at, added] = m_newest.try_emplace(name->site.str(), *name);
    if (!added && at->second.serial < name->serial)
      at->second = *name;
  }
}

Result<void> HostImporter::agree() {
  const int64_t now = os::real_clock().wall_ms();
  for (const auto& site : m_old.sites) {
    const auto found = m_newest.find(site.site);
    say(site.site,
        cat(site.version, ", ",
            found == m_newest.end() ? "no backup"
                                    : cat("data of ", format_when(found->second.taken_ms, now)),
            site.root.empty() ? "" : cat(", from ", site.root)));
  }
  return must_agree(m_call,
      cat("Make ", m_to.name(), " what ", m_old.host,
          " was? Sites that it has already get these data; "
          "theirs stay as snapshots."),
      false);
}

Result<void> HostImporter::bring_jobs(const control::JobList& list) {
  const Fd jobs(::memfd_create("jobs", MFD_CLOEXEC));
  const std::string text = control::to_text(list);
  std::string_view left = text;
  if (!jobs || os::write_fully(jobs.get(), left) != 0 || ::lseek(jobs.get(), 0, SEEK_SET) != 0)
    return fail_errno("the history in memory", errno);
  const Fd nothing(::open("/dev/null", O_WRONLY | O_CLOEXEC));
  const int code = TRY(run_on(m_to.target().host,
      {.words = {"jobs", "import", "--from", m_old.host},
          .input = jobs.get(),
          .output = nothing.get()}));
  return code == 0
      ? Result<void>{}
      : fail(code_of_exit(code), cat(m_to.name(), " did not take the history of ", m_old.host));
}

// Before the first deploy, so that it comes first in the list of jobs; the oldest before the
// others, in pieces that the host takes at once.
Result<void> HostImporter::bring_history() {
  constexpr size_t k_at_once = 1000;
  const std::string file = cat(m_folder, "/", k_export_jobs);
  if (!os::real_disk().exists(file))
    return {};
  const std::string text = TRY(os::real_disk().read(file, k_max_export));
  const auto all = TRY_IN(
      file, control::from_json<control::JobList>(TRY_IN(file, parse_json(text, k_max_export))));
  for (size_t end = all.jobs.size(); end > 0;) { // newest first
    const size_t from = end > k_at_once ? end - k_at_once : 0;
    control::JobList piece;
    piece.jobs.assign(all.jobs.begin() + static_cast<ptrdiff_t>(from),
        all.jobs.begin() + static_cast<ptrdiff_t>(end));
    TRY(bring_jobs(piece));
    end = from;
  }
  return {};
}

Result<void> HostImporter::deploy(const ExportedSite& old) {
  const auto facts = TRY(m_to.ask<control::Facts>({"facts", "--", old.site}));
  if (facts.site && !facts.site->version.empty()) {
    if (facts.site->version != old.version)
      say("release",
          cat(m_to.name(), " has ", facts.site->version, ", ", m_old.host, " had ", old.version));
    return {};
  }
  if (old.root.empty())
    return fail(Code::not_found,
        cat("its project is not known here: deploy it with -H ", m_to.name(),
            " from where it is, then run the same command again"));
  const fs::path before = fs::current_path();
  std::error_code error;
  fs::current_path(old.root, error);
  if (error)
    return fail(Code::not_found,
        cat("its project ", old.root, " cannot be entered: ", error.message(),
            "; deploy it with -H ", m_to.name(),
            " from where it is, then run the same command again"));
  const auto brought = bring_release(m_call, old.site, m_to.name(), old.env, true);
  fs::current_path(before, error);
  return brought;
}

Result<std::optional<CarriedArchive>> HostImporter::newest(const ExportedSite& old) {
  const auto found = m_newest.find(old.site);
  const uint64_t serial = found == m_newest.end() ? 0 : found->second.serial;
  if (serial < old.serial)
    return fail(Code::denied,
        cat("backup ", old.serial, " was there when ", m_old.host, " was exported, and is gone: ",
            serial == 0 ? "there is none" : cat("the newest is ", serial),
            ". To use an older one all the same: chillboxctl backup push, and restore"));
  if (serial == 0)
    return std::optional<CarriedArchive>();
  const ArchiveName& name = found->second;
  auto here = open_archive(m_folder, name, *m_key);
  if (here || !m_target)
    return std::optional(TRY(std::move(here)));
  auto brought = bring_archive(m_folder, name, *m_key, m_target->fetch(name));
  if (!brought && brought.error().code == Code::not_found && here.error().code != Code::not_found)
    return std::unexpected(std::move(here).error());
  return std::optional(TRY(std::move(brought)));
}

bool changes_data(const control::Job& job) {
  return job.state == control::JobState::done &&
      (job.kind == control::JobKind::restore ||
          (job.kind == control::JobKind::rollback && job.options.with_data));
}

// Restored once, while the site is there: the host knows by the digest of the archive. False: its
// data were replaced since, by somebody who wanted that.
Result<bool> HostImporter::restore(const std::string& site, const control::Backup& backup) {
  auto jobs = TRY(m_to.ask<control::JobList>({"jobs", "-n", k_compared_jobs, "--", site})).jobs;
  const auto removed = std::ranges::find(jobs, control::JobKind::remove, &control::Job::kind);
  jobs.erase(removed, jobs.end()); // newest first
  const auto before = std::ranges::find_if(jobs, [&](const control::Job& job) {
    return job.kind == control::JobKind::restore && job.sha256 == backup.sha256 &&
        (control::is_open(job.state) || job.state == control::JobState::done);
  });
  if (before == jobs.end())
    (void)TRY(m_to.run({"restore", "-q", "--yes", "--", site, std::to_string(backup.serial)}));
  else if (control::is_open(before->state)) // of the command that was cut
    (void)TRY(m_to.run({"job", "-q", "-f", "--", before->id}));
  return before == jobs.end() || std::none_of(jobs.begin(), before, changes_data);
}

Result<void> HostImporter::data(const ExportedSite& old, ImportedSite& done) {
  auto archive = TRY(newest(old));
  if (!archive) {
    say(old.site, "has no backup: no data are restored");
    return {};
  }
  const auto list = TRY(m_to.ask<control::BackupList>({"backup", "list", "--", old.site}));
  const auto there = std::ranges::find_if(list.backups, [&](const control::Backup& b) {
    return b.serial == archive->name.serial && b.taken_ms / 1000 == archive->name.taken_ms / 1000;
  });
  const auto backup = there != list.backups.end()
      ? *there
      : TRY(push_archive(m_to, m_facts.recipient, *archive, *m_identity));
  if (!TRY(restore(old.site, backup))) {
    say("data",
        cat(old.site, " keeps what it has: backup ", backup.serial,
            " was restored before, and its data were replaced since: chillboxctl restore ",
            old.site, " ", backup.serial, " -H ", m_to.name(), " brings them back"));
    return {};
  }
  done.serial = backup.serial;
  done.taken_ms = backup.taken_ms;
  return {};
}

Result<void> HostImporter::serves(const std::string& site) {
  const auto sites = TRY(m_to.ask<control::SiteList>({"sites"}));
  const auto found = std::ranges::find(sites.sites, site, &control::SiteStatus::site);
  if (found == sites.sites.end() || found->state != control::SiteState::live ||
      !found->down.empty())
    return fail(Code::unhealthy,
        cat("it is not served: ",
            found == sites.sites.end() ? "there is no such site"
                : found->down.empty()  ? std::string(control::name(found->state))
                                       : printable(found->down, 300)));
  return {};
}

Result<void> HostImporter::site(const ExportedSite& old, ImportedSite& done) {
  TRY(deploy(old));
  TRY(data(old, done));
  TRY(serves(old.site));
  say("serves",
      cat(old.site,
          done.serial == 0 ? ""
                           : cat(", with its data of ",
                                 format_when(done.taken_ms, os::real_clock().wall_ms()))));
  return {};
}

// What is a host's own, and does not come with its sites.
void HostImporter::print_left() {
  const auto list = m_to.ask<control::BackupList>({"backup", "list"});
  if (list && list->target.empty())
    say("left",
        cat(m_to.name(),
            " makes no backups: [backup] of its chillboxd.toml, and its target's "
            "settings in /etc/chillbox/backup",
            m_old.target.empty()
                ? ""
                : cat(", as in ", m_folder, "/", k_export_target, "/", m_old.target)));
  say("left",
      cat("not brought from ", m_old.host,
          ": the rest of chillboxd.toml, senders of webhooks, people, targets of notices, tokens of "
          "metrics"));
}

Result<void> HostImporter::print_end(const HostImport& report) {
  const size_t bad = static_cast<size_t>(std::ranges::count_if(
      report.sites, [](const ImportedSite& site) { return !site.problem.empty(); }));
  if (m_call.terminal.json())
    m_call.terminal.print(answer_text("host-import", report));
  else {
    for (const auto& site : report.sites)
      if (!site.problem.empty())
        m_call.terminal.print_error(cat(site.site, ": ", site.problem));
    m_call.terminal.print(cat(report.sites.size() - bad, " of ", report.sites.size(), " sites of ",
        m_old.host, " are on ", m_to.name(), ", after ", report.seconds, " s"));
    for (const auto& site : m_old.sites)
      if (!site.names.empty())
        m_call.terminal.print_status(cat("In DNS, point ", join(site.names, ", "), " to ",
            address_of(m_to.target().host.target)));
  }
  if (!m_call.terminal.json())
    print_left();
  if (bad == 0)
    return {};
  return fail(Code::failure, cat(bad, " sites failed: run the same command again to continue"));
}

Result<void> HostImporter::run() {
  TRY(look());
  TRY(agree());
  m_identity = TRY(backup_identity(m_call, m_call.args.text("identity")));
  const auto begun = std::chrono::steady_clock::now();
  TRY(bring_history());
  HostImport report{.host = m_to.name(), .from = m_old.host};
  for (const auto& old : m_old.sites) {
    ImportedSite done{.site = old.site, .version = old.version};
    if (const auto brought = site(old, done); !brought)
      done.problem = brought.error().message;
    report.sites.push_back(std::move(done));
  }
  report.seconds = static_cast<uint64_t>(
      std::chrono::duration_cast<std::chrono::seconds>(std::chrono::steady_clock::now() - begun)
          .count());
  return print_end(report);
}

} // namespace

Result<void> import_host(Call& call) {
  const Places places = Places::find();
  const std::string folder = call.args.text("DIR");
  auto text = read_own_file(cat(folder, "/", k_export_file), k_max_export);
  if (!text && text.error().code == Code::not_found)
    return fail(Code::not_found,
        cat(printable(folder, 500), " has no ", k_export_file,
            ": `host export` writes one at its end"));
  auto old = TRY_IN(printable(folder, 500), control::read_answer<HostExport>(TRY(std::move(text))));
  for (const auto& site : old.sites)
    (void)TRY_IN(k_export_file, SiteName::parse(site.site));
  old.host = name_of_exported(old.host); // an older chillboxctl wrote what was typed
  auto to = TRY(RemoteCtl::open(places, TRY(target_named(places, call.args.text("to")))));
  return HostImporter(call, folder, std::move(old), std::move(to)).run();
}

} // namespace chillbox::cli
