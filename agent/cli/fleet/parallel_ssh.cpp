// Runs the same command on many hosts at once and reads their output by lines, with one loop over
// pipes and process descriptors and without threads.
#include "base/fd.hpp"
#include "base/text.hpp"
#include "cli/fleet/ssh.hpp"
#include "os/io.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

namespace chillbox::cli {
namespace {

constexpr size_t k_most_at_once = 16;
constexpr size_t k_most_kept = 8 << 20;

class SshChild {
public:
  SshChild(const Host& host, const ParallelSsh& command) : m_host(&host), m_command(&command) {}

  Result<void> start();
  bool running() const { return m_pid > 0; }
  // The descriptors of the process, its standard output and its standard error; -1: closed.
  std::array<int, 3> descriptors() const {
    return {m_pidfd.get(), m_pipes[0].from.get(), m_pipes[1].from.get()};
  }
  void read_from(size_t pipe); // all that can be read now
  void end();                  // after the process has ended: reads what is left, and its exit code
  const HostResult& result() const { return m_result; }

private:
  struct Pipe {
    Fd from;
    std::string begun; // a line that is not complete
  };
  void take(size_t pipe, std::string_view bytes);
  void tell(size_t pipe, const std::string& line);

  const Host* m_host;
  const ParallelSsh* m_command;
  pid_t m_pid = -1;
  Fd m_pidfd;
  std::array<Pipe, 2> m_pipes;
  HostResult m_result;
};

Result<void> SshChild::start() {
  const Fd nothing(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  std::array<Fd, 2> to;
  for (size_t i = 0; i < 2; ++i) {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0)
      return fail_errno("make a pipe", errno);
    m_pipes[i].from = Fd(ends[0]);
    to[i] = Fd(ends[1]);
    ::fcntl(ends[0], F_SETFL, O_NONBLOCK); // only our end: ssh must not be affected
  }
  m_pid = TRY(spawn_ssh(*m_host, {"-o", "BatchMode=yes"}, m_command->words,
      {nothing.get(), to[0].get(), to[1].get()}));
  m_pidfd = Fd(static_cast<int>(::syscall(SYS_pidfd_open, m_pid, 0)));
  return m_pidfd ? Result<void>{} : fail_errno("watch ssh", errno);
}

void SshChild::tell(size_t pipe, const std::string& line) {
  if (pipe == 1)
    m_result.last_error = line;
  const auto& hear = pipe == 0 ? m_command->on_out : m_command->on_error;
  if (hear)
    hear(*m_host, line);
}

void SshChild::take(size_t pipe, std::string_view bytes) {
  if (pipe == 0 && !m_command->on_out) {
    if (m_result.out.size() < k_most_kept)
      m_result.out += bytes;
    return;
  }
  std::string& begun = m_pipes[pipe].begun;
  for (const char c : bytes)
    if (c == '\n')
      tell(pipe, std::exchange(begun, ""));
    else if (c != '\r')
      begun += c;
}

void SshChild::read_from(size_t pipe) {
  std::array<char, 8192> bytes;
  for (;;) {
    const ssize_t n = os::read_some(m_pipes[pipe].from.get(), bytes.data(), bytes.size());
    if (n > 0)
      take(pipe, {bytes.data(), static_cast<size_t>(n)});
    else {
      if (n == 0)
        m_pipes[pipe].from.reset();
      return;
    }
  }
}

// The end of the process counts, not that of the pipes: a shared connection that ssh leaves running
// keeps them open.
void SshChild::end() {
  int status = 0;
  while (::waitpid(m_pid, &status, 0) < 0 && errno == EINTR) {}
  for (size_t pipe = 0; pipe < 2; ++pipe) {
    if (m_pipes[pipe].from)
      read_from(pipe);
    m_pipes[pipe].from.reset();
    if (!m_pipes[pipe].begun.empty())
      tell(pipe, std::exchange(m_pipes[pipe].begun, ""));
  }
  m_pid = -1;
  m_pidfd.reset();
  m_result.code = exit_of_ssh(status);
  if (m_command->on_end)
    m_command->on_end(*m_host, m_result);
}

// One round: waits until something can be read, and reads it.
Result<void> serve(std::vector<SshChild>& children) {
  std::vector<pollfd> polled;
  std::vector<std::pair<SshChild*, size_t>> whose;
  for (SshChild& child : children)
    if (child.running())
      for (size_t i = 0; const int fd : child.descriptors()) {
        if (fd >= 0) {
          polled.push_back({fd, POLLIN, 0});
          whose.emplace_back(&child, i);
        }
        ++i;
      }
  if (::poll(polled.data(), polled.size(), -1) < 0)
    return errno == EINTR ? Result<void>{} : fail_errno("wait for the hosts", errno);
  for (size_t i = polled.size(); i-- > 0;) // the pipes of a child before its end
    if (polled[i].revents != 0)
      whose[i].second == 0 ? whose[i].first->end() : whose[i].first->read_from(whose[i].second - 1);
  return {};
}

} // namespace

Result<std::vector<HostResult>> run_in_parallel(
    const std::vector<Host>& hosts, const ParallelSsh& command) {
  const SignalsForChild guard;
  std::vector<SshChild> children;
  children.reserve(hosts.size());
  for (size_t begun = 0;;) {
    auto running = static_cast<size_t>(std::ranges::count_if(children, &SshChild::running));
    for (; begun < hosts.size() && running < k_most_at_once; ++begun, ++running)
      TRY(children.emplace_back(hosts[begun], command).start());
    if (running == 0)
      break;
    TRY(serve(children));
  }
  std::vector<HostResult> results;
  for (const SshChild& child : children)
    results.push_back(child.result());
  return results;
}

} // namespace chillbox::cli
