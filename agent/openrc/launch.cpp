// The launcher: what is the agent's to make for a service, then from root to the site's user in the
// order that leaves nothing open, then exec. Whatever is wrong is said on standard error, which
// goes to the service's own log.
#include "base/fd.hpp"
#include "base/text.hpp"
#include "openrc/listen.hpp"
#include "openrc/private_tmpfs.hpp"
#include "openrc/restart_news.hpp"
#include "openrc/restarts.hpp"
#include "openrc/secret_variables.hpp"
#include "openrc/service_log.hpp"
#include "openrc/spec.hpp"
#include "openrc/supervise.hpp"
#include "os/listen_rules.hpp"
#include "os/runner.hpp"

#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>

namespace chillbox::openrc {
namespace {

// What Supervise::start took away from supervise-daemon; where that dropped the variable, what a
// system gives.
Result<void> restore_files() {
  constexpr uint64_t k_usual = 1024;
  const char* given = std::getenv(k_files_variable);
  const auto wanted = given == nullptr ? std::nullopt : parse_u64(given);
  rlimit files{};
  if (::getrlimit(RLIMIT_NOFILE, &files) != 0 || (!wanted && files.rlim_cur >= k_usual))
    return {};
  files.rlim_cur = std::min<rlim_t>(wanted.value_or(k_usual), files.rlim_max);
  return ::setrlimit(RLIMIT_NOFILE, &files) == 0 ? Result<void>{}
                                                 : fail_errno("setrlimit files", errno);
}

Result<void> set_limits(const SlotSpec& spec) {
  ::umask(static_cast<mode_t>(std::strtoul(spec.umask.c_str(), nullptr, 8)));
  const rlimit none{0, 0};
  if (::setrlimit(RLIMIT_CORE, &none) != 0)
    return fail_errno("setrlimit core", errno);
  // As root, and before it is the site's user: from then on it holds. Where a pids controller is,
  // that one is reached long before.
  const rlimit tasks{spec.limits.user_tasks_max, spec.limits.user_tasks_max};
  if (spec.limits.user_tasks_max != 0 && ::setrlimit(RLIMIT_NPROC, &tasks) != 0)
    return fail_errno("setrlimit processes", errno);
  if (spec.niceness && ::setpriority(PRIO_PROCESS, 0, *spec.niceness) != 0)
    return fail_errno("setpriority", errno);
  return {};
}

// The user's groups as they are in /etc/group, then gid, then uid: each needs the right that the
// next one gives away.
Result<void> become(const os::User& user) {
  if (user.uid == 0 || user.gid == 0)
    return fail(Code::denied, cat("user '", user.name, "' is root"));
  if (::initgroups(user.name.c_str(), user.gid) != 0)
    return fail_errno("initgroups", errno);
  if (::setresgid(user.gid, user.gid, user.gid) != 0 ||
      ::setresuid(user.uid, user.uid, user.uid) != 0)
    return fail_errno(cat("become ", user.name), errno);
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
    return fail_errno("no_new_privs", errno);
  return {};
}

// The program's descriptors are the standard streams and, from 3 on, what it is handed; all others
// end with exec, no sooner: one of them holds its port. CLOSE_RANGE_CLOEXEC is Linux 5.11; before
// it, one by one.
void keep_for_exec(const std::vector<Fd>& handed) {
  constexpr int k_first = 3, k_above_all = 100;
  constexpr unsigned k_mark = 4; // CLOSE_RANGE_CLOEXEC
  std::vector<int> moved;        // first, so that none is in the place of another
  for (const auto& fd : handed)
    moved.push_back(::fcntl(fd.get(), F_DUPFD_CLOEXEC, k_above_all));
  if (::syscall(SYS_close_range, static_cast<unsigned>(k_first), ~0U, k_mark) != 0) {
    rlimit limit{};
    const bool known = ::getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < 65536;
    for (int fd = k_first; fd < (known ? static_cast<int>(limit.rlim_cur) : 65536); ++fd)
      ::fcntl(fd, F_SETFD, FD_CLOEXEC);
  }
  for (size_t i = 0; i < moved.size(); ++i)
    ::dup2(moved[i], k_first + static_cast<int>(i)); // the copy is not marked
}

// What a parent ignored or blocked, the program would too.
void default_signals() {
  constexpr int k_last_signal = 64;
  const unsigned long action[4] = {}; // the default, in the kernel's layout; the library refuses
                                      // the signals that it keeps for its threads
  for (int number = 1; number <= k_last_signal; ++number)
    ::syscall(SYS_rt_sigaction, number, action, nullptr, sizeof(unsigned long));
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
}

// As sd_listen_fds(3) has them; LISTEN_PID stays right, because exec keeps the process. A site's
// own variables of these names would only confuse.
std::vector<std::string> environment_of(const SlotSpec& spec, const SlotSockets& sockets) {
  std::vector<std::string> pairs;
  for (const auto& [key, value] : spec.env)
    if (key != "LISTEN_FDS" && key != "LISTEN_PID" && key != "LISTEN_FDNAMES")
      pairs.push_back(cat(key, "=", value));
  if (!sockets.handed.empty()) {
    pairs.push_back(cat("LISTEN_FDS=", sockets.handed.size()));
    pairs.push_back(cat("LISTEN_PID=", ::getpid()));
    pairs.push_back(cat("LISTEN_FDNAMES=", sockets.names));
  }
  return pairs;
}

std::vector<char*> pointers(std::vector<std::string>& words) {
  std::vector<char*> all;
  for (auto& word : words)
    all.push_back(word.data());
  all.push_back(nullptr);
  return all;
}

Result<void> run_as(SlotSpec& spec, const os::User& user, const SlotSockets& sockets) {
  auto words = environment_of(spec, sockets);
  const auto argv = pointers(spec.argv), env = pointers(words);
  const auto rules = TRY(os::ListenRules::create(
      spec.port == 0 ? std::vector<uint16_t>{} : std::vector<uint16_t>{spec.port}));
  TRY(set_limits(spec));
  keep_for_exec(sockets.handed);
  TRY(become(user));
  if (const int err = rules.apply(); err != 0)
    return fail_errno("limit what it may listen on", err);
  // As the user: a directory that only root may enter is none for it.
  if (::chdir(spec.cwd.c_str()) != 0)
    return fail_errno(cat("chdir ", spec.cwd), errno);
  ::execve(argv[0], argv.data(), env.data());
  return fail_errno(cat("exec ", spec.argv[0]), errno);
}

Result<void> launch(const std::string& slot_name) {
  const auto name = TRY(SlotName::parse(slot_name));
  const auto paths = os::Paths::from_environment();
  const auto path = spec_path(paths, name.str());
  auto spec = TRY(read_spec(path));
  TRY(restore_files());
  if (spec.name.str() != name.str())
    return fail(Code::denied, cat(path, ": is for ", spec.name.str()));
  const auto user = TRY(os::find_user(spec.user));
  default_signals(); // a stop ends the waiting
  const bool binds_itself = spec.port != 0 && spec.socket.empty();
  Fd held = binds_itself ? hold_port(spec.port).value_or(Fd()) : Fd(); // while it waits, too
  wait_for_turn(os::real_disk(), os::real_clock(), restarts_path(paths, name.str()),
      [&](os::Millis pause) { tell_restart(paths, name.str(), pause); });
  if (binds_itself && !held)
    held = TRY(hold_port(spec.port));
  TRY(pipe_to_log(spec, paths));
  const auto sockets = TRY(listen_for(spec, user));
  TRY(own_shared_memory(spec, paths));
  TRY(add_secret_variables(spec.secrets_env, spec.env));
  return run_as(spec, user, sockets);
}

} // namespace

int slot_main(const std::string& slot_name) {
  const auto result = launch(slot_name);
  const std::string& why =
      result.error().message; // there is one: a launch that worked is another program by now
  std::fprintf(stderr, "%s: %s\n", printable(slot_name, 100).c_str(), why.c_str());
  return exit_code(result.error().code);
}

} // namespace chillbox::openrc
