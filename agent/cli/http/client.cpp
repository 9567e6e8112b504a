#include "cli/http/client.hpp"

#include "base/text.hpp"
#include "cli/core/terminal.hpp"
#include "cli/http/connect.hpp"
#include "cli/http/connection.hpp"
#include "cli/http/reply_reader.hpp"
#include "cli/http/url.hpp"

#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <optional>

namespace chillbox::cli {
namespace {

using std::chrono::milliseconds;

constexpr size_t k_max_body = 1 << 20;
constexpr size_t k_piece = 128 * 1024;
constexpr milliseconds k_connect_timeout{10'000};
constexpr milliseconds k_answer_wait{150'000}; // after an upload the host copies and syncs it

// One request and its answer.
class Exchange {
public:
  Exchange(const HttpRequest& request, const Url& url, const std::optional<Proxy>& proxy)
      : m_request(request), m_url(url), m_proxy(proxy),
        m_patience(request.timeout, request.on_bytes ? milliseconds::max() : request.stall) {}
  Result<HttpReply> run(const std::string& certificates);

private:
  Result<Fd> connect() const;
  std::string head() const;
  Result<void> send();
  Result<bool> next_piece(std::string& piece);
  Result<bool> is_answered();
  Result<HttpReply> receive();
  Result<HttpReply> go(const std::string& certificates);
  Result<void> take(std::string& bytes);
  uint64_t body_size() const {
    return m_request.file >= 0 ? m_request.file_size - m_request.file_offset
                               : m_request.body.size();
  }

  const HttpRequest& m_request;
  const Url& m_url;
  const std::optional<Proxy>& m_proxy;
  Patience m_patience;
  std::optional<Connection> m_connection;
  uint64_t m_given = 0; // bytes of the body
  std::string m_came;   // what no reader has taken
  ReplyReader m_reader;
  HttpReply m_reply;
  std::optional<Error> m_takers; // of on_bytes
  bool m_early = false;          // the answer came before all of the body was sent
};

Result<Fd> Exchange::connect() const {
  const std::string& host = m_proxy ? m_proxy->host : m_url.host;
  const uint16_t port = m_proxy ? m_proxy->port : m_url.port;
  const milliseconds most = m_patience.left(k_connect_timeout);
  Fd fd = TRY(connect_tcp(host, port, most));
  if (m_proxy && m_url.tls)
    TRY(ask_proxy(fd.get(), *m_proxy, m_url, most));
  return fd;
}

// A proxy is given the whole address, and its password goes to nobody else.
std::string Exchange::head() const {
  const bool by_proxy = m_proxy && !m_url.tls;
  std::string out = cat(m_request.method, " ", by_proxy ? m_url.origin() : std::string(),
      m_url.path, " HTTP/1.1\r\n");
  bool has_host = false;
  for (const std::string& line : m_request.headers) {
    const auto colon = std::min(line.find(':'), line.size());
    const auto name = std::string_view(line).substr(0, colon);
    has_host = has_host || name == "Host";
    out += cat(
        name, ": ", trim(std::string_view(line).substr(std::min(colon + 1, line.size()))), "\r\n");
  }
  if (!has_host)
    out += cat("Host: ", m_url.authority, "\r\n");
  if (const auto credentials = by_proxy ? proxy_credentials(*m_proxy) : ""; !credentials.empty())
    out += cat("Proxy-Authorization: ", credentials, "\r\n");
  if (body_size() > 0 || m_request.method != "GET")
    out += cat("Content-Length: ", body_size(), "\r\n");
  return out +
      "Accept: */*\r\nConnection: close\r\nUser-Agent: chillboxctl/" CHILLBOX_VERSION "\r\n\r\n";
}

// More of the body to send. False: that was all.
Result<bool> Exchange::next_piece(std::string& piece) {
  const uint64_t left = body_size() - m_given;
  const size_t size = std::min<uint64_t>(left, k_piece);
  if (size == 0)
    return false;
  if (m_request.file < 0) {
    piece = m_request.body.substr(m_given, size);
  } else {
    piece.resize(size);
    const auto at = static_cast<off_t>(m_request.file_offset + m_given);
    const ssize_t n = ::pread(m_request.file, piece.data(), size, at);
    if (n < 0)
      return fail_errno("read the file", errno);
    if (n == 0)
      return fail(Code::failure, "the file became shorter while it was sent");
    piece.resize(static_cast<size_t>(n));
  }
  m_given += piece.size();
  return true;
}

// Whether the host has answered, or closed.
Result<bool> Exchange::is_answered() {
  switch (m_connection->read(m_came)) {
  case Connection::Came::none: return false;
  case Connection::Came::end: return true;
  case Connection::Came::bytes: break;
  }
  m_patience.moved();
  TRY(take(m_came));
  return m_reader.status() != 0;
}

// Ends as well when the host has answered, or closed: what it said is then to be read.
Result<void> Exchange::send() {
  std::string piece = head();
  if (m_request.file < 0 && m_request.body.size() <= k_piece) { // in one packet
    piece += m_request.body;
    m_given = m_request.body.size();
  }
  for (std::string_view rest = piece;;) {
    if (rest.empty()) {
      if (m_given > 0 && m_request.sent && m_request.file >= 0)
        m_request.sent(m_request.file_offset + m_given);
      if (!TRY(next_piece(piece)))
        break;
      rest = piece;
    }
    const auto taken = m_connection->write(rest);
    if (!taken)
      return {}; // the answer may have come before
    rest.remove_prefix(*taken);
    if (*taken > 0)
      m_patience.moved();
    else
      TRY(m_connection->wait(true, m_patience));
    if (body_size() > 0 && TRY(is_answered())) {
      m_early = true;
      return {};
    }
  }
  if (body_size() > 0)
    m_patience.allow_stall(std::max(m_request.stall, k_answer_wait));
  return {};
}

// Of the answer, what has come of it.
Result<void> Exchange::take(std::string& bytes) {
  std::string body;
  TRY(m_reader.take(bytes, body));
  if (m_reader.status() == 200 && m_request.on_bytes) {
    auto taken = body.empty() ? Result<void>{} : m_request.on_bytes(body);
    if (!taken)
      m_takers = taken.error();
    return taken;
  }
  if (m_reply.body.size() + body.size() > k_max_body)
    return fail(Code::too_large, cat("the host's answer is over ", k_max_body, " bytes"));
  m_reply.body += body;
  return {};
}

Result<HttpReply> Exchange::receive() {
  while (!m_reader.is_whole()) {
    const auto came = m_connection->read(m_came);
    if (came == Connection::Came::none) {
      TRY(m_connection->wait(false, m_patience));
      continue;
    }
    if (came == Connection::Came::end) {
      // One that came early may be cut off: the host has closed on what is still on its way.
      if (m_reader.ends_with_connection() || (m_early && m_reader.status() != 0))
        break;
      return fail(Code::unreachable, "the connection was closed before an answer came");
    }
    m_patience.moved();
    TRY(take(m_came));
  }
  m_reply.status = m_reader.status();
  return std::move(m_reply);
}

Result<HttpReply> Exchange::go(const std::string& certificates) {
  auto socket = connect();
  if (!socket)
    TRY(m_patience.check());
  m_connection.emplace(TRY(std::move(socket)));
  if (m_url.tls)
    TRY(m_connection->start_tls(m_url.host, certificates, m_patience));
  TRY(send());
  return receive();
}

// With the host in the message, without the rest of the address: that may be a capability.
Result<HttpReply> Exchange::run(const std::string& certificates) {
  auto reply = go(certificates);
  if (reply || m_takers ||
      (reply.error().code != Code::unreachable && reply.error().code != Code::timed_out))
    return reply;
  return fail(reply.error().code,
      cat(m_url.origin(), m_proxy ? cat(" (through the proxy ", m_proxy->origin(), ")") : "", ": ",
          printable(reply.error().message, 300)));
}

} // namespace

Result<Http> Http::create(const std::string& certificates) {
  if (!certificates.empty() && ::access(certificates.c_str(), R_OK) != 0)
    return fail_errno(cat("--cacert: read ", printable(certificates, 1024)), errno);
  std::signal(SIGPIPE, SIG_IGN); // OpenSSL would raise it
  return Http(certificates);
}

Result<HttpReply> Http::send(const HttpRequest& request) const {
  const auto url = TRY(parse_url(request.url));
  // Without the rest of the path, in which there may be a capability.
  say_command(cat(request.method, " ",
      request.url.substr(0, request.url.find('/', request.url.find("://") + 3))));
  const auto proxy = TRY(proxy_of(url, environment));
  return Exchange(request, url, proxy).run(m_certificates);
}

} // namespace chillbox::cli
