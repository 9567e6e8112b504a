// An HTTP client on cpp-httplib, which only client.cpp uses. It speaks http and https, checks
// certificates, goes through the proxy that the environment names, and follows no redirect: a
// signed delivery and a capability link are only for the host that was named.
//
// What the library leaves out is here: the deadline of a whole transfer and the end of a stalled
// one (watch.hpp), the answer to a body that is still on its way (early_reply.hpp), and the reason
// why there is no connection.
#pragma once

#include "base/error.hpp"

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace chillbox::cli {

struct HttpRequest {
  std::string method = "GET";
  std::string url;
  std::vector<std::string> headers = {};
  std::string_view body = {};
  int file = -1;                             // read the body from this descriptor
  uint64_t file_offset = 0;                  // from here
  uint64_t file_size = 0;                    // up to here
  std::chrono::milliseconds timeout{30'000}; // for the whole request; max(): while bytes flow
  std::chrono::milliseconds stall{60'000};   // and no longer without a byte
  std::function<void(uint64_t)> sent = {};   // progress of a file: where in it
  std::function<Result<void>(std::string_view)> on_bytes =
      {}; // takes the body of a 200 as it arrives; an error ends the transfer
};

struct HttpReply {
  long status = 0;
  std::string body; // at most 1 MiB; empty when on_bytes took it
};

// One connection for each request.
class Http {
public:
  // certificates: a PEM file with the authorities to trust; "": the system's, or those of
  // SSL_CERT_FILE and SSL_CERT_DIR. An error if it cannot be read.
  static Result<Http> create(const std::string& certificates);
  // Any status is a reply. unreachable: no connection, lost on the way, or stalled; timed_out; or
  // the error of on_bytes.
  Result<HttpReply> send(const HttpRequest& request) const;

private:
  explicit Http(std::string certificates) : m_certificates(std::move(certificates)) {}
  std::string m_certificates;
};

} // namespace chillbox::cli
