// Connections that cpp-httplib does not make: to learn why it had none, and the tunnel through a
// proxy.
#pragma once

#include "base/error.hpp"
#include "base/fd.hpp"
#include "cli/http/url.hpp"

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <thread>

namespace chillbox::cli {

// Tries each address for so long. unreachable: "could not resolve 'x': ..", "connect to port 443 of
// x: connection refused".
Result<Fd> connect_tcp(const std::string& host, uint16_t port, std::chrono::milliseconds timeout);

// A connection through a proxy's CONNECT, offered to one client on a port of 127.0.0.1. httplib's
// own CONNECT waits for ever when the proxy's answer closes the connection (0.11), takes a refusal
// for success, and sends the proxy's password on to the host. Another user of this machine who
// connects first gets bytes to and from that host's TLS port, and takes this one client its turn;
// what is sent is inside of TLS, which the client checks.
class Tunnel {
public:
  // unreachable: also when the proxy refuses.
  static Result<std::unique_ptr<Tunnel>> open(
      const Proxy& proxy, const Url& to, std::chrono::milliseconds timeout);
  ~Tunnel();
  Tunnel(const Tunnel&) = delete;
  Tunnel& operator=(const Tunnel&) = delete;
  uint16_t port() const { return m_port; }

private:
  Tunnel(Fd there, Fd listener, uint16_t port);
  void relay();

  Fd m_there, m_listener, m_end; // m_end: an event descriptor
  uint16_t m_port;
  std::thread m_thread;
};

} // namespace chillbox::cli
