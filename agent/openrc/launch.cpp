// The launcher: from root to the site's user in the order that leaves nothing behind, then exec. Whatever is wrong is said on standard
// error, which supervise-daemon writes to the service's own log.
#include "base/fd.hpp"
#include "base/text.hpp"
#include "openrc/spec.hpp"
#include "os/runner.hpp"

#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>

namespace chillbox::openrc {
namespace {

Result<void> set_limits(const SlotSpec& spec) {
  ::umask(static_cast<mode_t>(std::strtoul(spec.umask.c_str(), nullptr, 8)));
  const rlimit none{0, 0};
  if (::setrlimit(RLIMIT_CORE, &none) != 0)
    return fail_errno("setrlimit core", errno);
  // As root, and before it is the site's user: from then on it holds. Where a pids controller is, that one is reached long before.
  const rlimit tasks{spec.limits.user_tasks_max, spec.limits.user_tasks_max};
  if (spec.limits.user_tasks_max != 0 && ::setrlimit(RLIMIT_NPROC, &tasks) != 0)
    return fail_errno("setrlimit processes", errno);
  if (spec.niceness && ::setpriority(PRIO_PROCESS, 0, *spec.niceness) != 0)
    return fail_errno("setpriority", errno);
  return {};
}

// The user's groups as they are in /etc/group, then gid, then uid: each needs the right that the next one gives away.
Result<void> become(const os::User& user) {
  if (user.uid == 0 || user.gid == 0)
    return fail(Code::denied, cat("user '", user.name, "' is root"));
  if (::initgroups(user.name.c_str(), user.gid) != 0)
    return fail_errno("initgroups", errno);
  if (::setresgid(user.gid, user.gid, user.gid) != 0 || ::setresuid(user.uid, user.uid, user.uid) != 0)
    return fail_errno(cat("become ", user.name), errno);
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
    return fail_errno("no_new_privs", errno);
  return {};
}

// Only the standard streams are passed on. close_range is Linux 5.9; before it, one by one.
void close_others() {
  if (::syscall(SYS_close_range, 3U, ~0U, 0U) == 0)
    return;
  rlimit limit{};
  const bool known = ::getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < 65536;
  for (int fd = 3; fd < (known ? static_cast<int>(limit.rlim_cur) : 65536); ++fd)
    ::close(fd);
}

// What a parent ignored or blocked, the program would too.
void default_signals() {
  constexpr int k_last_signal = 64;
  const unsigned long action[4] = {}; // the default, in the kernel's layout; the library refuses the signals that it keeps for its threads
  for (int number = 1; number <= k_last_signal; ++number)
    ::syscall(SYS_rt_sigaction, number, action, nullptr, sizeof(unsigned long));
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
}

Result<void> launch(const std::string& slot_name) {
  const auto name = TRY(SlotName::parse(slot_name));
  const auto path = spec_path(os::Paths::from_environment(), name.str());
  auto spec = TRY(read_spec(path));
  if (spec.name.str() != name.str())
    return fail(Code::denied, cat(path, ": is for ", spec.name.str()));
  const auto user = TRY(os::find_user(spec.user));
  std::vector<std::string> pairs;
  for (const auto& [key, value] : spec.env)
    pairs.push_back(cat(key, "=", value));
  std::vector<char*> argv;
  std::vector<char*> env;
  for (auto& word : spec.argv)
    argv.push_back(word.data());
  for (auto& pair : pairs)
    env.push_back(pair.data());
  argv.push_back(nullptr);
  env.push_back(nullptr);

  TRY(set_limits(spec));
  close_others();
  default_signals();
  TRY(become(user));
  // As the user: a directory that only root may enter is none for it.
  if (::chdir(spec.cwd.c_str()) != 0)
    return fail_errno(cat("chdir ", spec.cwd), errno);
  ::execve(argv[0], argv.data(), env.data());
  return fail_errno(cat("exec ", spec.argv[0]), errno);
}

} // namespace

int slot_main(const std::string& slot_name) {
  const auto result = launch(slot_name);
  const std::string& why = result.error().message; // there is one: a launch that worked is another program by now
  std::fprintf(stderr, "%s: %s\n", printable(slot_name, 100).c_str(), why.c_str());
  return exit_code(result.error().code);
}

} // namespace chillbox::openrc
