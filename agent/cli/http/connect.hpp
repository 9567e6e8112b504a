// TCP connections to a host and through a proxy.
#pragma once

#include "base/error.hpp"
#include "base/fd.hpp"
#include "cli/http/url.hpp"
#include "os/deadline.hpp"

#include <chrono>
#include <cstdint>
#include <string>

namespace chillbox::cli {

// Tries each address for so long. unreachable: "could not resolve 'x': ..", "connect to port 443 of
// x: connection refused".
Result<Fd> connect_tcp(const std::string& host, uint16_t port, std::chrono::milliseconds timeout);

// Has the proxy connect `fd` to that host (CONNECT). unreachable: also when it refuses.
Result<void> ask_proxy(int fd, const Proxy& proxy, const Url& to, os::Deadline deadline);
// The value of Proxy-Authorization; "" without a user.
std::string proxy_credentials(const Proxy& proxy);

} // namespace chillbox::cli
