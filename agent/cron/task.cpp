#include "cron/task.hpp"

#include "base/text.hpp"
#include "control/json.hpp"
#include "cron/run_session.hpp"
#include "openrc/cgroup.hpp"
#include "openrc/secret_variables.hpp"
#include "openrc/spec.hpp"
#include "os/host_layout.hpp"
#include "os/log_index.hpp"
#include "os/log_writer.hpp"
#include "os/roles.hpp"
#include "os/secret_mask.hpp"

#include <nlohmann/json.hpp>

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <deque>
#include <map>

namespace chillbox::cron {
namespace {

constexpr os::Millis k_kill_wait{5'000};
constexpr size_t k_kept_lines = 20;
constexpr size_t k_kept_of_line = 500;
constexpr size_t k_max_end = 64 * 1024;
constexpr size_t k_outputs_kept = 30; // of a site's runs
constexpr os::Millis k_run_grace{10'000};
constexpr std::string_view k_output = "run."; // no service has such a log

// Control groups: one for the process that watches, which has none of the site's limits, and one
// for the command.
std::string group_name(std::string_view id) {
  return cat("chillbox.task.", id);
}
std::string command_group(std::string_view id) {
  return cat("chillbox.task.", id, ".run");
}

std::string tasks_dir(const os::Paths& paths) {
  return paths.run() + "/tasks";
}
std::string task_file(const os::Paths& paths, std::string_view id, std::string_view ending) {
  return cat(tasks_dir(paths), "/", id, ending);
}

struct flock whole_file(short type) {
  struct flock lock{};
  lock.l_type = type;
  lock.l_whence = SEEK_SET;
  return lock;
}

// The process that holds the task's lock; 0: nobody.
pid_t holder(const std::string& path) {
  const Fd fd(::open(path.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC));
  auto lock = whole_file(F_WRLCK);
  if (!fd || ::fcntl(fd.get(), F_GETLK, &lock) != 0)
    return 0;
  return lock.l_type == F_UNLCK ? 0 : lock.l_pid;
}

// Who controls chillbox may be attached to what it runs.
os::Owner clients() {
  return {::geteuid(), os::find_group(std::string(os::k_admin_group)).value_or(::getegid())};
}

// Root of the tree of control groups of version 2, "" where there is none.
std::string groups_root(const os::Paths& paths) {
  for (const char* dir : {"/sys/fs/cgroup", "/sys/fs/cgroup/unified"})
    if (::access(cat(paths.root, dir, "/cgroup.procs").c_str(), W_OK) == 0)
      return paths.root + dir;
  return {};
}

// "0" means the writing process.
bool enter(const std::string& group) {
  const Fd fd(::open((group + "/cgroup.procs").c_str(), O_WRONLY | O_CLOEXEC));
  return fd && ::write(fd.get(), "0", 1) == 1;
}

std::string options_text(const RunOptions& run) {
  return dump(Json{{"terminal", run.terminal}, {"detached", run.detached},
      {"timeout_ms", static_cast<uint64_t>(run.timeout.count())}});
}

Result<RunOptions> parse_options(const std::string& text) {
  const Json json = TRY(parse_json(text, k_max_end));
  return RunOptions{.terminal = control::bool_or(json, "terminal", false),
      .detached = control::bool_or(json, "detached", false),
      .timeout = os::Millis(TRY(control::u64_at(json, "timeout_ms")))};
}

// The process of one task. Tasks::finish does what this one does not get to.
class TaskProcess {
public:
  TaskProcess(std::string id, os::Paths paths) : m_id(std::move(id)), m_paths(std::move(paths)) {}

  Result<void> run() {
    const std::string path = task_file(m_paths, m_id, ".json");
    const auto spec = TRY(openrc::read_spec(path));
    // It leaves the daemon's group before its lock makes the task visible: a new daemon kills what
    // is left in the old group.
    const std::string root = groups_root(m_paths);
    const std::string group = cat(root, "/", group_name(m_id));
    const bool grouped =
        !root.empty() && (::mkdir(group.c_str(), 0755) == 0 || errno == EEXIST) && enter(group);
    // From here on this process must not close another descriptor of the file: that would release
    // the lock.
    const Fd lock(::open(path.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC));
    auto whole = whole_file(F_RDLCK);
    struct stat st{};
    if (!lock || ::fcntl(lock.get(), F_SETLK, &whole) != 0 || ::fstat(lock.get(), &st) != 0 ||
        st.st_nlink == 0)
      return fail(Code::conflict, cat("task ", m_id, ": another process already runs it"));
    const std::string options = task_file(m_paths, m_id, ".run");
    const auto end = !os::real_disk().exists(options)
        ? run_command(spec)
        : run_attached(spec, TRY(parse_options(TRY(os::real_disk().read(options, k_max_end)))));
    if (grouped && enter(root))
      (void)openrc::kill_leftovers(
          os::real_disk(), os::real_clock(), m_paths, group_name(m_id), k_kill_wait);
    return os::real_disk().write(task_file(m_paths, m_id, ".end"),
        dump(Json{{"code", end.code}, {"ended_ms", end.ended_ms}, {"text", end.text}}), 0600);
  }

private:
  os::LogWriter log_of(const openrc::SlotSpec& spec, std::string name, uint32_t files) const {
    const std::string dir = m_paths.logs_of(spec.name.site);
    return os::LogWriter(Fd(::open(dir.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)),
        std::move(name), spec.log_size, files, os::release_number(spec.release));
  }

  os::Command command_of(const openrc::SlotSpec& spec) const {
    os::Command c;
    c.argv = spec.argv;
    c.env = spec.env;
    c.cwd = spec.cwd;
    c.timeout = os::Millis{-1};
    c.contained = ::geteuid() == 0; // else a test
    c.limits = spec.limits;
    if (!m_paths.testing())
      c.group = command_group(m_id);
    c.output_limit = 0;
    return c;
  }

  TaskEnd run_command(const openrc::SlotSpec& spec) {
    os::LogWriter log = log_of(spec, "cron.log", spec.log_files);
    const Mask mask = os::mask_of_set(m_paths.secrets_of(spec.name.site));
    os::Command c = command_of(spec);
    c.on_line = [&](std::string_view said) {
      const std::string line = mask.apply(said);
      m_last.push_back(printable(line, k_kept_of_line));
      if (m_last.size() > k_kept_lines)
        m_last.pop_front();
      log.append(cat(line, "\n")); // a full disk does not end the command
    };
    const auto exit = as_user(spec, c);
    TaskEnd end{.ended_ms = os::real_clock().wall_ms()};
    end.code = exit ? exit->code : exit.error().code == Code::not_found ? 127 : 126;
    end.text = exit ? join({m_last.begin(), m_last.end()}, "\n") : mask.apply(exit.error().message);
    return end;
  }

  TaskEnd run_attached(const openrc::SlotSpec& spec, const RunOptions& run) {
    ::signal(SIGPIPE, SIG_IGN); // a command need not read what it is given
    const Mask mask = os::mask_of_set(m_paths.secrets_of(spec.name.site));
    uid_t owner = 0;
    if (!m_paths.testing())
      if (const auto user = os::find_user(spec.user))
        owner = user->uid;
    RunSession session(
        {task_file(m_paths, m_id, ".sock"), run.terminal, run.detached, owner, clients()}, mask,
        log_of(spec, cat(k_output, m_id, ".log"), 1));
    os::Command c = command_of(spec);
    c.timeout = run.timeout == os::Millis{} ? os::Millis{-1} : run.timeout;
    c.grace = k_run_grace;
    c.terminal = run.terminal;
    c.cancel = session.stop_asked();
    const auto exit = [&]() -> Result<os::Exit> {
      TRY(session.begin());
      c.streams = session.streams();
      return as_user(spec, c);
    }();
    TaskEnd end{.code = exit ? exit->code : code_of(exit.error().code, c.streams.has_value()),
        .ended_ms = os::real_clock().wall_ms()};
    const std::string why = exit ? "" : mask.apply(exit.error().message);
    session.finish(end.code, why);
    end.text = why.empty() ? session.last_lines() : why;
    return end;
  }

  static int code_of(Code why, bool started) {
    if (!started)
      return k_run_not_started;
    return why == Code::timed_out  ? k_run_timed_out
        : why == Code::interrupted ? 128 + SIGTERM
                                   : k_run_not_started;
  }

  Result<os::Exit> as_user(const openrc::SlotSpec& spec, os::Command& c) {
    TRY(openrc::add_secret_variables(spec.secrets_env, c.env));
    if (!m_paths.testing()) // tests make no users
      c.user = TRY(os::find_user(spec.user));
    return os::real_runner().run(c);
  }

  std::string m_id;
  os::Paths m_paths;
  std::deque<std::string> m_last;
};

Result<TaskEnd> parse_end(const std::string& text) {
  const Json json = TRY(parse_json(text, k_max_end));
  TaskEnd end;
  end.code = static_cast<int>(TRY(control::u64_at(json, "code")));
  end.ended_ms = static_cast<int64_t>(TRY(control::u64_at(json, "ended_ms")));
  end.text = TRY(control::string_at(json, "text"));
  return end;
}

} // namespace

Tasks::Tasks(os::Disk& disk, os::Clock& clock, os::Paths paths)
    : m_disk(disk), m_clock(clock), m_paths(std::move(paths)) {}

std::string Tasks::file(uint64_t id, std::string_view ending) const {
  return task_file(m_paths, std::to_string(id), ending);
}

Result<Fd> Tasks::start(
    uint64_t id, const openrc::SlotSpec& spec, const std::optional<RunOptions>& run) {
  const std::string logs = m_paths.logs_of(spec.name.site);
  if (!m_disk.exists(logs))
    TRY(m_disk.make_dir(logs, 0750));
  TRY(m_disk.make_dir(tasks_dir(m_paths), 0710, clients())); // they reach the sockets, no more
  if (run) {
    forget_old_output(logs);
    TRY(m_disk.write(file(id, ".run"), options_text(*run), 0600, {::geteuid(), ::getegid()}));
  }
  TRY(m_disk.write(
      file(id, ".json"), TRY(openrc::spec_text(spec)), 0600, {::geteuid(), ::getegid()}));
  os::RoleCommand role = os::role_command(os::k_task_role, {std::to_string(id)});
  if (m_paths.testing())
    role.env = {{"CHILLBOX_ROOT", m_paths.root}};
  auto child = TRY(os::Child::start(role));
  // Wait until its lock makes it visible, so that a daemon that replaces this one now finds it.
  constexpr int k_most_waits = 2'000; // of a millisecond
  pollfd ended{child.pidfd(), POLLIN, 0};
  for (int i = 0; i < k_most_waits && holder(file(id, ".json")) == 0 && ::poll(&ended, 1, 1) == 0;
      ++i) {}
  return child.detach();
}

bool Tasks::has_terminal(uint64_t id) const {
  const auto text = m_disk.read(file(id, ".run"), k_max_end);
  const auto options = text ? parse_options(*text) : fail(Code::not_found, "");
  return options && options->terminal;
}

void Tasks::forget_old_output(const std::string& logs) {
  std::map<uint64_t, std::vector<std::string>>
      outputs; // by run, run-ID.log, its marks and run-ID.log.1
  for (const auto& name : m_disk.list(logs).value_or(std::vector<std::string>{}))
    if (name.starts_with(k_output))
      if (const auto id = parse_u64(
              name.substr(k_output.size(), name.find('.', k_output.size()) - k_output.size())))
        outputs[*id].push_back(name);
  size_t left = outputs.size();
  for (const auto& [id, names] : outputs) {
    if (left < k_outputs_kept)
      return;
    if (holder(file(id, ".json")) != 0)
      continue; // it has not ended
    for (const auto& name : names)
      (void)m_disk.remove(cat(logs, "/", name));
    --left;
  }
}

std::optional<Fd> Tasks::running(uint64_t id) {
  const pid_t pid = holder(file(id, ".json"));
  if (pid <= 0)
    return std::nullopt;
  Fd pidfd(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
  if (!pidfd || holder(file(id, ".json")) != pid) // the number may belong to another process by now
    return std::nullopt;
  return pidfd;
}

Result<std::optional<TaskEnd>> Tasks::finish(uint64_t id, const Fd& pidfd) {
  constexpr auto k_by_pidfd = static_cast<idtype_t>(3); // P_PIDFD, which not every libc names
  siginfo_t info{};
  if (pidfd) // does nothing for a child of an earlier daemon
    (void)::waitid(k_by_pidfd, static_cast<id_t>(pidfd.get()), &info, WEXITED | WNOHANG);
  // The lock comes first: a process that was started and did not get that far finds no task.
  const Fd lock(::open(file(id, ".json").c_str(), O_RDWR | O_NOFOLLOW | O_CLOEXEC));
  auto whole = whole_file(F_WRLCK);
  if (lock && ::fcntl(lock.get(), F_SETLK, &whole) != 0)
    return fail(Code::busy, cat("task ", id, " still runs"));
  std::optional<TaskEnd> end;
  if (m_disk.exists(file(id, ".end")))
    end = TRY(parse_end(TRY(m_disk.read(file(id, ".end"), k_max_end))));
  TRY(empty_groups(id));
  for (const auto ending : {".run", ".sock", ".json"})
    TRY(m_disk.remove(file(id, ending)));
  os::sweep_temporaries(tasks_dir(m_paths), cat(id, ".")); // of a daemon, or of it, that was killed
  return end;
}

void Tasks::forget(uint64_t id) {
  (void)m_disk.remove(file(id, ".end"));
}

Result<void> Tasks::kill(uint64_t id) {
  if (const auto pidfd = running(id))
    ::syscall(SYS_pidfd_send_signal, pidfd->get(), SIGTERM, nullptr, 0); // the command ends with it
  const auto deadline = m_clock.mono() + k_kill_wait;
  while (holder(file(id, ".json")) != 0 && m_clock.mono() < deadline)
    m_clock.sleep(os::Millis{5}); // the lock of a process that ends is no event
  return empty_groups(id);
}

// They are empty unless the process of the task was killed.
Result<void> Tasks::empty_groups(uint64_t id) {
  TRY(openrc::kill_leftovers(
      m_disk, m_clock, m_paths, group_name(std::to_string(id)), k_kill_wait));
  return openrc::kill_leftovers(
      m_disk, m_clock, m_paths, command_group(std::to_string(id)), k_kill_wait);
}

Result<void> Tasks::kill_all(const SiteName& site) {
  for (const uint64_t id : all())
    if (const auto spec = openrc::read_spec(file(id, ".json")); spec && spec->name.site == site)
      TRY(kill(id));
  return {};
}

std::vector<uint64_t> Tasks::all() {
  std::vector<uint64_t> ids;
  for (const auto& name : m_disk.list(tasks_dir(m_paths)).value_or(std::vector<std::string>{}))
    if (const auto id = parse_u64(name.substr(0, name.find('.')));
        id && std::ranges::find(ids, *id) == ids.end())
      ids.push_back(*id);
  return ids;
}

int task_main(const std::string& id) {
  if (!parse_u64(id))
    return exit_code(Code::usage);
  const auto done = TaskProcess(id, os::Paths::from_environment()).run();
  if (!done)
    std::fprintf(stderr, "%s\n", done.error().message.c_str());
  return done ? 0 : exit_code(done.error().code);
}

} // namespace chillbox::cron
