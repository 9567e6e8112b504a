#include "cron/run_session.hpp"

#include "base/log.hpp"
#include "base/text.hpp"
#include "os/socket.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <utility>

namespace chillbox::cron {
namespace {

using control::RunFrame;

constexpr os::Millis k_first_wait{20'000}; // for the person who began it
constexpr os::Millis k_first_frame{2'000}; // of a connection; then it is none of ours
constexpr int k_last_wait_ms = 60'000;     // for one who takes nothing of the last bytes
constexpr size_t k_most_waiting = 256 * 1024;
constexpr size_t k_piece = 32 * 1024;
constexpr size_t k_last_lines = 20, k_line = 500;

void unblock(const Fd& fd) {
  ::fcntl(fd.get(), F_SETFL, ::fcntl(fd.get(), F_GETFL) | O_NONBLOCK);
}

void signal(const Fd& event) {
  const uint64_t one = 1;
  (void)!::write(event.get(), &one, sizeof one);
}

Result<std::array<Fd, 2>> make_pipe() {
  std::array<int, 2> ends;
  if (::pipe2(ends.data(), O_CLOEXEC) != 0)
    return fail_errno("pipe", errno);
  return std::array<Fd, 2>{Fd(ends[0]), Fd(ends[1])};
}

} // namespace

RunSession::RunSession(Options options, const Mask& mask, os::LogWriter log)
    : m_options(std::move(options)), m_masked(mask), m_log(std::move(log)),
      m_wake(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)),
      m_stop(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {}

RunSession::~RunSession() {
  if (!m_ended)
    finish(exit_code(Code::failure), "");
}

Result<void> RunSession::begin() {
  m_listener = TRY(os::listen_unix(m_options.socket, 0660, m_options.clients, 1));
  TRY(m_options.terminal ? make_terminal() : make_pipes());
  const os::Deadline deadline(k_first_wait);
  while (!m_options.detached && !m_client) {
    if (!TRY(os::wait_readable(m_listener.get(), deadline)))
      return fail(Code::timed_out, "nobody was attached: it was not started");
    take_client();
  }
  if (m_client)
    read_client(); // the size of the terminal
  return m_thread.start("run", [this] { loop(); });
}

Result<void> RunSession::make_terminal() {
  Fd ours(::posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC));
  std::array<char, 128> name{};
  if (!ours || ::grantpt(ours.get()) != 0 || ::unlockpt(ours.get()) != 0 ||
      ::ptsname_r(ours.get(), name.data(), name.size()) != 0)
    return fail_errno("make a terminal", errno);
  Fd theirs(::open(name.data(), O_RDWR | O_NOCTTY | O_CLOEXEC));
  if (!theirs ||
      (m_options.owner != 0 &&
          ::fchown(theirs.get(), m_options.owner, static_cast<gid_t>(-1)) != 0))
    return fail_errno(cat("open ", name.data()), errno);
  m_input = Fd(::fcntl(ours.get(), F_DUPFD_CLOEXEC, 3));
  for (auto& end : m_theirs)
    end = Fd(::fcntl(theirs.get(), F_DUPFD_CLOEXEC, 3));
  unblock(ours);
  m_sources[0] = {std::move(ours), RunFrame::output};
  return {};
}

Result<void> RunSession::make_pipes() {
  auto out = TRY(make_pipe()), err = TRY(make_pipe());
  if (m_options.detached) {
    m_theirs[0] = Fd(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  } else {
    auto in = TRY(make_pipe());
    m_theirs[0] = std::move(in[0]);
    m_input = std::move(in[1]);
    unblock(m_input);
  }
  m_theirs[1] = std::move(out[1]);
  m_theirs[2] = std::move(err[1]);
  unblock(out[0]);
  unblock(err[0]);
  m_sources[0] = {std::move(out[0]), RunFrame::output};
  m_sources[1] = {std::move(err[0]), RunFrame::error};
  return {};
}

std::array<int, 3> RunSession::streams() const {
  return {m_theirs[0].get(), m_theirs[1].get(), m_theirs[2].get()};
}

void RunSession::finish(int code, std::string_view text) {
  for (auto& end : m_theirs)
    end.reset(); // now its pipes end
  m_end = control::run_frame(RunFrame::ended, cat(code, " ", text));
  m_ended = true;
  signal(m_wake);
  m_thread.wait();
  m_client.reset();
  keep(m_masked.end());
  if (!m_line.empty())
    end_line();
  (void)::unlink(m_options.socket.c_str());
}

std::string RunSession::last_lines() const {
  return join({m_last.begin(), m_last.end()}, "\n");
}

// Sleeps in poll, without a deadline until the last bytes are to be passed on.
void RunSession::loop() {
  while (more()) {
    const bool room = m_to_client.size() < k_most_waiting || !m_client;
    const auto when = [](bool wanted, const Fd& fd, short events) {
      return pollfd{wanted ? fd.get() : -1, events, 0};
    };
    const short client_events = static_cast<short>(
        (m_to_command.size() < k_most_waiting ? POLLIN : 0) | (m_to_client.empty() ? 0 : POLLOUT));
    std::array<pollfd, 6> fds{when(!m_ended, m_wake, POLLIN), when(true, m_listener, POLLIN),
        when(true, m_client, client_events), when(!m_to_command.empty(), m_input, POLLOUT),
        when(room, m_sources[0].fd, POLLIN), when(room, m_sources[1].fd, POLLIN)};
    const int ready = ::poll(fds.data(), fds.size(), m_ended ? k_last_wait_ms : -1);
    if (ready < 0 && errno != EINTR)
      return;
    if (ready <= 0) { // after the command's end: what is left is kept without this client
      if (ready == 0)
        drop_client();
      continue;
    }
    if (fds[1].revents != 0)
      take_client();
    else if (fds[2].revents != 0) {
      if ((fds[2].revents & POLLOUT) != 0)
        write_client();
      if (m_client && (fds[2].revents & ~POLLOUT) != 0)
        read_client();
    }
    if (fds[3].revents != 0)
      write_input();
    for (size_t i = 0; i < m_sources.size(); ++i)
      if (fds[4 + i].revents != 0)
        read_source(m_sources[i]);
  }
}

bool RunSession::more() {
  if (!m_ended || m_sources[0].fd || m_sources[1].fd)
    return true;
  if (m_client && !std::exchange(m_end_sent, true))
    m_to_client += m_end;
  return m_client && !m_to_client.empty();
}

// A first frame comes at once. One that asks for the end is not attached, so that nobody loses the
// streams by it.
void RunSession::take_client() {
  auto client = os::accept(m_listener.get());
  std::array<char, 5> head{};
  if (!client || !os::wait_readable(client->get(), os::Deadline(k_first_frame)).value_or(false) ||
      ::recv(client->get(), head.data(), head.size(), MSG_PEEK) !=
          static_cast<ssize_t>(head.size()))
    return;
  if (static_cast<RunFrame>(head[4]) == RunFrame::stop)
    return signal(m_stop);
  drop_client();
  m_client = std::move(*client);
  unblock(m_client);
}

void RunSession::drop_client() {
  m_client.reset();
  m_frames = {};
  m_to_client.clear();
  m_end_sent = false;
}

void RunSession::read_client() {
  std::array<char, k_piece> buffer;
  const ssize_t n = os::read_some(m_client.get(), buffer.data(), buffer.size());
  if (n < 0 && errno == EAGAIN)
    return;
  if (n <= 0)
    return drop_client();
  m_frames.feed({buffer.data(), static_cast<size_t>(n)});
  for (std::string frame; !(frame = m_frames.next()).empty();)
    obey(frame);
  if (m_frames.broken())
    drop_client();
}

void RunSession::obey(std::string_view frame) {
  const auto bytes = frame.substr(1);
  switch (static_cast<RunFrame>(frame[0])) {
  case RunFrame::input:
    if (m_input && !m_input_ends)
      m_to_command += bytes;
    break;
  case RunFrame::end_of_input: m_input_ends = true; break;
  case RunFrame::window: {
    const auto words = split(bytes, ' ');
    const auto rows = parse_u64(words[0]), columns = parse_u64(words.back());
    const winsize size{static_cast<unsigned short>(rows.value_or(24)),
        static_cast<unsigned short>(columns.value_or(80)), 0, 0};
    if (m_options.terminal)
      ::ioctl(m_input.get(), TIOCSWINSZ, &size);
    break;
  }
  case RunFrame::stop: signal(m_stop); break;
  default: break;
  }
  write_input();
}

void RunSession::write_input() {
  while (m_input && !m_to_command.empty()) {
    const ssize_t n = ::write(m_input.get(), m_to_command.data(), m_to_command.size());
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
      return;
    if (n < 0) { // it reads no more
      m_to_command.clear();
      break;
    }
    m_to_command.erase(0, static_cast<size_t>(n));
  }
  if (m_input_ends && m_to_command.empty() && !m_options.terminal)
    m_input.reset();
}

void RunSession::write_client() {
  const ssize_t n =
      ::send(m_client.get(), m_to_client.data(), m_to_client.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
  if (n > 0)
    m_to_client.erase(0, static_cast<size_t>(n));
  else if (errno != EAGAIN && errno != EINTR)
    drop_client();
}

void RunSession::read_source(Source& source) {
  std::array<char, k_piece> buffer;
  const ssize_t n = os::read_some(source.fd.get(), buffer.data(), buffer.size());
  if (n < 0 && errno == EAGAIN)
    return;
  if (n <= 0) // of a terminal it is EIO
    return source.fd.reset();
  const std::string_view bytes(buffer.data(), static_cast<size_t>(n));
  if (m_client)
    m_to_client += control::run_frame(source.kind, bytes);
  keep(m_masked.feed(bytes));
}

// A full disk does not end the command.
void RunSession::keep(std::string_view text) {
  m_log.append(text);
  for (const char c : text)
    if (c == '\n')
      end_line();
    else if (m_line.size() < k_line)
      m_line.push_back(c);
}

void RunSession::end_line() {
  m_last.push_back(printable(trim(m_line), k_line));
  m_line.clear();
  if (m_last.size() > k_last_lines)
    m_last.pop_front();
}

} // namespace chillbox::cron
