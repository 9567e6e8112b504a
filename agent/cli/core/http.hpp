// An HTTP client on libcurl, which only http.cpp uses. It speaks http and https, checks
// certificates and follows no redirect: a signed delivery and a capability link are only for the
// host that was named. cpp-httplib's client would lose the answer to an upload that is refused
// before it was read whole, the reason why a connection failed, proxies from the environment, and
// before 0.19 the deadline of a whole transfer.
#pragma once

#include "base/error.hpp"

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace chillbox::cli {

struct HttpRequest {
  std::string method = "GET";
  std::string url;
  std::vector<std::string> headers = {};
  std::string_view body = {};
  int file = -1; // read the body from this descriptor, from its beginning
  uint64_t file_size = 0;
  std::chrono::milliseconds timeout{30'000};         // for the whole request
  std::function<void(uint64_t, uint64_t)> sent = {}; // progress of a file
  std::function<Result<void>(std::string_view)> on_bytes =
      {}; // takes the body of a 200 as it arrives; an error ends the transfer
};

struct HttpReply {
  long status = 0;
  std::string body; // at most 1 MiB; empty when on_bytes took it
};

class Http {
public:
  // certificates: a PEM file with the authorities to trust; "": the system's.
  static Result<Http> create(const std::string& certificates);
  Http(Http&&) noexcept;
  ~Http();
  // Any status is a reply. unreachable: no connection, or lost on the way; timed_out; or the error
  // of on_bytes.
  Result<HttpReply> send(const HttpRequest& request);

private:
  struct State;
  explicit Http(std::unique_ptr<State> state);
  std::unique_ptr<State> m_state;
};

// "https://host[:port][/prefix]" without a closing slash. usage for anything else: user names,
// queries, other schemes.
Result<std::string> parse_base_url(std::string_view text);
// Whether the address is another machine's and without TLS.
bool is_readable_on_the_way(std::string_view url);

} // namespace chillbox::cli
