#include "cli/http/connection.hpp"

#include "base/text.hpp"
#include "cli/core/duration.hpp"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>

namespace chillbox::cli {
namespace {

constexpr int k_unsent = 128 * 1024; // in the kernel: so that progress is what has left the machine
constexpr size_t k_read_piece = 64 * 1024;

os::Deadline ends_in(Patience::Time time) {
  return time == Patience::Time::max() ? os::Deadline() : os::Deadline(time);
}

void note_alert(const SSL* ssl, int where, int value) {
  if ((where & SSL_CB_ALERT) != 0 && (where & SSL_CB_READ) != 0)
    *static_cast<std::string*>(SSL_get_app_data(ssl)) = SSL_alert_desc_string_long(value);
}

bool is_unknown_authority(long verdict) {
  return verdict == X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT ||
      verdict == X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN ||
      verdict == X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY;
}

bool is_address(const std::string& host) {
  std::array<unsigned char, 16> bytes{};
  return ::inet_pton(AF_INET, host.c_str(), bytes.data()) == 1 ||
      ::inet_pton(AF_INET6, host.c_str(), bytes.data()) == 1;
}

// What the certificate must be for. The whole of a name: no "f*.example".
bool expect(SSL* ssl, const std::string& host) {
  X509_VERIFY_PARAM* param = SSL_get0_param(ssl);
  X509_VERIFY_PARAM_set_hostflags(param, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
  return is_address(host) ? X509_VERIFY_PARAM_set1_ip_asc(param, host.c_str()) == 1
                          : X509_VERIFY_PARAM_set1_host(param, host.c_str(), host.size()) == 1 &&
          SSL_set_tlsext_host_name(ssl, host.c_str()) == 1;
}

Error lost() {
  return {Code::unreachable, "the connection was closed before an answer came"};
}

} // namespace

Patience::Patience(Time whole, Time stall)
    : m_whole(whole), m_stall(stall), m_end(ends_in(whole)), m_stalls(ends_in(stall)) {}

void Patience::moved() {
  m_stalls = ends_in(m_stall);
}

void Patience::allow_stall(Time stall) {
  m_stall = stall;
  moved();
}

Patience::Time Patience::left(Time most) const {
  return std::min(m_end.left(), most);
}

Result<void> Patience::check() const {
  return m_end.passed() ? fail(Code::timed_out, cat("no answer within ", format_duration(m_whole)))
                        : Result<void>{};
}

Result<void> Patience::wait(int fd, short events) const {
  for (;;) {
    const bool whole_first = m_end.left() <= m_stalls.left();
    const os::Deadline& next = whole_first ? m_end : m_stalls;
    pollfd one{fd, events, 0};
    if (const int ready = ::poll(&one, 1, next.poll_ms()); ready > 0)
      return {};
    if (!next.passed())
      continue;
    TRY(check());
    return fail(Code::unreachable, cat("stalled: no byte moved for ", format_duration(m_stall)));
  }
}

void Connection::Free::operator()(ssl_st* ssl) const {
  SSL_free(ssl);
}
void Connection::Free::operator()(ssl_ctx_st* context) const {
  SSL_CTX_free(context);
}

Connection::Connection(Fd socket) : m_socket(std::move(socket)) {
  const int one = 1;
  ::setsockopt(m_socket.get(), IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  ::setsockopt(m_socket.get(), IPPROTO_TCP, TCP_NOTSENT_LOWAT, &k_unsent, sizeof k_unsent);
  ::fcntl(m_socket.get(), F_SETFL, ::fcntl(m_socket.get(), F_GETFL) | O_NONBLOCK);
}

Error Connection::why_no_tls() const {
  if (const long verdict = SSL_get_verify_result(m_ssl.get()); verdict != X509_V_OK)
    return {Code::unreachable,
        cat("the host's certificate is not trusted: ", X509_verify_cert_error_string(verdict),
            is_unknown_authority(verdict) ? "; --cacert FILE names another authority" : "")};
  return {Code::unreachable,
      cat("no TLS connection: ",
          m_alert.empty() ? "does the host speak https on this port?" : m_alert)};
}

Result<void> Connection::start_tls(
    const std::string& host, const std::string& certificates, const Patience& patience) {
  m_context.reset(SSL_CTX_new(TLS_client_method()));
  if (!m_context || SSL_CTX_set_min_proto_version(m_context.get(), TLS1_2_VERSION) != 1)
    return fail(Code::failure, "TLS does not start");
  if ((certificates.empty()
              ? SSL_CTX_set_default_verify_paths(m_context.get())
              : SSL_CTX_load_verify_locations(m_context.get(), certificates.c_str(), nullptr)) != 1)
    return fail(Code::unreachable, "the certificates to trust cannot be read");
  SSL_CTX_set_verify(m_context.get(), SSL_VERIFY_PEER, nullptr);
  SSL_CTX_set_mode(
      m_context.get(), SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  SSL_CTX_set_info_callback(m_context.get(), note_alert);
  m_ssl.reset(SSL_new(m_context.get()));
  if (!m_ssl || SSL_set_fd(m_ssl.get(), m_socket.get()) != 1 || !expect(m_ssl.get(), host))
    return fail(Code::failure, "TLS does not start");
  SSL_set_app_data(m_ssl.get(), &m_alert);
  for (;;) {
    ERR_clear_error();
    const int result = SSL_connect(m_ssl.get());
    if (result == 1)
      return {};
    const int why = SSL_get_error(m_ssl.get(), result);
    if (why != SSL_ERROR_WANT_READ && why != SSL_ERROR_WANT_WRITE)
      return std::unexpected(why_no_tls());
    TRY(patience.wait(m_socket.get(), why == SSL_ERROR_WANT_READ ? POLLIN : POLLOUT));
  }
}

Result<size_t> Connection::write(std::string_view bytes) {
  if (!m_ssl) {
    const ssize_t n = ::send(m_socket.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (n < 0 && errno != EAGAIN && errno != EINTR)
      return std::unexpected(lost());
    return static_cast<size_t>(std::max<ssize_t>(n, 0));
  }
  ERR_clear_error();
  size_t taken = 0;
  if (SSL_write_ex(m_ssl.get(), bytes.data(), bytes.size(), &taken) == 1)
    return taken;
  const int why = SSL_get_error(m_ssl.get(), 0);
  if (why != SSL_ERROR_WANT_READ && why != SSL_ERROR_WANT_WRITE)
    return std::unexpected(lost());
  return size_t{0};
}

Connection::Came Connection::read(std::string& to) {
  std::array<char, k_read_piece> piece;
  size_t size = 0;
  if (!m_ssl) {
    const ssize_t n = ::recv(m_socket.get(), piece.data(), piece.size(), 0);
    if (n <= 0)
      return n < 0 && (errno == EAGAIN || errno == EINTR) ? Came::none : Came::end;
    size = static_cast<size_t>(n);
  } else {
    ERR_clear_error();
    if (SSL_read_ex(m_ssl.get(), piece.data(), piece.size(), &size) != 1) {
      const int why = SSL_get_error(m_ssl.get(), 0);
      m_read_writes = why == SSL_ERROR_WANT_WRITE;
      return m_read_writes || why == SSL_ERROR_WANT_READ ? Came::none : Came::end;
    }
  }
  to.append(piece.data(), size);
  return Came::bytes;
}

Result<void> Connection::wait(bool writing, const Patience& patience) const {
  return patience.wait(
      m_socket.get(), static_cast<short>(POLLIN | (writing || m_read_writes ? POLLOUT : 0)));
}

} // namespace chillbox::cli
