// The addresses that `--to` takes, and the proxy that the environment names for one of them.
#pragma once

#include "base/error.hpp"

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

namespace chillbox::cli {

struct Url {
  bool tls = false;
  std::string host; // a name or an address; IPv6 without its brackets
  uint16_t port = 0;
  std::string authority;      // as it is written in a Host header
  std::string path;           // begins with '/', and has the query
  std::string origin() const; // "https://host:8443", for messages: the rest may be a capability
};

// "http://HOST[:PORT][/PATH]" or https; invalid for anything else.
Result<Url> parse_url(std::string_view text);
// "https://host[:port]" without a closing slash. usage for anything else: user names, paths,
// queries, other schemes.
Result<std::string> parse_base_url(std::string_view text);
// Whether the address is another machine's and without TLS.
bool is_readable_on_the_way(std::string_view url);

struct Proxy {
  std::string host;
  uint16_t port = 0;
  std::string user, password;
  std::string origin() const; // without them
};
// The value of a variable, "" when it is not set.
using Environment = std::function<std::string(const char*)>;
// What http_proxy (only in lower case: a web server sets HTTP_PROXY from a request's header),
// https_proxy, all_proxy and no_proxy say, as curl reads them: no_proxy has hosts, which stand for
// their subdomains too, networks such as 10.0.0.0/8, or '*'. invalid: a proxy that is not an http
// one.
Result<std::optional<Proxy>> proxy_of(const Url& url, const Environment& value_of);

} // namespace chillbox::cli
