#include "rollout/snapshots.hpp"

#include "rollout/install.hpp"
#include "rollout/redis.hpp"
#include "rollout/shared_data.hpp"

#include "base/log.hpp"
#include "base/text.hpp"
#include "base/unsynced.hpp"
#include "control/messages.hpp"
#include "openrc/slots.hpp"
#include "os/exchange.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

namespace chillbox::rollout {
namespace {

constexpr size_t k_max_about = 64 * 1024;
constexpr uint64_t k_entries_max = 500'000; // a copy of so many takes half a minute
constexpr uint64_t k_copier_memory = 256ULL << 20;
constexpr os::Millis k_look_wait{20'000}; // at half a million entries, on a slow disk
constexpr std::string_view k_required = "required", k_off = "off"; // config.snapshots

std::string dir_of(const os::Paths& paths, const SiteName& site, uint64_t number) {
  return cat(snapshots_dir(paths, site), "/", number);
}
std::string about_file(const os::Paths& paths, const SiteName& site, uint64_t number) {
  return dir_of(paths, site, number) + "/about.json";
}
std::string pending_dir(const os::Paths& paths, const SiteName& site) {
  return cat(paths.run(), "/snapshots/", site.str());
}
std::string pending_file(const os::Paths& paths, const SiteName& site, uint64_t number) {
  return cat(pending_dir(paths, site), "/", number, ".json");
}

std::vector<uint64_t> numbers(HostContext& host, const SiteName& site) {
  std::vector<uint64_t> all;
  for (const auto& name :
      host.disk.list(snapshots_dir(host.paths, site)).value_or(std::vector<std::string>{}))
    if (const auto number = parse_u64(name))
      all.push_back(*number);
  std::ranges::sort(all, std::greater<>());
  return all;
}

std::optional<Snapshot> read_about(HostContext& host, const std::string& path) {
  const auto text = host.disk.read(path, k_max_about);
  const auto snapshot = text ? control::read_answer<Snapshot>(*text) : fail(Code::not_found, "");
  return snapshot && !snapshot->release.empty() ? std::optional(*snapshot) : std::nullopt;
}

std::optional<Snapshot> find_snapshot(HostContext& host, const SiteName& site, uint64_t number) {
  auto found = read_about(host, about_file(host.paths, site, number));
  if (!found)
    found = read_about(host, pending_file(host.paths, site, number));
  if (found)
    found->number = number;
  return found;
}

std::string redis_client(HostContext& host, const SiteName& site) {
  if (!openrc::accept_queue(redis_socket(host.paths, site)))
    return "";
  for (const char* path : {"/usr/bin/redis-cli", "/usr/bin/valkey-cli", "/usr/local/bin/redis-cli",
           "/usr/local/bin/valkey-cli"})
    if (host.disk.exists(host.paths.root + path))
      return path;
  return "";
}

// Of all that is on this host it sees the data and where their copy goes.
Result<CopyReport> run_copier(HostContext& host, const os::User& user, const CopyOrder& order,
    os::Millis limit, const std::function<bool()>& cancelled) {
  os::Command c;
  c.argv = {"/proc/self/exe", "--copier", to_text(order)};
  c.env = {{"PATH", "/usr/bin:/bin"}, {"LANG", "C.UTF-8"}};
  c.timeout = limit;
  c.cancelled = cancelled;
  if (host.as_root) {
    c.user = user;
    c.contained = c.no_network = true;
    c.limits.memory_max = k_copier_memory;
    c.limits.tasks_max = 16;
    c.view = os::view_of({});
    for (const auto& dir : {order.from, order.to})
      if (!dir.empty())
        c.view.binds.push_back({dir, dir, true});
  }
  const auto exit = TRY_IN("the copier", host.runner.run(c));
  if (!exit.ok())
    return fail(Code::failure,
        cat("the copier ended with code ", exit.code, exit.err.empty() ? "" : ": ",
            printable(trim(exit.err), 300)));
  return parse_report(std::string(trim(exit.out)));
}

// The same owner, group and mode as the data, and the folders that NGINX serves: what is made in
// those gets its group.
Result<void> make_target(JobContext& r, uint64_t number) {
  const std::string to = snapshot_data(r.host.paths, r.job.site, number);
  (void)TRY(make_snapshot_dir(r.host, r.job.site, number));
  TRY(r.host.disk.make_dir(to, 0700, {r.release.user.uid, r.release.user.gid}));
  const auto old = TRY(load(r.host, *r.old));
  return share_folders(r.host, old, to);
}

std::string told(const Snapshot& s, const CopyReport& report, int64_t took_ms) {
  return cat("snapshot ", s.number, " of the data: ", report.entries,
      report.entries == 1 ? " entry, " : " entries, ", human_size(report.bytes),
      report.cloned > 0 ? cat(", ", human_size(report.cloned), " of it cloned") : "", ", in ",
      took_ms, " ms");
}

// Whether one can be made: what speaks against it.
std::optional<std::string> hindrance(JobContext& r, const CopyReport& data) {
  const auto& host = r.host;
  const std::string dir = host.paths.state();
  const uint64_t copied = os::can_clone(dir) ? data.databases : data.bytes;
  if (copied > host.config.snapshot_max)
    return cat("the data are ", human_size(copied), ", more than data.snapshot_max, ",
        human_size(host.config.snapshot_max));
  const auto space = host.disk.space(dir);
  const uint64_t need = space ? copied + space->total_bytes / 100 * host.config.reserve_percent : 0;
  if (space && space->free_bytes < need)
    return cat("no space on the disk of ", dir, ": need ", human_size(need), " (the data and ",
        host.config.reserve_percent, " % reserve), have ", human_size(space->free_bytes));
  if (space && space->total_inodes != 0 && space->free_inodes < data.entries)
    return cat(
        "no inodes on the disk of ", dir, ": need ", data.entries, ", have ", space->free_inodes);
  if (!os::same_filesystem(dir, host.paths.data(r.job.site)))
    return cat(host.paths.data(r.job.site), " and ", dir,
        " are two file systems, between which no rollback can exchange");
  return std::nullopt;
}

bool wants_snapshot(const JobContext& r) {
  return r.host.config.snapshots != k_off && r.old &&
      std::ranges::any_of(r.release.site.services,
          [](const config::Service& service) { return !service.release_command.empty(); }) &&
      r.host.disk.exists(r.host.paths.data(r.job.site));
}

Result<Snapshot> take(JobContext& r) {
  const auto& site = r.job.site;
  Snapshot s{.number = next_snapshot(r.host, site),
      .kind = "deploy",
      .release = r.old->id,
      .before = r.release.row.id,
      .job = r.job.id,
      .time_ms = r.host.clock.wall_ms()};
  const std::string to = snapshot_data(r.host.paths, site, s.number);
  const Unsynced later; // settle_snapshots syncs it
  const os::Millis begun = r.host.clock.mono();
  TRY(make_target(r, s.number));
  const auto report = TRY(run_copier(r.host, r.release.user,
      {.from = r.host.paths.data(site),
          .to = to,
          .bytes_max = r.host.config.snapshot_max,
          .entries_max = k_entries_max,
          .redis = redis_client(r.host, site)},
      r.host.config.build_timeout, [&r] { return r.control.cancelled(); }));
  s.bytes = report.bytes;
  s.entries = report.entries;
  s.cloned = report.cloned > 0;
  TRY(r.host.disk.make_dir(pending_dir(r.host.paths, site), 0700, {::geteuid(), ::getegid()}));
  TRY(r.host.disk.write(pending_file(r.host.paths, site, s.number), control::to_text(s), 0600,
      {::geteuid(), ::getegid()}));
  r.info(told(s, report, (r.host.clock.mono() - begun).count()));
  for (const auto& note : report.notes)
    r.info(cat("snapshot: ", note));
  if (report.left_out > report.notes.size())
    r.info(cat("snapshot: ", report.left_out, " are left out in all"));
  for (const auto& path : report.damaged)
    r.warn(cat("source damaged: ", path, " (SQLite cannot read it)"));
  return s;
}

} // namespace

std::string snapshots_dir(const os::Paths& paths, const SiteName& site) {
  return cat(paths.state(), "/snapshots/", site.str());
}

std::string snapshot_data(const os::Paths& paths, const SiteName& site, uint64_t number) {
  return dir_of(paths, site, number) + "/data";
}

Result<std::vector<Snapshot>> snapshots_of(HostContext& host, const SiteName& site) {
  std::vector<Snapshot> all;
  for (const uint64_t number : numbers(host, site))
    if (auto found = find_snapshot(host, site, number))
      all.push_back(std::move(*found));
  std::ranges::stable_sort(all, std::greater<>(), &Snapshot::time_ms);
  return all;
}

Result<std::optional<Snapshot>> snapshot_for(
    HostContext& host, const SiteName& site, const std::string& release) {
  for (auto& snapshot : TRY(snapshots_of(host, site)))
    if (snapshot.release == release)
      return std::optional(std::move(snapshot));
  return std::optional<Snapshot>();
}

Result<CopyReport> look_at_data(HostContext& host, const SiteName& site, int64_t since_ms) {
  return run_copier(host, TRY(site_user(host, site)),
      {.from = host.paths.data(site), .entries_max = k_entries_max, .since_ms = since_ms},
      k_look_wait, nullptr);
}

bool snapshot_required(const JobContext& r) {
  return r.host.config.snapshots == k_required;
}

std::optional<std::string> snapshot_hindrance(JobContext& r) {
  if (!wants_snapshot(r))
    return std::nullopt;
  const auto data = look_at_data(r.host, r.job.site);
  const auto why = data ? hindrance(r, *data) : std::optional(data.error().message);
  return why ? std::optional(cat("no snapshot of the data before release_command: ", *why))
             : std::nullopt;
}

Result<void> keep_data(JobContext& r) {
  if (!wants_snapshot(r))
    return {};
  for (const auto& snapshot : TRY(snapshots_of(r.host, r.job.site)))
    if (snapshot.job == r.job.id)
      return {}; // its release_command may have run since
  const auto begun = numbers(r.host, r.job.site);
  const auto taken = take(r);
  if (taken)
    return {};
  for (const uint64_t number : numbers(r.host, r.job.site))
    if (std::ranges::find(begun, number) == begun.end())
      (void)r.host.disk.remove_tree(dir_of(r.host.paths, r.job.site, number));
  if (taken.error().code == Code::interrupted || snapshot_required(r))
    return within("snapshot of the data", taken.error());
  r.warn(cat("no snapshot of the data: ", taken.error().message));
  return {};
}

Result<void> record_snapshot(HostContext& host, const SiteName& site, const Snapshot& snapshot) {
  TRY(host.disk.write(about_file(host.paths, site, snapshot.number), control::to_text(snapshot),
      0600, {::geteuid(), ::getegid()}));
  return host.disk.remove(pending_file(host.paths, site, snapshot.number));
}

uint64_t next_snapshot(HostContext& host, const SiteName& site) {
  const auto there = numbers(host, site);
  return there.empty() ? 1 : there.front() + 1;
}

Result<std::string> make_snapshot_dir(HostContext& host, const SiteName& site, uint64_t number) {
  const os::Owner root{::geteuid(), ::getegid()};
  TRY(host.disk.make_dir(snapshots_dir(host.paths, site), 0700, root));
  TRY(host.disk.make_dir(dir_of(host.paths, site, number), 0700, root));
  return dir_of(host.paths, site, number);
}

Result<void> remove_unfinished_snapshots(HostContext& host, const SiteName& site) {
  for (const uint64_t number : numbers(host, site))
    if (!find_snapshot(host, site, number))
      TRY(host.disk.remove_tree(dir_of(host.paths, site, number)));
  return {};
}

Result<void> settle_snapshots(HostContext& host, const SiteName& site) {
  for (const uint64_t number : numbers(host, site)) {
    const auto pending = read_about(host, pending_file(host.paths, site, number));
    if (!pending)
      continue;
    const std::string path = snapshot_data(host.paths, site, number);
    const Fd dir(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    if (!dir || ::syncfs(dir.get()) != 0)
      return fail_errno(cat("sync ", path), errno);
    TRY(record_snapshot(host, site, *pending));
  }
  return {};
}

std::vector<std::string> old_snapshots(
    HostContext& host, const SiteName& site, const KeptSnapshots& wanted) {
  std::vector<std::string> old;
  std::set<uint64_t> whole;
  uint32_t kept = 0;
  for (const auto& snapshot : snapshots_of(host, site).value_or(std::vector<Snapshot>{})) {
    whole.insert(snapshot.number);
    if (wanted.releases.contains(snapshot.release) && kept < wanted.keep)
      ++kept;
    else if (snapshot.number != wanted.exchanged)
      old.push_back(dir_of(host.paths, site, snapshot.number));
  }
  for (const uint64_t number : numbers(host, site))
    if (!whole.contains(number) && number != wanted.exchanged && !wanted.unfinished)
      old.push_back(dir_of(host.paths, site, number));
  return old;
}

Result<void> remove_snapshots(HostContext& host, const SiteName& site) {
  TRY(host.disk.remove_tree(pending_dir(host.paths, site)));
  return host.disk.remove_tree(snapshots_dir(host.paths, site));
}

} // namespace chillbox::rollout
