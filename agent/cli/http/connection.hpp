// One connection to a host, plain or inside of TLS, which never waits: its owner does, with poll(2).
// TLS is OpenSSL's, from 1.2 on; the host needs a certificate for its name or address that a trusted
// authority signed.
#pragma once

#include "base/error.hpp"
#include "base/fd.hpp"
#include "cli/http/url.hpp"

#include <poll.h>

#include <memory>
#include <span>
#include <string>
#include <string_view>

struct ssl_st;

namespace chillbox::cli {

class Connection {
public:
  // certificates: a PEM file with the authorities to trust; "": the system's. `socket` is connected
  // and does not block. unreachable: the certificates cannot be read.
  static Result<Connection> create(Fd socket, const Url& to, const std::string& certificates);
  // False: it has to wait for to_read(). unreachable: why there is no TLS.
  Result<bool> shake();
  // How many bytes came, or were taken. 0: none now, or the connection has ended.
  size_t read(std::span<char> out);
  size_t write(std::string_view bytes);

  enum class End { no, orderly, broken };
  End ended() const { return m_end; }            // the host will say no more
  bool takes_no_more() const { return m_broken; } // and reads no more
  int socket() const { return m_socket.get(); }
  short to_read() const { return m_to_read; } // what poll(2) has to wait for
  short to_write() const { return m_to_write; }

private:
  struct Free {
    void operator()(ssl_st* ssl) const;
  };
  int wait_of(int result, short& wants); // an SSL_ERROR
  std::string trouble() const;

  Fd m_socket; // goes after m_ssl
  std::unique_ptr<ssl_st, Free> m_ssl;
  End m_end = End::no;
  bool m_broken = false;
  short m_to_read = POLLIN, m_to_write = POLLOUT;
};

} // namespace chillbox::cli
