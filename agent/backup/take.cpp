#include "backup/take.hpp"

#include "artifact/artifact_store.hpp"
#include "base/text.hpp"
#include "openrc/secret_variables.hpp"
#include "os/host_layout.hpp"
#include "os/roles.hpp"
#include "os/secret_mask.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <deque>

namespace chillbox::backup {
namespace {

constexpr os::Millis k_longest_backup{4 * 3'600'000};
constexpr os::Millis k_before{3'600'000};
constexpr uint64_t k_memory = 256ULL << 20;
constexpr uint32_t k_tasks = 32;
constexpr size_t k_max_recipient = 4096;

std::string work_of(const os::Paths& paths, const SiteName& site) {
  return cat(backups_dir(paths), "/", k_work_dir, "/", site.str());
}

// Removed whatever happens.
class Work {
public:
  Work(os::Disk& disk, std::string path) : m_disk(disk), m_path(std::move(path)) {}
  Work(const Work&) = delete;
  Work& operator=(const Work&) = delete;
  ~Work() { (void)m_disk.remove_tree(m_path); }

private:
  os::Disk& m_disk;
  std::string m_path;
};

// The site's own command, with its environment, its secrets and its limits.
Result<void> run_before(const Taker& host, const SiteName& site, const std::string& line) {
  if (line.empty())
    return {};
  const auto spec = TRY(host.prepare(site, line));
  const Mask mask = os::mask_of_set(host.paths.secrets_of(site));
  std::deque<std::string> last;
  os::Command c;
  c.argv = spec.argv;
  c.env = spec.env;
  TRY(openrc::add_secret_variables(spec.secrets_env, c.env));
  c.cwd = spec.cwd;
  c.timeout = k_before;
  c.contained = host.as_root;
  c.limits = spec.limits;
  c.output_limit = 0;
  c.cancelled = os::when_set(host.stop);
  c.on_line = [&](std::string_view said) {
    last.push_back(printable(mask.apply(said), 300));
    if (last.size() > 3)
      last.pop_front();
  };
  if (host.as_root)
    c.user = TRY(os::find_user(spec.user));
  const auto exit = TRY_IN("before", host.runner.run(c));
  return exit.ok() ? Result<void>{}
                   : fail(Code::failure,
                         cat("`before` ended with code ", exit.code, ": ",
                             join({last.begin(), last.end()}, "; ")));
}

std::string redis_cli(const Taker& host) {
  for (const char* path : {"/usr/bin/redis-cli", "/usr/bin/valkey-cli", "/usr/local/bin/redis-cli",
           "/usr/local/bin/valkey-cli"})
    if (host.disk.exists(host.paths.root + path) || os::is_program(path))
      return path;
  return "redis-cli";
}

Result<std::string> site_file(const Taker& host, const Wanted& wanted) {
  const std::string file = cat(
      host.paths.releases(wanted.site), "/", wanted.release, "/", wanted.site.str(), ".site.json");
  auto read = host.disk.read(file, config::k_max_site_json);
  if (!read && read.error().code == Code::not_found) // of a release in memory
    return fail(Code::sealed,
        cat("its site file is in memory only, and not there: `chillboxctl unlock`: ",
            read.error().message));
  return read;
}

Result<SnapshotReport> run_snapshot(const Taker& host, const SnapshotOrder& order, const Fd& out) {
  os::Command c;
  c.argv = {"/proc/self/exe", std::string(os::k_snapshot_role.flag), std::to_string(out.get())};
  c.input = order_text(order);
  c.inherit = {out.get()};
  c.timeout = k_longest_backup;
  c.cancelled = os::when_set(host.stop);
  c.limits.file_size = order.data_max + order.data_max / 8 + (64ULL << 20);
  if (host.as_root) {
    c.contained = c.no_network = true;
    c.user = TRY(os::find_user(order.head.site.str()));
    c.view = os::view_of({});
    for (const auto& dir : {order.data, order.work})
      if (host.disk.exists(dir))
        c.view.binds.push_back({dir, dir, true});
    c.limits.memory_max = k_memory;
    c.limits.tasks_max = k_tasks;
  }
  const auto exit = TRY_IN("read the data", host.runner.run(c));
  if (exit.ok())
    return parse_report(exit.out);
  if (auto why = reported_error(exit.out))
    return std::unexpected(std::move(*why));
  return fail(Code::failure,
      cat("the process that reads the data ended with ", exit.code,
          exit.reached.empty() ? "" : cat(", it came up against ", exit.reached), ": ",
          printable(trim(exit.err), 500)));
}

} // namespace

std::string archive_path(const os::Paths& paths, const ArchiveName& name) {
  std::string file = name.str();
  return cat(backups_dir(paths), "/", name.site.str(), "/", file.substr(file.rfind('/') + 1));
}

Result<Stored> sign_archive(os::Disk& disk, const os::Paths& paths, const ArchiveName& name,
    const std::string& release, const std::string& draft) {
  const auto key = TRY(signing_key(disk, paths));
  const Fd file(::open(draft.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC));
  if (!file || ::fsync(file.get()) != 0)
    return fail_errno(draft, errno);
  const auto stored = TRY(artifact::digest_file(file.get()));
  const std::string path = archive_path(paths, name);
  const std::string comment = statement_text(
      {.site = name.site, .serial = name.serial, .sha256 = stored.sha256, .release = release});
  TRY(disk.write(cat(path, k_signature_suffix), key.sign(stored.blake2b, comment), 0600,
      os::root_owner(paths)));
  TRY(disk.rename(draft, path));
  return Stored{stored.sha256, stored.size};
}

Result<Taken> take(const Taker& host, const Wanted& wanted) {
  if (wanted.release.empty())
    return fail(Code::not_found, cat("site '", wanted.site.str(), "' has no live release"));
  SnapshotOrder order{.head = {.site = wanted.site,
                          .serial = wanted.serial,
                          .release = wanted.release,
                          .taken_ms = host.clock.wall_ms()},
      .data = host.paths.data(wanted.site),
      .work = work_of(host.paths, wanted.site),
      .redis_socket = {},
      .redis_cli = redis_cli(host),
      .exclude = {},
      .recipients = host.config.recipients,
      .site_json = {},
      .data_max = host.config.data_max};
  order.site_json = TRY(site_file(host, wanted));
  const auto site = TRY(config::parse_site(order.site_json, wanted.site));
  const auto backup = TRY(config::parse_site_backup(order.site_json));
  order.exclude = backup.exclude;
  if (site.has_redis)
    order.redis_socket = order.data + "/redis/redis.sock";
  order.recipients.insert(order.recipients.begin(),
      std::string(trim(TRY(host.disk.read(host.paths.recipient(), k_max_recipient)))));
  if (!wanted.stopped)
    TRY(run_before(host, wanted.site, backup.before));
  const Work work(host.disk, order.work);
  const os::Owner root = os::root_owner(host.paths);
  TRY(host.disk.make_dir(backups_dir(host.paths), 0700, root));
  TRY(host.disk.make_dir(cat(backups_dir(host.paths), "/", wanted.site.str()), 0700, root));
  TRY(host.disk.remove_tree(order.work));
  const auto user = host.as_root ? TRY(os::find_user(wanted.site.str())) : os::User{};
  TRY(host.disk.make_dir(order.work, 0700, host.as_root ? os::Owner{user.uid, user.gid} : root));
  const ArchiveName name{host.host_name, wanted.site, order.head.taken_ms, wanted.serial};
  const std::string draft = archive_path(host.paths, name) + ".part";
  const Work drafted(host.disk, draft);
  const Fd out(::open(draft.c_str(), O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (!out)
    return fail_errno(draft, errno);
  const bool had_data = host.disk.exists(order.data);
  auto report = TRY(run_snapshot(host, order, out));
  if (had_data && !host.disk.exists(order.data))
    return fail(Code::conflict, "the site was removed with its data while they were read");
  if (wanted.stopped && !backup.before.empty())
    report.warnings.emplace_back("`before` was not run: the site is stopped");
  const auto stored = TRY(sign_archive(host.disk, host.paths, name, wanted.release, draft));
  return Taken{name, stored.sha256, stored.size, std::move(report)};
}

} // namespace chillbox::backup
