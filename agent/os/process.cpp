#include "os/process.hpp"

#include "base/text.hpp"
#include "os/socket.hpp"
#include "os/spawn.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>

namespace chillbox::os {
namespace {

constexpr Millis k_start_limit{10'000}; // fork to exec; only a dead disk takes longer
constexpr int k_ours = 2;               // standard error: the log

bool is_given(const RoleCommand& command, int target) {
  return std::any_of(command.fds.begin(), command.fds.end(),
      [target](const auto& pair) { return pair.second == target; });
}

} // namespace

Result<Child> Child::start(const RoleCommand& command) {
  if (command.argv.empty())
    return fail(Code::invalid, "start: no role named");
  const Fd null = TRY(open_null(O_RDONLY));
  Spawn plan;
  plan.program = command.program;
  plan.argv = command.argv;
  plan.env = command.env;
  plan.fds = command.fds;
  plan.ends_with_thread = command.ends_with_thread || ::syscall(SYS_gettid) == ::getpid();
  for (int target = 0; target <= 2; ++target)
    if (!is_given(command, target))
      plan.fds.emplace_back(target == 0 ? null.get() : k_ours, target);
  Spawned spawned = TRY(spawn(plan));
  Child child;
  child.m_pid = spawned.pid;
  child.m_pidfd = std::move(spawned.pidfd);
  // Its end is closed by exec; on a failure there is a word in it first.
  if (!TRY(wait_readable(spawned.status.get(), k_start_limit)))
    return fail(Code::timed_out,
        cat("start ", printable(command.argv[0]), ": not running after ", k_start_limit.count(),
            " ms"));
  if (std::optional<Error> error = start_error(plan, spawned.status))
    return std::unexpected(std::move(*error));
  return child;
}

Result<Child> Child::adopt(pid_t pid) {
  Child child;
  // Ours and not reaped yet: until then nobody else can have its number.
  siginfo_t info{};
  if (::waitid(P_PID, static_cast<id_t>(pid), &info, WEXITED | WNOHANG | WNOWAIT) != 0 ||
      info.si_pid != 0)
    return fail(Code::not_found, cat("process ", pid, ": not a child of ours that runs"));
  child.m_pidfd = Fd(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
  if (!child.m_pidfd)
    return fail_errno(cat("process ", pid, ": pidfd_open"), errno);
  child.m_pid = pid;
  return child;
}

std::string end_text(int code) {
  const char* why = code == 128 + SIGSYS ? " (a forbidden system call)"
      : code == 128 + SIGKILL            ? " (killed)"
                                         : "";
  return cat("code ", code, why);
}

pid_t Child::release() {
  m_pidfd.reset();
  return std::exchange(m_pid, -1);
}

Child::Child(Child&& other) noexcept
    : m_pid(std::exchange(other.m_pid, -1)), m_pidfd(std::move(other.m_pidfd)) {}

Child& Child::operator=(Child&& other) noexcept {
  if (this != &other) {
    const Child old(std::move(*this)); // ended here
    m_pid = std::exchange(other.m_pid, -1);
    m_pidfd = std::move(other.m_pidfd);
  }
  return *this;
}

Child::~Child() {
  if (!running())
    return;
  signal(SIGKILL);
  reap(m_pidfd.get());
}

void Child::signal(int number) {
  if (running())
    pidfd_signal(m_pidfd.get(), number);
}

Result<int> Child::wait(Millis timeout) {
  if (!running())
    return fail(Code::not_found, "wait for a child: there is none");
  if (!TRY(wait_readable(m_pidfd.get(), timeout)))
    return fail(Code::timed_out,
        cat("wait for process ", m_pid, ": still running after ", timeout.count(), " ms"));
  const Exit exit = reap(m_pidfd.get());
  m_pid = -1;
  m_pidfd.reset();
  return exit.code;
}

} // namespace chillbox::os
