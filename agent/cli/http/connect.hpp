// Connections to a host and to a proxy, by name or address.
#pragma once

#include "base/error.hpp"
#include "base/fd.hpp"
#include "cli/http/url.hpp"
#include "os/deadline.hpp"

#include <chrono>
#include <cstdint>
#include <string>

namespace chillbox::cli {

// Tries each address for so long, and none after the deadline. unreachable: "could not resolve 'x':
// ..", "connect to port 443 of x: connection refused".
Result<Fd> connect_tcp(const std::string& host, uint16_t port, std::chrono::milliseconds timeout,
    os::Deadline deadline);

// The same through a proxy's CONNECT, to a host's TLS port. unreachable: also when the proxy
// refuses.
Result<Fd> connect_through(
    const Proxy& proxy, const Url& to, std::chrono::milliseconds timeout, os::Deadline deadline);
// The header that has the proxy's user and password.
std::string basic_login(const Proxy& proxy);

} // namespace chillbox::cli
