#include "cli/core/attach.hpp"
#include "cli/core/interrupt.hpp"

#include "base/secret.hpp"
#include "base/text.hpp"
#include "control/run_stream.hpp"
#include "os/io.hpp"
#include "os/socket.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <termios.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <climits>
#include <csignal>
#include <deque>
#include <optional>
#include <span>
#include <utility>

namespace chillbox::cli {
namespace {

using control::RunFrame;

constexpr size_t k_attach_piece = 32 * 1024;
constexpr size_t k_most_waiting = 256 * 1024;
constexpr os::Millis k_attach_connect{20'000};

std::string window_frame() {
  winsize size{};
  if (::ioctl(STDIN_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_row == 0)
    size = {24, 80, 0, 0};
  return control::run_frame(RunFrame::window, cat(size.ws_row, " ", size.ws_col));
}

volatile std::sig_atomic_t g_resized = 0;

void on_window(int) {
  g_resized = 1;
}

// Signals come in wait() alone, so that none is missed, whenever it is sent.
class SignalsInPoll {
public:
  SignalsInPoll() {
    sigset_t all;
    sigemptyset(&all);
    for (const int number : {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGWINCH})
      sigaddset(&all, number);
    ::sigprocmask(SIG_BLOCK, &all, &m_before);
  }
  ~SignalsInPoll() { ::sigprocmask(SIG_SETMASK, &m_before, nullptr); }
  SignalsInPoll(const SignalsInPoll&) = delete;
  SignalsInPoll& operator=(const SignalsInPoll&) = delete;
  // As poll(2), without a time limit.
  int wait(std::span<pollfd> fds) const {
    return ::ppoll(fds.data(), fds.size(), nullptr, &m_before);
  }

private:
  sigset_t m_before{};
};

// What the command printed and our reader has not taken yet, in its order.
struct Output {
  int fd = -1;
  std::string bytes;
};

class Attached {
public:
  Attached(Fd run, std::string socket, bool terminal)
      : m_run(std::move(run)), m_socket(std::move(socket)), m_terminal(terminal),
        m_to_run(window_frame()) {
    if (!terminal)
      return;
    struct sigaction action{};
    action.sa_handler = on_window;
    ::sigaction(SIGWINCH, &action, nullptr);
  }

  Result<RunEnd> follow() {
    std::optional<EchoOff> raw;
    if (m_terminal)
      raw.emplace(STDIN_FILENO, true);
    const DeferInterrupt defer;
    const SignalsInPoll signals;
    ::fcntl(m_run.get(), F_SETFL, ::fcntl(m_run.get(), F_GETFL) | O_NONBLOCK);
    while (!m_end || !m_output.empty()) {
      const bool reads = m_input_open && m_to_run.size() < k_most_waiting && !m_end;
      const short run_events = static_cast<short>(
          (m_waiting < k_most_waiting ? POLLIN : 0) | (m_to_run.empty() ? 0 : POLLOUT));
      std::array<pollfd, 3> fds{pollfd{reads ? STDIN_FILENO : -1, POLLIN, 0},
          pollfd{m_end ? -1 : m_run.get(), run_events, 0},
          pollfd{m_output.empty() ? -1 : m_output.front().fd, POLLOUT, 0}};
      if (signals.wait(fds) < 0) {
        TRY(take_signal());
        continue;
      }
      if (fds[0].revents != 0)
        read_input();
      if ((fds[1].revents & POLLOUT) != 0)
        send();
      if ((fds[1].revents & ~POLLOUT) != 0)
        TRY(receive());
      if (fds[2].revents != 0)
        TRY(write_output());
    }
    return std::move(*m_end);
  }

private:
  Result<void> take_signal() {
    if (m_terminal && std::exchange(g_resized, 0) != 0)
      m_to_run += window_frame();
    const int number = take_interrupt();
    if (number == 0)
      return {};
    // At a terminal Ctrl-C is a byte for the command.
    if (number == SIGHUP || m_asked || m_terminal)
      leave_interrupted(number);
    m_asked = true;
    // On a connection of its own: our input may be in the way.
    const Fd other = TRY(os::connect_unix(m_socket, k_attach_connect));
    return os::write_all(other.get(), bytes_of(control::run_frame(RunFrame::stop)));
  }

  void read_input() {
    std::array<char, k_attach_piece> buffer;
    const ssize_t n = os::read_some(STDIN_FILENO, buffer.data(), buffer.size());
    m_input_open = n > 0 || (n < 0 && errno == EAGAIN);
    if (n > 0)
      m_to_run += control::run_frame(RunFrame::input, {buffer.data(), static_cast<size_t>(n)});
    else if (!m_input_open)
      m_to_run += control::run_frame(RunFrame::end_of_input);
  }

  void send() {
    const ssize_t n =
        ::send(m_run.get(), m_to_run.data(), m_to_run.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n > 0)
      m_to_run.erase(0, static_cast<size_t>(n));
  }

  Result<void> receive() {
    std::array<char, k_attach_piece> buffer;
    const ssize_t n = os::read_some(m_run.get(), buffer.data(), buffer.size());
    if (n < 0 && errno == EAGAIN)
      return {};
    if (n <= 0)
      return fail(Code::conflict,
          "its streams are gone: another one was attached to it, or its process was killed");
    m_frames.feed({buffer.data(), static_cast<size_t>(n)});
    for (std::string frame; !(frame = m_frames.next()).empty();)
      TRY(take(frame));
    return {};
  }

  Result<void> take(std::string_view frame) {
    const auto bytes = frame.substr(1);
    switch (static_cast<RunFrame>(frame[0])) {
    case RunFrame::output: return keep(STDOUT_FILENO, bytes);
    case RunFrame::error: return keep(STDERR_FILENO, bytes);
    case RunFrame::ended: {
      const auto space = bytes.find(' ');
      const auto code = parse_u64(bytes.substr(0, space));
      m_end = RunEnd{static_cast<int>(code.value_or(1)), std::string(bytes.substr(space + 1))};
      return {};
    }
    default: return {};
    }
  }

  Result<void> keep(int fd, std::string_view bytes) {
    if (!m_output.empty() && m_output.back().fd == fd)
      m_output.back().bytes += bytes;
    else
      m_output.push_back({fd, std::string(bytes)});
    m_waiting += bytes.size();
    return {};
  }

  // As much as never blocks: a pipe that can be written to takes PIPE_BUF bytes. A reader that is
  // gone ends us; the command continues.
  Result<void> write_output() {
    auto& [fd, bytes] = m_output.front();
    std::string_view piece = std::string_view(bytes).substr(0, PIPE_BUF);
    const size_t size = piece.size();
    if (const int err = os::write_fully(fd, piece); err != 0)
      return fail_errno("write the output; the command continues", err);
    m_waiting -= size;
    bytes.erase(0, size);
    if (bytes.empty())
      m_output.pop_front();
    return {};
  }

  Fd m_run;
  std::string m_socket;
  bool m_terminal;
  std::string m_to_run;
  bool m_input_open = true, m_asked = false;
  std::deque<Output> m_output;
  size_t m_waiting = 0;
  control::RunFrames m_frames;
  std::optional<RunEnd> m_end;
};

// The task's process listens a moment after it was started.
Result<Fd> connect(const std::string& socket, os::Millis patience) {
  const os::Deadline deadline(patience);
  for (;;) {
    auto run = os::connect_unix(socket, k_attach_connect);
    if (run || run.error().code != Code::unreachable || deadline.passed())
      return run;
    os::real_clock().sleep(os::Millis{5}); // that it listens is no event
  }
}

} // namespace

Result<RunEnd> attach(
    const std::string& socket, bool terminal, std::chrono::milliseconds patience) {
  return Attached(TRY(connect(socket, patience)), socket, terminal).follow();
}

} // namespace chillbox::cli
