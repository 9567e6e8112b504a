#include "courier/tls.hpp"

#include "base/text.hpp"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <arpa/inet.h>
#include <poll.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>

namespace chillbox::courier {
namespace {

struct FreeBio {
  void operator()(BIO* p) const { BIO_free_all(p); }
};
struct FreeCertificate {
  void operator()(X509* p) const { X509_free(p); }
};
struct FreeKey {
  void operator()(EVP_PKEY* p) const { EVP_PKEY_free(p); }
};
using Bio = std::unique_ptr<BIO, FreeBio>;
using Certificate = std::unique_ptr<X509, FreeCertificate>;

Bio bio_of(std::string_view text) {
  return Bio(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
}

Certificate certificate_of(std::string_view pem) {
  return Certificate(PEM_read_bio_X509(bio_of(pem).get(), nullptr, nullptr, nullptr));
}

int never_asks(char*, int, int, void*) {
  return -1;
}

std::string reason() {
  const char* text = ERR_reason_error_string(ERR_peek_last_error());
  const std::string out = text == nullptr ? "no reason given" : text;
  ERR_clear_error();
  return out;
}

// False: timed out.
bool wait_for(int fd, short events, const os::Deadline& deadline) {
  pollfd one{fd, events, 0};
  for (;;) {
    const int ready = ::poll(&one, 1, deadline.poll_ms());
    if (ready >= 0 || errno != EINTR)
      return ready > 0;
  }
}

bool is_address(const std::string& host) {
  std::array<unsigned char, 16> bytes{};
  return ::inet_pton(AF_INET, host.c_str(), bytes.data()) == 1 ||
      ::inet_pton(AF_INET6, host.c_str(), bytes.data()) == 1;
}

} // namespace

Result<TlsClient> TlsClient::create(
    std::string_view authority, std::string_view certificate, std::string_view key) {
  TlsClient out;
  out.m_context = std::shared_ptr<ssl_ctx_st>(SSL_CTX_new(TLS_client_method()), SSL_CTX_free);
  SSL_CTX* context = out.m_context.get();
  if (context == nullptr)
    return fail(Code::failure, "TLS does not start");
  SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
  SSL_CTX_set_verify(context, SSL_VERIFY_PEER, nullptr);
  SSL_CTX_set_mode(context, SSL_MODE_AUTO_RETRY | SSL_MODE_RELEASE_BUFFERS);
  static constexpr unsigned char k_http[] = "\x08http/1.1";
  SSL_CTX_set_alpn_protos(context, k_http, sizeof k_http - 1);
  const Certificate root = certificate_of(authority);
  if (!root || X509_STORE_add_cert(SSL_CTX_get_cert_store(context), root.get()) != 1)
    return fail(Code::invalid, cat("fleet.ca_file: no certificate: ", reason()));
  const Certificate own = certificate_of(certificate);
  if (!own || SSL_CTX_use_certificate(context, own.get()) != 1)
    return fail(Code::invalid, cat("fleet.certificate_file: no certificate: ", reason()));
  const std::unique_ptr<EVP_PKEY, FreeKey> own_key(
      PEM_read_bio_PrivateKey(bio_of(key).get(), nullptr, never_asks, nullptr));
  if (!own_key || SSL_CTX_use_PrivateKey(context, own_key.get()) != 1)
    return fail(
        Code::invalid, cat("fleet.key_file: not the key of fleet.certificate_file: ", reason()));
  return out;
}

void TlsConnection::Free::operator()(ssl_st* ssl) const {
  SSL_free(ssl);
}

Result<TlsConnection> TlsConnection::open(
    const TlsClient& client, Fd socket, const std::string& host, os::Deadline deadline) {
  if (!wait_for(socket.get(), POLLOUT, deadline))
    return fail(Code::timed_out, "no connection in time");
  int problem = 0;
  socklen_t size = sizeof problem;
  ::getsockopt(socket.get(), SOL_SOCKET, SO_ERROR, &problem, &size);
  if (problem != 0)
    return within(
        "connect", Error{Code::unreachable, fail_errno("", problem).error().message.substr(2)});
  TlsConnection out;
  out.m_socket = std::move(socket);
  out.m_ssl.reset(SSL_new(client.get()));
  SSL* ssl = out.m_ssl.get();
  if (ssl == nullptr || SSL_set_fd(ssl, out.m_socket.get()) != 1)
    return fail(Code::failure, "TLS does not start");
  const bool named = is_address(host)
      ? X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), host.c_str()) == 1
      : SSL_set1_host(ssl, host.c_str()) == 1 && SSL_set_tlsext_host_name(ssl, host.c_str()) == 1;
  if (!named)
    return fail(Code::invalid, cat("'", host, "' is no name of a member"));
  for (;;) {
    ERR_clear_error();
    const int result = SSL_connect(ssl);
    if (result == 1)
      return out;
    if (const long verdict = SSL_get_verify_result(ssl); verdict != X509_V_OK)
      return fail(Code::denied,
          cat("its certificate is none of the fleet's: ", X509_verify_cert_error_string(verdict)));
    TRY(out.retry(result, "TLS", deadline));
  }
}

// Waits for what OpenSSL needs; an error: it can go on no more.
Result<void> TlsConnection::retry(int result, std::string_view what, const os::Deadline& deadline) {
  const int err = errno;
  switch (SSL_get_error(m_ssl.get(), result)) {
  case SSL_ERROR_WANT_READ:
    if (wait_for(m_socket.get(), POLLIN, deadline))
      return {};
    return fail(Code::timed_out, cat(what, ": no answer in time"));
  case SSL_ERROR_WANT_WRITE:
    if (wait_for(m_socket.get(), POLLOUT, deadline))
      return {};
    return fail(Code::timed_out, cat(what, ": it takes nothing in time"));
  case SSL_ERROR_ZERO_RETURN: return fail(Code::unreachable, cat(what, ": the member closed"));
  case SSL_ERROR_SYSCALL:
    if (err == 0)
      return fail(Code::unreachable, cat(what, ": the member closed"));
    return fail(Code::unreachable, fail_errno(what, err).error().message);
  default: return fail(Code::unreachable, cat(what, ": ", reason()));
  }
}

Result<void> TlsConnection::write(std::string_view bytes, os::Deadline deadline) {
  while (!bytes.empty()) {
    ERR_clear_error();
    const int result = SSL_write(m_ssl.get(), bytes.data(), static_cast<int>(bytes.size()));
    if (result > 0)
      bytes.remove_prefix(static_cast<size_t>(result));
    else
      TRY(retry(result, "send", deadline));
  }
  return {};
}

Result<void> TlsConnection::read(std::string& bytes, os::Deadline deadline) {
  std::array<char, 16 * 1024> buffer;
  for (;;) {
    ERR_clear_error();
    const int result = SSL_read(m_ssl.get(), buffer.data(), static_cast<int>(buffer.size()));
    if (result > 0) {
      bytes.append(buffer.data(), static_cast<size_t>(result));
      return {};
    }
    TRY(retry(result, "receive", deadline));
  }
}

} // namespace chillbox::courier
