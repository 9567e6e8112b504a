#include "cli/http/client.hpp"

#include "base/text.hpp"
#include "cli/core/duration.hpp"
#include "cli/core/terminal.hpp"
#include "cli/http/connect.hpp"
#include "cli/http/early_reply.hpp"
#include "cli/http/url.hpp"
#include "cli/http/watch.hpp"

#ifndef CPPHTTPLIB_OPENSSL_SUPPORT
#define CPPHTTPLIB_OPENSSL_SUPPORT
#endif
#include <httplib.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <optional>

namespace chillbox::cli {
namespace {

using std::chrono::milliseconds;

constexpr size_t k_max_body = 1 << 20;
constexpr size_t k_piece = 16 * 1024;
constexpr int k_unsent = 128 * 1024; // in the kernel: so that progress is what has left the machine
constexpr milliseconds k_connect_timeout{10'000};
constexpr milliseconds k_try_again{2'000};     // how long another address is given
constexpr milliseconds k_answer_wait{150'000}; // after an upload the host copies and syncs it
constexpr milliseconds k_library_timeout = std::chrono::hours(24); // the watch is earlier

// What the handshake found, and its session: httplib keeps both to itself.
struct Tls {
  SSL* session = nullptr;
  long verified = X509_V_OK;
  std::string alert; // why the handshake ended
};
thread_local Tls* t_tls = nullptr;

void on_handshake(const SSL* ssl, int where, int result) {
  if (t_tls == nullptr)
    return;
  t_tls->session = const_cast<SSL*>(ssl);
  if (const long verified = SSL_get_verify_result(ssl); verified != X509_V_OK)
    t_tls->verified = verified;
  if ((where & SSL_CB_ALERT) != 0 && (where & SSL_CB_READ) != 0)
    t_tls->alert = SSL_alert_desc_string_long(result);
}

bool is_unknown_authority(long verified) {
  return verified == X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT ||
      verified == X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN ||
      verified == X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY;
}

SSL_CTX* context_of(auto& client) {
  if constexpr (requires { client.ssl_context(); })
    return client.ssl_context();
  else
    return static_cast<SSL_CTX*>(client.tls_context());
}

// One request and all that its callbacks need.
class Transfer {
public:
  Transfer(const HttpRequest& request, Url url, std::optional<Proxy> proxy)
      : m_request(request), m_url(std::move(url)), m_proxy(std::move(proxy)),
        m_watch(request.timeout, request.on_bytes ? milliseconds::max() : request.stall) {
    t_tls = &m_tls;
  }
  ~Transfer() { t_tls = nullptr; }
  Result<HttpReply> run(const std::string& certificates);

private:
  std::unique_ptr<httplib::ClientImpl> client(const std::string& certificates);
  httplib::Request request();
  void set_tls(httplib::SSLClient& client, const std::string& certificates) const;
  bool give(size_t offset, size_t length, httplib::DataSink& sink);
  bool take(const char* data, size_t size);
  bool take_early();
  ssize_t receive(char* data, size_t size) const;
  Error error_of(httplib::Error error) const;
  Error unreachable(Code code, std::string_view reason) const;
  std::string reason_of(httplib::Error error) const;
  uint64_t body_size() const {
    return m_request.file >= 0 ? m_request.file_size - m_request.file_offset
                               : m_request.body.size();
  }

  const HttpRequest& m_request;
  Url m_url;
  std::optional<Proxy> m_proxy;
  std::unique_ptr<Tunnel> m_tunnel; // through it
  TransferWatch m_watch;
  Tls m_tls;
  HttpReply m_reply;
  std::string m_early;
  bool m_early_is_all = false; // m_reply has the answer already
  std::optional<Error> m_error;
};

// Bytes of the answer that have come; without waiting. As recv().
ssize_t Transfer::receive(char* data, size_t size) const {
  const int fd = m_watch.socket();
  if (m_tls.session == nullptr)
    return ::recv(fd, data, size, MSG_DONTWAIT);
  const int flags = ::fcntl(fd, F_GETFL);
  ::fcntl(fd, F_SETFL, flags | O_NONBLOCK);
  ERR_clear_error();
  const int n = SSL_read(m_tls.session, data, static_cast<int>(size));
  const int error = n > 0 ? 0 : SSL_get_error(m_tls.session, n);
  ::fcntl(fd, F_SETFL, flags);
  if (error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE) {
    errno = EAGAIN; // a new ticket perhaps, and no answer
    return -1;
  }
  return n > 0 ? n : 0;
}

// Whether the host has answered, or closed, while the body is on its way. What it says is in
// m_reply.
bool Transfer::take_early() {
  pollfd p{m_watch.socket(), POLLIN, 0};
  while (::poll(&p, 1, m_early.empty() ? 0 : static_cast<int>(m_request.stall.count())) > 0) {
    std::array<char, 4096> piece;
    const ssize_t n = receive(piece.data(), piece.size());
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
      if (m_early.empty())
        return false;
      continue;
    }
    m_early.append(piece.data(), static_cast<size_t>(std::max<ssize_t>(n, 0)));
    m_watch.moved();
    const auto reply = parse_early_reply(m_early, n <= 0 || m_early.size() > k_max_body);
    m_early_is_all = reply && reply->status != 0;
    if (m_early_is_all)
      m_reply = {.status = reply->status, .body = reply->body};
    if (reply)
      return true;
  }
  return !m_early.empty();
}

// A piece of the body. False ends the request.
bool Transfer::give(size_t offset, size_t length, httplib::DataSink& sink) {
  if (take_early())
    return false;
  std::array<char, k_piece> piece;
  const char* data = m_request.body.data() + offset;
  size_t size = std::min(length, piece.size());
  if (m_request.file >= 0) {
    const auto at = static_cast<off_t>(m_request.file_offset + offset);
    const ssize_t n = ::pread(m_request.file, piece.data(), size, at);
    if (n <= 0) {
      m_error = Error{Code::failure,
          n == 0 ? "the file became shorter while it was sent"
                 : fail_errno("read the file", errno).error().message};
      return false;
    }
    data = piece.data();
    size = static_cast<size_t>(n);
  }
  if (!sink.write(data, size)) {
    take_early(); // refused and closed: the answer may have come before
    return false;
  }
  m_watch.moved();
  if (size == length)
    m_watch.allow_stall(k_answer_wait);
  if (m_request.sent && m_request.file >= 0)
    m_request.sent(m_request.file_offset + offset + size);
  return true;
}

bool Transfer::take(const char* data, size_t size) {
  m_watch.moved();
  if (m_reply.status == 200 && m_request.on_bytes) {
    if (auto taken = m_request.on_bytes({data, size}); !taken)
      m_error = taken.error();
  } else if (m_reply.body.size() + size > k_max_body) {
    m_error = Error{Code::too_large, cat("the host's answer is over ", k_max_body, " bytes")};
  } else {
    m_reply.body.append(data, size);
  }
  return !m_error;
}

// The name is checked by OpenSSL: httplib 0.11 compares only the first bytes of an address.
void Transfer::set_tls(httplib::SSLClient& client, const std::string& certificates) const {
  SSL_CTX* context = context_of(client);
  SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
  SSL_CTX_set_info_callback(context, on_handshake);
  X509_VERIFY_PARAM* param = SSL_CTX_get0_param(context);
  X509_VERIFY_PARAM_set_hostflags(param, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
  if (X509_VERIFY_PARAM_set1_ip_asc(param, m_url.host.c_str()) != 1)
    X509_VERIFY_PARAM_set1_host(param, m_url.host.c_str(), m_url.host.size());
  client.enable_server_certificate_verification(true);
  if (!certificates.empty())
    client.set_ca_cert_path(certificates, "");
}

std::unique_ptr<httplib::ClientImpl> Transfer::client(const std::string& certificates) {
  std::unique_ptr<httplib::ClientImpl> client;
  if (m_url.tls) {
    auto tls =
        std::make_unique<httplib::SSLClient>(m_url.host, m_tunnel ? m_tunnel->port() : m_url.port);
    set_tls(*tls, certificates);
    if (m_tunnel)
      tls->set_hostname_addr_map({{m_url.host, "127.0.0.1"}});
    client = std::move(tls);
  } else {
    client = std::make_unique<httplib::ClientImpl>(m_url.host, m_url.port);
  }
  client->set_keep_alive(false);
  client->set_follow_location(false);
  client->set_decompress(false);
  client->set_tcp_nodelay(true);
  client->set_connection_timeout(std::min(k_connect_timeout, m_request.timeout));
  client->set_read_timeout(k_library_timeout);
  client->set_write_timeout(k_library_timeout);
  client->set_socket_options([this](int fd) {
    ::setsockopt(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &k_unsent, sizeof k_unsent);
    m_watch.adopt(fd);
  });
  if (m_proxy && !m_tunnel) {
    client->set_proxy(m_proxy->host, m_proxy->port);
    if (!m_proxy->user.empty())
      client->set_proxy_basic_auth(m_proxy->user, m_proxy->password);
  }
  return client;
}

httplib::Request Transfer::request() {
  httplib::Request out;
  out.method = m_request.method;
  out.path = m_url.path;
  out.headers.emplace("User-Agent", "chillboxctl/" CHILLBOX_VERSION);
  for (const std::string& line : m_request.headers)
    out.headers.emplace(
        line.substr(0, line.find(':')), std::string(trim(line.substr(line.find(':') + 1))));
  if (!out.has_header("Host"))
    out.headers.emplace("Host", m_url.authority);
  if (body_size() > 0) {
    out.content_length_ = static_cast<size_t>(body_size());
    out.content_provider_ = [this](size_t offset, size_t length, httplib::DataSink& sink) {
      return give(offset, length, sink);
    };
  }
  out.response_handler = [this](const httplib::Response& response) {
    m_reply.status = response.status;
    m_watch.moved();
    return true;
  };
  out.content_receiver = [this](const char* data, size_t size, uint64_t, uint64_t) {
    return take(data, size);
  };
  return out;
}

std::string Transfer::reason_of(httplib::Error error) const {
  const std::string host = m_proxy ? m_proxy->host : m_url.host;
  const uint16_t port = m_proxy ? m_proxy->port : m_url.port;
  switch (error) {
  case httplib::Error::ConnectionTimeout:
  case httplib::Error::Connection:
    if (const auto tried = connect_tcp(host, port, k_try_again); !tried)
      return tried.error().message;
    return "the connection was lost";
  case httplib::Error::SSLLoadingCerts: return "the certificates to trust cannot be read";
  case httplib::Error::SSLServerVerification: break;
  default:
    if (error == httplib::Error::SSLConnection && m_tls.verified == X509_V_OK)
      return cat("no TLS connection", m_tls.alert.empty() ? "" : ": ", m_tls.alert,
          m_tls.alert.empty() ? ": does the host speak https on this port?" : "");
  }
  if (m_tls.verified != X509_V_OK)
    return cat(
        "the host's certificate is not trusted: ", X509_verify_cert_error_string(m_tls.verified),
        is_unknown_authority(m_tls.verified) ? "; --cacert FILE names another authority" : "");
  if (error == httplib::Error::SSLServerVerification)
    return "the host's certificate is for another name";
  return "the connection was closed before an answer came";
}

// The rest of the address may be a capability.
Error Transfer::unreachable(Code code, std::string_view reason) const {
  return {code,
      cat(m_url.origin(), m_proxy ? cat(" (through the proxy ", m_proxy->origin(), ")") : "", ": ",
          printable(reason, 300))};
}

Error Transfer::error_of(httplib::Error error) const {
  switch (m_watch.verdict()) {
  case TransferWatch::Verdict::deadline:
    return unreachable(
        Code::timed_out, cat("no answer within ", format_duration(m_request.timeout)));
  case TransferWatch::Verdict::stalled:
    return unreachable(
        Code::unreachable, cat("stalled: no byte moved for ", format_duration(m_watch.stall())));
  case TransferWatch::Verdict::none: break;
  }
  return unreachable(Code::unreachable, reason_of(error));
}

Result<HttpReply> Transfer::run(const std::string& certificates) {
  if (m_url.tls && m_proxy) {
    auto tunnel = Tunnel::open(*m_proxy, m_url, std::min(k_connect_timeout, m_request.timeout));
    if (!tunnel)
      return std::unexpected(unreachable(tunnel.error().code, tunnel.error().message));
    m_tunnel = std::move(*tunnel);
  }
  httplib::Response response;
  auto error = httplib::Error::Success;
  const auto connection = client(certificates);
  auto sending = request();
  const bool done = connection->send(sending, response, error);
  if (m_error)
    return std::unexpected(*m_error);
  if (!done && !m_early_is_all)
    return std::unexpected(error_of(error));
  if (m_reply.status == 0) // 204 has no body
    m_reply.status = response.status;
  return std::move(m_reply);
}

} // namespace

Result<Http> Http::create(const std::string& certificates) {
  if (!certificates.empty() && ::access(certificates.c_str(), R_OK) != 0)
    return fail_errno(cat("--cacert: read ", printable(certificates, 1024)), errno);
  std::signal(SIGPIPE, SIG_IGN); // httplib and OpenSSL would raise it
  return Http(certificates);
}

Result<HttpReply> Http::send(const HttpRequest& request) const {
  try {
    auto url = TRY(parse_url(request.url));
    // Without the rest of the path, in which there may be a capability.
    say_command(cat(request.method, " ",
        request.url.substr(0, request.url.find('/', request.url.find("://") + 3))));
    auto proxy = TRY(proxy_of(url, environment));
    return Transfer(request, std::move(url), std::move(proxy)).run(m_certificates);
  } catch (const std::exception& e) {
    return fail(Code::failure, cat("the HTTP library ended: ", printable(e.what())));
  }
}

} // namespace chillbox::cli
