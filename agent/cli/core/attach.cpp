#include "cli/core/attach.hpp"
#include "cli/core/interrupt.hpp"

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
#include <csignal>
#include <optional>

namespace chillbox::cli {
namespace {

using control::RunFrame;

constexpr size_t k_piece = 32 * 1024;
constexpr size_t k_most_waiting = 256 * 1024;
constexpr os::Millis k_connect{20'000};

std::string window_frame() {
  winsize size{};
  if (::ioctl(STDIN_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_row == 0)
    size = {24, 80, 0, 0};
  return control::run_frame(RunFrame::window, cat(size.ws_row, " ", size.ws_col));
}

// A change of the window wakes poll up, no more.
void on_window(int) {}

class Attached {
public:
  Attached(Fd run, bool terminal)
      : m_run(std::move(run)), m_terminal(terminal), m_to_run(window_frame()) {
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
    ::fcntl(m_run.get(), F_SETFL, ::fcntl(m_run.get(), F_GETFL) | O_NONBLOCK);
    while (!m_end) {
      std::array<pollfd, 2> fds{
          pollfd{m_input_open && m_to_run.size() < k_most_waiting ? STDIN_FILENO : -1, POLLIN, 0},
          pollfd{m_run.get(), static_cast<short>(POLLIN | (m_to_run.empty() ? 0 : POLLOUT)), 0}};
      if (::poll(fds.data(), fds.size(), -1) < 0 && errno == EINTR) {
        take_signal();
        continue;
      }
      if (fds[0].revents != 0)
        read_input();
      if ((fds[1].revents & POLLOUT) != 0)
        send();
      if ((fds[1].revents & ~POLLOUT) != 0)
        TRY(receive());
    }
    return std::move(*m_end);
  }

private:
  void take_signal() {
    if (m_terminal)
      m_to_run += window_frame();
    const int number = interrupted_by();
    if (number == 0)
      return;
    if (number == SIGHUP || m_asked || m_terminal) // TERM, of a terminal's: it is left as well
      leave_interrupted();
    m_asked = true;
    m_to_run += control::run_frame(RunFrame::stop);
  }

  void read_input() {
    std::array<char, k_piece> buffer;
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
    std::array<char, k_piece> buffer;
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
    case RunFrame::output: return write(STDOUT_FILENO, bytes);
    case RunFrame::error: return write(STDERR_FILENO, bytes);
    case RunFrame::ended: {
      const auto space = bytes.find(' ');
      const auto code = parse_u64(bytes.substr(0, space));
      m_end = RunEnd{static_cast<int>(code.value_or(1)), std::string(bytes.substr(space + 1))};
      return {};
    }
    default: return {};
    }
  }

  // The reader of our output may be gone: then the command gets no further than it would with a
  // pipe.
  Result<void> write(int fd, std::string_view bytes) {
    if (const int err = os::write_fully(fd, bytes); err != 0)
      return fail_errno("write the output; the command continues", err);
    return {};
  }

  Fd m_run;
  bool m_terminal;
  std::string m_to_run;
  bool m_input_open = true, m_asked = false;
  control::RunFrames m_frames;
  std::optional<RunEnd> m_end;
};

// Its process listens a moment after it was started.
Result<Fd> connect(const std::string& socket) {
  const os::Deadline deadline(k_connect);
  for (;;) {
    auto run = os::connect_unix(socket, k_connect);
    if (run || deadline.passed())
      return run;
    os::real_clock().sleep(os::Millis{5});
  }
}

} // namespace

Result<RunEnd> attach(const std::string& socket, bool terminal) {
  return Attached(TRY(connect(socket)), terminal).follow();
}

} // namespace chillbox::cli
