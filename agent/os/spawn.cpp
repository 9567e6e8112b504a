#include "os/spawn.hpp"

#include "base/text.hpp"
#include "os/spawn_child.hpp"

#include <fcntl.h>
#include <sched.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>

namespace chillbox::os {
namespace {

constexpr auto k_by_pidfd = static_cast<idtype_t>(3); // P_PIDFD, which not every libc names

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
  if (plan.group >= 0)
    p.group = TRY(duplicate_above(plan.group, floor));
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

std::string what_failed(const Spawn& plan, const Failure& f) {
  switch (f.step) {
  case Step::ipc: return "make an IPC namespace";
  case Step::network: return "make a network namespace";
  case Step::mounts: return "make a mount namespace";
  case Step::view: return MountCalls(plan.view).what_failed(f.index);
  case Step::descriptors: return "place its descriptors (needs Linux 5.11)";
  case Step::terminal: return "make a terminal its own";
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
  // The first process of a pid namespace of its own is not in the group, the program is.
  child.pid = split_off(p, !plan.contained, plan.contained ? CLONE_NEWPID : 0);
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
