// HTTP out, by libcurl (this room's only use of it). http and https only, certificates checked, no
// redirect followed: a signed delivery and a capability link are for the host that was named and
// for no other.
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
  int file = -1; // body from this descriptor instead, from its beginning
  uint64_t file_size = 0;
  std::chrono::milliseconds timeout{30'000};         // for all of it
  std::function<void(uint64_t, uint64_t)> sent = {}; // of a file, now and then
  std::function<Result<void>(std::string_view)> on_bytes =
      {}; // the body of a 200, as it comes; an error ends the transfer
};

struct HttpReply {
  long status = 0;
  std::string body; // at most 1 MiB; empty when on_bytes took it
};

class Http {
public:
  // certificates: a PEM file with the authorities to trust instead of the system's; "" the
  // system's.
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
// Such an address names another machine and no TLS.
bool is_readable_on_the_way(std::string_view url);

} // namespace chillbox::cli
