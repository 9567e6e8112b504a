#include "cli/http/client.hpp"

#include "base/encoding.hpp"
#include "base/text.hpp"
#include "cli/core/duration.hpp"
#include "cli/core/terminal.hpp"
#include "cli/http/connect.hpp"
#include "cli/http/connection.hpp"
#include "cli/http/reply_reader.hpp"
#include "cli/http/url.hpp"
#include "os/deadline.hpp"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <optional>

namespace chillbox::cli {
namespace {

using std::chrono::milliseconds;

constexpr size_t k_max_body = 1 << 20;
constexpr size_t k_piece = 16 * 1024;
constexpr int k_unsent = 128 * 1024; // in the kernel: so that progress is what has left the machine
constexpr milliseconds k_connect_timeout{10'000}; // of each address
constexpr milliseconds k_answer_wait{150'000};    // after an upload the host copies and syncs it

os::Deadline deadline_of(milliseconds time) {
  return time == milliseconds::max() ? os::Deadline() : os::Deadline(time);
}

// One request and its answer.
class Transfer {
public:
  Transfer(const HttpRequest& request, Url url, std::optional<Proxy> proxy)
      : m_request(request), m_url(std::move(url)), m_proxy(std::move(proxy)),
        m_deadline(deadline_of(request.timeout)),
        m_stall(request.on_bytes ? milliseconds::max() : request.stall),
        m_idle(deadline_of(m_stall)),
        m_reader([this](std::string_view bytes) { return take(bytes); }) {}
  Result<HttpReply> run(const std::string& certificates);

private:
  Result<Connection> connect(const std::string& certificates);
  Result<void> exchange(Connection& connection);
  Result<void> send(Connection& connection);
  Result<void> fill();
  Result<void> receive(Connection& connection);
  Result<void> take(std::string_view bytes);
  Result<short> wait(const Connection& connection, short events);
  void moved() { m_idle = deadline_of(m_stall); }
  std::string head() const;
  std::unexpected<Error> unreachable(Code code, std::string_view reason) const;
  std::unexpected<Error> late() const;
  bool by_proxy() const { return m_proxy && !m_url.tls; } // it reads the request
  bool is_sent() const { return m_out.empty() && m_given == body_size(); }
  uint64_t body_size() const {
    return m_request.file >= 0 ? m_request.file_size - m_request.file_offset
                               : m_request.body.size();
  }

  const HttpRequest& m_request;
  Url m_url;
  std::optional<Proxy> m_proxy;
  os::Deadline m_deadline;
  milliseconds m_stall;
  os::Deadline m_idle;
  ReplyReader m_reader;
  std::string m_out;      // to be sent, before the rest of the body
  uint64_t m_given = 0;   // of the body, in m_out or sent
  std::string m_body;     // of the answer
  bool m_refused = false; // a part of it
};

// The rest of the address may be a capability.
std::unexpected<Error> Transfer::unreachable(Code code, std::string_view reason) const {
  return fail(code,
      cat(m_url.origin(), m_proxy ? cat(" (through the proxy ", m_proxy->origin(), ")") : "", ": ",
          printable(reason, 300)));
}

std::unexpected<Error> Transfer::late() const {
  if (m_deadline.passed())
    return unreachable(
        Code::timed_out, cat("no answer within ", format_duration(m_request.timeout)));
  return unreachable(
      Code::unreachable, cat("stalled: no byte moved for ", format_duration(m_stall)));
}

// Until one of `events`, or an error of the connection, which reading or writing then finds.
Result<short> Transfer::wait(const Connection& connection, short events) {
  pollfd one{connection.socket(), events, 0};
  for (;;) {
    const auto& first = m_deadline.left() < m_idle.left() ? m_deadline : m_idle;
    const int ready = ::poll(&one, 1, first.poll_ms());
    if (ready > 0)
      return static_cast<short>((one.revents & (POLLERR | POLLHUP)) != 0 ? events : one.revents);
    if (ready < 0 && errno != EINTR)
      return fail_errno("poll", errno);
    if (m_deadline.passed() || m_idle.passed())
      return late();
  }
}

Result<Connection> Transfer::connect(const std::string& certificates) {
  auto socket = !m_proxy ? connect_tcp(m_url.host, m_url.port, k_connect_timeout, m_deadline)
      : m_url.tls        ? connect_through(*m_proxy, m_url, k_connect_timeout, m_deadline)
                         : connect_tcp(m_proxy->host, m_proxy->port, k_connect_timeout, m_deadline);
  if (!socket)
    return m_deadline.passed() ? late() : unreachable(socket.error().code, socket.error().message);
  const int at_once = 1;
  ::setsockopt(socket->get(), IPPROTO_TCP, TCP_NODELAY, &at_once, sizeof at_once);
  ::setsockopt(socket->get(), IPPROTO_TCP, TCP_NOTSENT_LOWAT, &k_unsent, sizeof k_unsent);
  auto connection = Connection::create(std::move(*socket), m_url, certificates);
  if (!connection)
    return unreachable(connection.error().code, connection.error().message);
  moved();
  for (;;) {
    const auto shaken = connection->shake();
    if (!shaken)
      return unreachable(shaken.error().code, shaken.error().message);
    if (*shaken)
      return connection;
    TRY(wait(*connection, connection->to_read()));
    moved();
  }
}

std::string Transfer::head() const {
  std::string text = cat(m_request.method, " ", by_proxy() ? m_url.origin() : "", m_url.path,
      " HTTP/1.1\r\nUser-Agent: chillboxctl/" CHILLBOX_VERSION "\r\n");
  bool has_host = false;
  for (const std::string& line : m_request.headers) {
    text += cat(line, "\r\n");
    has_host = has_host || line.starts_with("Host:");
  }
  if (!has_host)
    text += cat("Host: ", m_url.authority, "\r\n");
  if (by_proxy() && !m_proxy->user.empty())
    text += cat(basic_login(*m_proxy), "\r\n");
  if (body_size() > 0 || m_request.method != "GET")
    text += cat("Content-Length: ", body_size(), "\r\n");
  return text + "Accept: */*\r\nConnection: close\r\n\r\n";
}

// The next piece of the body.
Result<void> Transfer::fill() {
  const auto size = static_cast<size_t>(std::min<uint64_t>(body_size() - m_given, k_piece));
  if (m_request.file < 0) {
    m_out = m_request.body.substr(static_cast<size_t>(m_given), size);
  } else {
    m_out.resize(size);
    const auto at = static_cast<off_t>(m_request.file_offset + m_given);
    const ssize_t n = ::pread(m_request.file, m_out.data(), size, at);
    if (n <= 0)
      return n == 0 ? fail(Code::failure, "the file became shorter while it was sent")
                    : fail_errno("read the file", errno);
    m_out.resize(static_cast<size_t>(n));
  }
  m_given += m_out.size();
  return {};
}

Result<void> Transfer::send(Connection& connection) {
  if (m_out.empty())
    TRY(fill());
  const size_t taken = connection.write(m_out);
  if (taken == 0)
    return {};
  m_out.erase(0, taken);
  if (is_sent() && body_size() > 0 && m_stall != milliseconds::max())
    m_stall = k_answer_wait;
  moved();
  if (m_out.empty() && m_given > 0 && m_request.sent && m_request.file >= 0)
    m_request.sent(m_request.file_offset + m_given);
  return {};
}

Result<void> Transfer::take(std::string_view bytes) {
  Result<void> taken{};
  if (m_reader.status() == 200 && m_request.on_bytes)
    taken = m_request.on_bytes(bytes);
  else if (m_body.size() + bytes.size() > k_max_body)
    taken = fail(Code::too_large, cat("the host's answer is over ", k_max_body, " bytes"));
  else
    m_body += bytes;
  m_refused = !taken;
  return taken;
}

// All that has come.
Result<void> Transfer::receive(Connection& connection) {
  std::array<char, k_piece> piece;
  while (!m_reader.is_done()) {
    const size_t size = connection.read(piece);
    if (size == 0)
      return {};
    moved();
    if (auto read = m_reader.add({piece.data(), size}); !read)
      return m_refused ? read : unreachable(Code::unreachable, read.error().message);
  }
  return {};
}

// The answer may come while the body is on its way: a host that refuses an upload says so after the
// head, and closes. The rest is not sent then.
Result<void> Transfer::exchange(Connection& connection) {
  m_out = head();
  while (!m_reader.is_done() && connection.ended() == Connection::End::no) {
    const bool sends = !is_sent() && m_reader.status() == 0 && !connection.takes_no_more();
    const short reading = connection.to_read(), writing = sends ? connection.to_write() : short{0};
    const short ready = TRY(wait(connection, static_cast<short>(reading | writing)));
    if ((ready & reading) != 0)
      TRY(receive(connection));
    if (sends && m_reader.status() == 0 && (ready & writing) != 0)
      TRY(send(connection));
  }
  // Of one that was refused before all of it was sent the status has to do.
  const bool whole =
      m_reader.is_done() || (m_reader.may_end() && connection.ended() == Connection::End::orderly);
  if (m_reader.status() == 0 || (!whole && is_sent()))
    return unreachable(Code::unreachable, "the connection was closed before an answer came");
  return {};
}

Result<HttpReply> Transfer::run(const std::string& certificates) {
  auto connection = TRY(connect(certificates));
  TRY(exchange(connection));
  return HttpReply{.status = m_reader.status(), .body = std::move(m_body)};
}

} // namespace

Result<Http> Http::create(const std::string& certificates) {
  if (!certificates.empty() && ::access(certificates.c_str(), R_OK) != 0)
    return fail_errno(cat("--cacert: read ", printable(certificates, 1024)), errno);
  std::signal(SIGPIPE, SIG_IGN); // OpenSSL would raise it
  return Http(certificates);
}

Result<HttpReply> Http::send(const HttpRequest& request) const {
  auto url = TRY(parse_url(request.url));
  // Without the rest of the path, in which there may be a capability.
  say_command(cat(request.method, " ",
      request.url.substr(0, request.url.find('/', request.url.find("://") + 3))));
  auto proxy = TRY(proxy_of(url, environment));
  return Transfer(request, std::move(url), std::move(proxy)).run(m_certificates);
}

} // namespace chillbox::cli
