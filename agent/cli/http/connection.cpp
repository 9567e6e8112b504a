#include "cli/http/connection.hpp"

#include "base/text.hpp"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <arpa/inet.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>

namespace chillbox::cli {
namespace {

struct FreeContext {
  void operator()(SSL_CTX* context) const { SSL_CTX_free(context); }
};

bool is_address(const std::string& host) {
  std::array<unsigned char, 16> bytes{};
  return ::inet_pton(AF_INET, host.c_str(), bytes.data()) == 1 ||
      ::inet_pton(AF_INET6, host.c_str(), bytes.data()) == 1;
}

bool is_unknown_authority(long verified) {
  return verified == X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT ||
      verified == X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN ||
      verified == X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY;
}

// Of the host, in words: why the handshake ended.
std::string alert() {
  const auto error = ERR_peek_last_error();
  const int reason = ERR_GET_REASON(error);
  return ERR_GET_LIB(error) == ERR_LIB_SSL && reason > SSL_AD_REASON_OFFSET
      ? SSL_alert_desc_string_long(reason - SSL_AD_REASON_OFFSET)
      : "";
}

} // namespace

void Connection::Free::operator()(ssl_st* ssl) const {
  SSL_free(ssl);
}

Result<Connection> Connection::create(Fd socket, const Url& to, const std::string& certificates) {
  Connection out;
  out.m_socket = std::move(socket);
  if (!to.tls)
    return out;
  const std::unique_ptr<SSL_CTX, FreeContext> context(SSL_CTX_new(TLS_client_method()));
  if (!context)
    return fail(Code::failure, "TLS does not start");
  SSL_CTX_set_min_proto_version(context.get(), TLS1_2_VERSION);
  SSL_CTX_set_verify(context.get(), SSL_VERIFY_PEER, nullptr);
  SSL_CTX_set_mode(
      context.get(), SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  const int trusted = certificates.empty()
      ? SSL_CTX_set_default_verify_paths(context.get())
      : SSL_CTX_load_verify_file(context.get(), certificates.c_str());
  if (trusted != 1)
    return fail(Code::unreachable, "the certificates to trust cannot be read");
  out.m_ssl.reset(SSL_new(context.get()));
  SSL* ssl = out.m_ssl.get();
  if (ssl == nullptr || SSL_set_fd(ssl, out.m_socket.get()) != 1)
    return fail(Code::failure, "TLS does not start");
  SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
  const char* host = to.host.c_str();
  if (is_address(to.host) ? X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), host) != 1
                          : SSL_set1_host(ssl, host) != 1 || SSL_set_tlsext_host_name(ssl, host) != 1)
    return fail(Code::unreachable, "no certificate can be for this name");
  return out;
}

std::string Connection::trouble() const {
  if (const long verified = SSL_get_verify_result(m_ssl.get()); verified != X509_V_OK)
    return cat("the host's certificate is not trusted: ", X509_verify_cert_error_string(verified),
        is_unknown_authority(verified) ? "; --cacert FILE names another authority" : "");
  const std::string said = alert();
  return cat("no TLS connection: ", said.empty() ? "does the host speak https on this port?" : said);
}

int Connection::wait_of(int result, short& wants) {
  const int error = SSL_get_error(m_ssl.get(), result);
  if (error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE)
    wants = error == SSL_ERROR_WANT_READ ? POLLIN : POLLOUT;
  return error;
}

Result<bool> Connection::shake() {
  if (!m_ssl)
    return true;
  ERR_clear_error();
  const int result = SSL_connect(m_ssl.get());
  if (result == 1) {
    m_to_read = POLLIN;
    return true;
  }
  const int error = wait_of(result, m_to_read);
  if (error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE)
    return false;
  return fail(Code::unreachable, trouble());
}

size_t Connection::read(std::span<char> out) {
  if (m_ssl) {
    ERR_clear_error();
    const int n = SSL_read(m_ssl.get(), out.data(), static_cast<int>(out.size()));
    if (n > 0) {
      m_to_read = POLLIN;
      return static_cast<size_t>(n);
    }
    const int error = wait_of(n, m_to_read);
    if (error != SSL_ERROR_WANT_READ && error != SSL_ERROR_WANT_WRITE)
      m_end = error == SSL_ERROR_ZERO_RETURN ? End::orderly : End::broken;
    return 0;
  }
  const ssize_t n = ::recv(m_socket.get(), out.data(), out.size(), MSG_DONTWAIT);
  if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
    m_end = n == 0 ? End::orderly : End::broken;
  return n > 0 ? static_cast<size_t>(n) : 0;
}

size_t Connection::write(std::string_view bytes) {
  if (m_ssl) {
    ERR_clear_error();
    const int n = SSL_write(m_ssl.get(), bytes.data(), static_cast<int>(bytes.size()));
    if (n > 0) {
      m_to_write = POLLOUT;
      return static_cast<size_t>(n);
    }
    const int error = wait_of(n, m_to_write);
    m_broken = error != SSL_ERROR_WANT_READ && error != SSL_ERROR_WANT_WRITE;
    return 0;
  }
  const ssize_t n =
      ::send(m_socket.get(), bytes.data(), bytes.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
  m_broken = n < 0 && errno != EAGAIN && errno != EINTR;
  return n > 0 ? static_cast<size_t>(n) : 0;
}

} // namespace chillbox::cli
