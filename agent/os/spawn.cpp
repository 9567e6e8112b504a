#include "os/spawn.hpp"

#include "base/text.hpp"
#include "os/listen_rules.hpp"

#include <fcntl.h>
#include <linux/close_range.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>

namespace chillbox::os {
namespace {

constexpr auto k_by_pidfd = static_cast<idtype_t>(3); // P_PIDFD, which not every libc names
constexpr int k_last_signal = 64;

enum class Step : int {
  ipc,
  network,
  mounts,
  view,
  descriptors,
  program,
  group,
  limits,
  groups,
  gid,
  uid,
  privileges,
  listening,
  parent,
  directory,
  exec,
  ended
};

struct Failure {
  Step step;
  int index; // of the call that makes the view
  int err;   // ended: the signal that did it
};

// All that the child reads, laid out before the fork.
struct Prepared {
  std::vector<char*> argv, envp;
  std::vector<std::string> texts; // what envp points to
  std::vector<Fd> sources; // above every target, so that no dup2 hits one that is still needed
  std::vector<int> targets;
  Fd status;
  Fd group;     // cgroup.procs
  Fd parent_fd; // of us: readable when we are gone. The number of a parent outside of the namespace
                // cannot be seen
  pid_t parent = ::getpid();
  std::vector<gid_t> groups;
  MountCalls mounts;
  // Of a program that runs as somebody else: no TCP port but a free one, which is nobody's.
  std::optional<ListenRules> listening;
  std::array<std::pair<int, rlim_t>, 5> limits{}; // 0: none
};

// `which` has a type of its own in glibc.
std::array<std::pair<int, rlim_t>, 5> prepare_limits(const Spawn& plan) {
  const Limits& l = plan.limits;
  return {{{static_cast<int>(RLIMIT_NPROC), l.user_tasks_max},
      {static_cast<int>(RLIMIT_AS), l.address_space}, {static_cast<int>(RLIMIT_FSIZE), l.file_size},
      {static_cast<int>(RLIMIT_CPU), l.cpu_seconds}, {static_cast<int>(RLIMIT_CORE), 0}}};
}

bool has_nul(std::string_view s) {
  return s.find('\0') != std::string_view::npos;
}

Result<void> prepare_texts(const Spawn& plan, Prepared& p) {
  for (const std::string& argument : plan.argv) {
    if (has_nul(argument))
      return fail(Code::invalid,
          cat("run ", printable(plan.program), ": an argument contains a zero byte"));
    p.argv.push_back(const_cast<char*>(argument.c_str())); // exec's type; it does not write
  }
  p.argv.push_back(nullptr);
  for (const auto& [name, value] : plan.env) {
    if (name.empty() || name.find('=') != std::string::npos || has_nul(name) || has_nul(value))
      return fail(Code::invalid,
          cat("run ", printable(plan.program), ": the variable '", printable(name, 64),
              "' cannot be passed on"));
    p.texts.push_back(cat(name, "=", value));
  }
  for (std::string& text : p.texts)
    p.envp.push_back(text.data());
  p.envp.push_back(nullptr);
  return {};
}

Result<Fd> duplicate_above(int fd, int floor) {
  Fd copy(::fcntl(fd, F_DUPFD_CLOEXEC, floor));
  if (!copy)
    return fail_errno(cat("duplicate descriptor ", fd), errno);
  return copy;
}

Result<Fd> prepare_descriptors(const Spawn& plan, Prepared& p) {
  int floor = 3;
  for (const auto& [ours, target] : plan.fds)
    floor = std::max(floor, target + 1);
  for (const auto& [ours, target] : plan.fds) {
    p.sources.push_back(TRY(duplicate_above(ours, floor)));
    p.targets.push_back(target);
  }
  std::array<int, 2> ends;
  if (::pipe2(ends.data(), O_CLOEXEC | O_NONBLOCK) != 0)
    return fail_errno("pipe", errno);
  Fd ours(ends[0]);
  const Fd theirs(ends[1]);
  p.status = TRY(duplicate_above(theirs.get(), floor));
  if (plan.group_procs >= 0)
    p.group = TRY(duplicate_above(plan.group_procs, floor));
  if (plan.contained) {
    const Fd self(static_cast<int>(::syscall(SYS_pidfd_open, ::getpid(), 0)));
    if (!self)
      return fail_errno("pidfd_open", errno);
    p.parent_fd = TRY(duplicate_above(self.get(), floor));
  }
  return ours;
}

void prepare_view(const Spawn& plan, Prepared& p) {
  if (plan.user) {
    p.groups = plan.groups;
    p.groups.insert(p.groups.begin(), plan.user->gid);
  }
  p.mounts = MountCalls(plan.view);
  p.limits = prepare_limits(plan);
}

// --- In the child: system calls only from here on. ---

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
  if (p.group && ::write(p.group.get(), "0", 1) != 1)
    give_up(p, Step::group);
  for (const auto& [which, value] : p.limits) {
    const rlimit limit{value, value};
    const bool wanted = value != 0 || (which == static_cast<int>(RLIMIT_CORE) && plan.contained);
    if (wanted && ::setrlimit(static_cast<decltype(RLIMIT_CORE)>(which), &limit) != 0)
      give_up(p, Step::limits);
  }
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
  // Not by fork(), which takes the library's locks.
  const auto program = static_cast<pid_t>(::syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0));
  if (program < 0)
    give_up(p, Step::program);
  if (program > 0)
    wait_for(program, p);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  ::setsid();
  run_program(plan, p);
}

[[noreturn]] void run_child(const Spawn& plan, Prepared& p) {
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

// fork(2), into a pid namespace of its own if it is to be contained.
pid_t split_off(const Spawn& plan) {
  return plan.contained
      ? static_cast<pid_t>(::syscall(SYS_clone, CLONE_NEWPID | SIGCHLD, 0, 0, 0, 0))
      : ::fork();
}

// --- In the parent ---

std::string what_failed(const Spawn& plan, const Failure& f) {
  switch (f.step) {
  case Step::ipc: return "make an IPC namespace";
  case Step::network: return "make a network namespace";
  case Step::mounts: return "make a mount namespace";
  case Step::view: return MountCalls(plan.view).what_failed(f.index);
  case Step::descriptors: return "place its descriptors (needs Linux 5.11)";
  case Step::program: return "start it in a pid namespace";
  case Step::group: return "enter its control group";
  case Step::limits: return "set its limits";
  case Step::groups:
  case Step::gid:
  case Step::uid: return cat("become user '", plan.user->name, "'");
  case Step::privileges: return "set no_new_privs";
  case Step::listening: return "limit what it may listen on";
  case Step::parent: return "follow its parent";
  case Step::directory: return cat("enter ", printable(plan.cwd));
  case Step::exec:
  case Step::ended: break;
  }
  return {};
}

} // namespace

Result<Spawned> spawn(const Spawn& plan) {
  Prepared p;
  TRY(prepare_texts(plan, p));
  Spawned child;
  child.status = TRY_IN(cat("run ", printable(plan.program)), prepare_descriptors(plan, p));
  prepare_view(plan, p);
  if (plan.user && plan.no_new_privs)
    p.listening = TRY_IN(cat("run ", printable(plan.program)), ListenRules::create({}));
  // No handler of ours may run in the copy: it would write into the pipes and sockets that both
  // share.
  sigset_t all, old;
  ::sigfillset(&all);
  ::pthread_sigmask(SIG_SETMASK, &all, &old);
  child.pid = split_off(plan);
  if (child.pid == 0)
    run_child(plan, p);
  const int err = errno;
  ::pthread_sigmask(SIG_SETMASK, &old, nullptr);
  if (child.pid < 0)
    return fail_errno(
        cat("run ", printable(plan.program), plan.contained ? ": make a pid namespace" : ": fork"),
        err);
  // Nobody else reaps our children, so the number is still this child's.
  child.pidfd = Fd(static_cast<int>(::syscall(SYS_pidfd_open, child.pid, 0)));
  if (!child.pidfd) {
    const int cause = errno;
    ::kill(child.pid, SIGKILL);
    ::waitpid(child.pid, nullptr, 0);
    return fail_errno(cat("run ", printable(plan.program), ": pidfd_open"), cause);
  }
  return child;
}

std::optional<Error> start_error(const Spawn& plan, const Fd& status, Exit* exit) {
  Failure f{};
  if (::read(status.get(), &f, sizeof f) != static_cast<ssize_t>(sizeof f))
    return std::nullopt;
  if (f.step == Step::ended) {
    if (exit != nullptr)
      exit->signal = f.err;
    return std::nullopt;
  }
  const std::string run = cat("run ", printable(plan.program));
  const bool missing = f.step == Step::exec && (f.err == ENOENT || f.err == ENOTDIR);
  Error error = f.step == Step::exec
      ? fail_errno(run, f.err).error()
      : fail_errno(cat(run, ": ", what_failed(plan, f)), f.err).error();
  error.code = missing ? Code::not_found : Code::failure;
  if (missing && ::access(plan.program.c_str(), F_OK) == 0)
    error.message += " (the interpreter in its first line)";
  return error;
}

int pidfd_signal(int pidfd, int number) {
  return static_cast<int>(::syscall(SYS_pidfd_send_signal, pidfd, number, nullptr, 0));
}

Exit reap(int pidfd) {
  siginfo_t info{};
  Exit exit;
  int done;
  while ((done = ::waitid(k_by_pidfd, static_cast<id_t>(pidfd), &info, WEXITED)) != 0 &&
      errno == EINTR) {}
  if (done != 0)
    return exit;
  exit.signal = info.si_code == CLD_EXITED ? 0 : info.si_status;
  exit.code = info.si_code == CLD_EXITED ? info.si_status : 128 + info.si_status;
  return exit;
}

Result<Fd> open_null(int flags) {
  Fd fd(::open("/dev/null", flags | O_CLOEXEC));
  if (!fd)
    return fail_errno("open /dev/null", errno);
  return fd;
}

} // namespace chillbox::os
