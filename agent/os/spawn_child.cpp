#include "os/spawn_child.hpp"

#include <fcntl.h>
#include <linux/close_range.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstring>

namespace chillbox::os {
namespace {

constexpr int k_last_signal = 64;

// As the kernel has it (clone(2)), of which not every C library's headers know all.
struct CloneArguments {
  uint64_t flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_size, tls, set_tid,
      set_tid_size, cgroup;
};
constexpr uint64_t k_into_cgroup = 0x200000000;

[[noreturn]] void give_up(const Prepared& p, Step step, int index = 0) {
  const Failure failure{step, index, errno};
  // Shorter than PIPE_BUF and into an empty pipe: all of it or nothing.
  if (::write(p.status.get(), &failure, sizeof failure) < 0)
    ::_exit(126);
  ::_exit(127);
}

// By the system call itself, because the library refuses the signals that it keeps for its threads,
// and a parent may have left those ignored. All zeros is the default action in the kernel's layout
// of every machine.
void default_signals() {
  const unsigned long action[4] = {};
  for (int number = 1; number <= k_last_signal; ++number)
    ::syscall(SYS_rt_sigaction, number, action, nullptr, sizeof(unsigned long));
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
}

// Programs that talk to themselves over 127.0.0.1 work without a network too. No harm if not.
void loopback_up() {
  const int fd = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  ifreq request{};
  std::memcpy(request.ifr_name, "lo", 3);
  request.ifr_flags = IFF_UP | IFF_RUNNING;
  ::ioctl(fd, SIOCSIFFLAGS, &request);
}

void enter_namespaces(const Spawn& plan, Prepared& p) {
  if (plan.contained && ::unshare(CLONE_NEWIPC) != 0) // a segment of shared memory would stay, too
    give_up(p, Step::ipc);
  if (plan.no_network) {
    if (::unshare(CLONE_NEWNET) != 0)
      give_up(p, Step::network);
    loopback_up();
  }
  if (plan.view.plain())
    return;
  // A slave, not private: what we mount here stays here, and a tmpfs that is unmounted outside
  // (lock) goes away here too.
  if (::unshare(CLONE_NEWNS) != 0 ||
      ::mount(nullptr, "/", nullptr, MS_REC | MS_SLAVE, nullptr) != 0)
    give_up(p, Step::mounts);
  if (const int failed = p.mounts.make(); failed >= 0)
    give_up(p, Step::view, failed);
}

void place_descriptors(const Prepared& p) {
  if (::syscall(SYS_close_range, 3U, ~0U, CLOSE_RANGE_CLOEXEC) != 0)
    give_up(p, Step::descriptors);
  for (size_t i = 0; i < p.targets.size(); ++i)
    if (::dup2(p.sources[i].get(), p.targets[i]) < 0) // and this one is not close-on-exec
      give_up(p, Step::descriptors);
}

void set_limits(const Spawn& plan, const Prepared& p) {
  if (p.moves) {
    const int procs = ::openat(p.group.get(), "cgroup.procs", O_WRONLY | O_CLOEXEC);
    if (::write(procs, "0", 1) != 1)
      give_up(p, Step::group);
  }
  for (const auto& [which, value] : p.limits) {
    const rlimit limit{value, value};
    const bool wanted = value != 0 || (which == static_cast<int>(RLIMIT_CORE) && plan.contained);
    if (wanted && ::setrlimit(static_cast<decltype(RLIMIT_CORE)>(which), &limit) != 0)
      give_up(p, Step::limits);
  }
  rlimit files{};
  if (plan.soft_files == 0 || ::getrlimit(RLIMIT_NOFILE, &files) != 0 ||
      files.rlim_cur <= plan.soft_files)
    return;
  files.rlim_cur = plan.soft_files;
  if (::setrlimit(RLIMIT_NOFILE, &files) != 0)
    give_up(p, Step::limits);
}

// The raw calls: the libc's own would signal threads that exist only in the parent.
void become(const User& user, const Prepared& p) {
  if (::syscall(SYS_setgroups, p.groups.size(), p.groups.data()) != 0)
    give_up(p, Step::groups);
  if (::syscall(SYS_setresgid, user.gid, user.gid, user.gid) != 0)
    give_up(p, Step::gid);
  if (::syscall(SYS_setresuid, user.uid, user.uid, user.uid) != 0)
    give_up(p, Step::uid);
}

// The parent may be gone already, and then nobody would tell us.
void follow_parent(const Prepared& p) {
  pollfd gone{p.parent_fd.get(), POLLIN, 0};
  const bool lives = p.parent_fd ? ::poll(&gone, 1, 0) == 0 : ::getppid() == p.parent;
  errno = ESRCH;
  if (!lives)
    give_up(p, Step::parent);
}

[[noreturn]] void run_program(const Spawn& plan, const Prepared& p) {
  if (plan.terminal && ::ioctl(0, TIOCSCTTY, 0) != 0)
    give_up(p, Step::terminal);
  set_limits(plan, p);
  if (plan.user)
    become(*plan.user, p);
  if (plan.no_new_privs && ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
    give_up(p, Step::privileges);
  if (p.listening && (errno = p.listening->apply()) != 0)
    give_up(p, Step::listening);
  // After the change of user, which clears it. A contained one ends with the first process of its
  // namespace.
  if (plan.ends_with_thread && !plan.contained) {
    if (::prctl(PR_SET_PDEATHSIG, SIGKILL) != 0)
      give_up(p, Step::parent);
    follow_parent(p);
  }
  // As the user: not into a directory that is not for them.
  if (::chdir(plan.cwd.c_str()) != 0)
    give_up(p, Step::directory);
  ::execve(plan.program.c_str(), p.argv.data(), p.envp.data());
  give_up(p, Step::exec);
}

// No signal could end us here: what ended the program is written down.
[[noreturn]] void end_as(int ended, const Prepared& p) {
  if (WIFEXITED(ended))
    ::_exit(WEXITSTATUS(ended));
  const Failure note{Step::ended, 0, WTERMSIG(ended)};
  (void)!::write(p.status.get(), &note, sizeof note);
  ::_exit(128 + WTERMSIG(ended));
}

// The first process of the namespace: as long as it waits here, and no longer, there is a
// namespace. It holds no descriptor but the one that its note goes to, and has the parent's memory
// only until it ends; nobody in there may look into a process of root.
[[noreturn]] void wait_for(pid_t program, const Prepared& p) {
  const auto status = static_cast<unsigned>(p.status.get());
  ::syscall(SYS_close_range, 0U, status - 1, 0U);
  ::syscall(SYS_close_range, status + 1, ~0U, 0U);
  sigset_t wanted;
  ::sigfillset(&wanted); // blocked; who is first in a namespace gets what is blocked, and of what
                         // is not only what it has a handler for
  for (;;) {
    int ended = 0;
    for (pid_t pid; (pid = ::waitpid(-1, &ended, WNOHANG)) > 0;)
      if (pid == program)
        end_as(ended, p);
    int number = 0;
    if (::sigwait(&wanted, &number) == 0 && number == SIGTERM)
      ::kill(-1, SIGTERM);
  }
}

[[noreturn]] void run_contained(const Spawn& plan, Prepared& p) {
  sigset_t all, none;
  ::sigfillset(&all);
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &all, nullptr);
  const pid_t program = split_off(p, true, 0);
  if (program < 0)
    give_up(p, Step::program);
  if (program > 0)
    wait_for(program, p);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  ::setsid();
  run_program(plan, p);
}

} // namespace

pid_t split_off(Prepared& p, bool into_group, uint64_t flags) {
  CloneArguments arguments{};
  arguments.flags = flags;
  arguments.exit_signal = SIGCHLD;
  if (into_group && p.group) {
    arguments.flags |= k_into_cgroup;
    arguments.cgroup = static_cast<uint64_t>(p.group.get());
    const long pid = ::syscall(SYS_clone3, &arguments, sizeof arguments);
    if (pid >= 0)
      return static_cast<pid_t>(pid);
    p.moves = true;
  }
  return static_cast<pid_t>(::syscall(SYS_clone, flags | SIGCHLD, 0, 0, 0, 0));
}

void run_child(const Spawn& plan, Prepared& p) {
  default_signals();
  ::setsid();
  ::umask(022);
  if (plan.contained) {
    if (::prctl(PR_SET_PDEATHSIG, SIGKILL) != 0)
      give_up(p, Step::parent);
    follow_parent(p);
  }
  enter_namespaces(plan, p);
  place_descriptors(p);
  if (plan.contained)
    run_contained(plan, p);
  run_program(plan, p);
}

} // namespace chillbox::os
