// TLS to a member of the engine, on OpenSSL: both sides show a certificate of the fleet's own
// authority. All is in memory, no file is read.
#pragma once

#include "base/error.hpp"
#include "base/fd.hpp"
#include "os/deadline.hpp"

#include <memory>
#include <string>
#include <string_view>

struct ssl_ctx_st;
struct ssl_st;

namespace chillbox::courier {

class TlsClient {
public:
  // PEM. invalid: what of them cannot be used.
  static Result<TlsClient> create(
      std::string_view authority, std::string_view certificate, std::string_view key);
  ssl_ctx_st* get() const { return m_context.get(); }

private:
  std::shared_ptr<ssl_ctx_st> m_context;
};

// One connection, for one thread. After an error it is of no more use.
class TlsConnection {
public:
  // `socket` is being connected. The member must have a certificate for `host`. unreachable: with
  // the reason; timed_out; denied: it is none of the fleet's.
  static Result<TlsConnection> open(
      const TlsClient& client, Fd socket, const std::string& host, os::Deadline deadline);
  Result<void> write(std::string_view bytes, os::Deadline deadline);
  // What there is, at least one byte, is added to `bytes`. unreachable: the member closed;
  // timed_out.
  Result<void> read(std::string& bytes, os::Deadline deadline);
  int socket() const { return m_socket.get(); }

private:
  struct Free {
    void operator()(ssl_st* ssl) const;
  };
  Result<void> retry(int result, std::string_view what, const os::Deadline& deadline);
  Fd m_socket; // goes after m_ssl
  std::unique_ptr<ssl_st, Free> m_ssl;
};

} // namespace chillbox::courier
