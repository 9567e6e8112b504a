#include "cli/http/url.hpp"

#include "base/text.hpp"

#include <arpa/inet.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <vector>

namespace chillbox::cli {
namespace {

constexpr uint16_t k_proxy_port = 1080; // curl's

struct HostPort {
  std::string host;
  uint16_t port = 0;
};

// "host", "host:port", "[v6]", "[v6]:port".
std::optional<HostPort> parse_host_port(std::string_view text, uint16_t default_port) {
  HostPort out{.host = {}, .port = default_port};
  std::string_view port;
  if (text.starts_with('[')) {
    const size_t end = text.find(']');
    in6_addr address{};
    out.host = text.substr(1, end == text.npos ? 0 : end - 1);
    if (end == text.npos || ::inet_pton(AF_INET6, out.host.c_str(), &address) != 1)
      return std::nullopt;
    port = text.substr(end + 1);
  } else {
    out.host = text.substr(0, text.find(':'));
    port = text.substr(out.host.size());
  }
  if (!port.empty()) {
    const auto number = parse_u64(port.substr(1));
    if (port.front() != ':' || !number || *number == 0 || *number > 65535)
      return std::nullopt;
    out.port = static_cast<uint16_t>(*number);
  }
  if (out.host.empty())
    return std::nullopt;
  return out;
}

// The address as 16 or 4 bytes; empty: it is a name.
std::vector<uint8_t> address_bytes(const std::string& host) {
  std::array<uint8_t, 16> bytes{};
  if (::inet_pton(AF_INET6, host.c_str(), bytes.data()) == 1)
    return {bytes.begin(), bytes.end()};
  if (::inet_pton(AF_INET, host.c_str(), bytes.data()) == 1)
    return {bytes.begin(), bytes.begin() + 4};
  return {};
}

// Whether `address` is in "10.0.0.0/8".
bool is_in_network(const std::vector<uint8_t>& address, std::string_view network) {
  const size_t slash = network.find('/');
  const auto base = address_bytes(std::string(network.substr(0, slash)));
  const auto bits =
      slash == network.npos ? base.size() * 8 : parse_u64(network.substr(slash + 1)).value_or(999);
  if (address.empty() || base.size() != address.size() || bits > base.size() * 8)
    return false;
  for (size_t bit = 0; bit < bits; ++bit)
    if (((base[bit / 8] ^ address[bit / 8]) >> (7 - bit % 8)) & 1)
      return false;
  return true;
}

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out)
    c = c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c;
  return out;
}

bool is_direct(const Url& url, const std::string& no_proxy) {
  std::string list = lower(no_proxy);
  std::ranges::replace(list, ',', ' ');
  const std::string host = lower(url.host);
  const auto address = address_bytes(host);
  for (std::string_view entry : split(list, ' ')) {
    if (entry == "*" || is_in_network(address, entry))
      return true;
    while (entry.starts_with('.'))
      entry.remove_prefix(1);
    if (!entry.empty() && (host == entry || host.ends_with(cat(".", entry))))
      return true;
  }
  return false;
}

std::string decode(std::string_view text) { // %40 is '@' in a password
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    const std::string hex(text.substr(std::min(i + 1, text.size()), 2));
    char* end = nullptr;
    const long byte = std::strtol(hex.c_str(), &end, 16);
    const bool coded = text[i] == '%' && hex.size() == 2 && *end == '\0';
    out += coded ? static_cast<char>(byte) : text[i];
    i += coded ? 2 : 0;
  }
  return out;
}

// Whatever the case of its letters (RFC 3986, 3.1).
bool is_word(std::string_view text, std::string_view lower) {
  return std::ranges::equal(
      text, lower, [](char c, char l) { return (c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c) == l; });
}

} // namespace

std::string Url::origin() const {
  return cat(tls ? "https://" : "http://", authority);
}

std::string Proxy::origin() const {
  return cat("http://", host.find(':') == host.npos ? host : cat("[", host, "]"), ":", port);
}

Result<Url> parse_url(std::string_view text) {
  Url url;
  const auto colon = text.find("://");
  const std::string_view scheme = text.substr(0, colon == text.npos ? 0 : colon);
  url.tls = is_word(scheme, "https");
  if (!url.tls && !is_word(scheme, "http"))
    return fail(Code::invalid, "is not an http or https address");
  const auto rest = text.substr(url.tls ? 8 : 7);
  url.authority = rest.substr(0, rest.find_first_of("/?#"));
  url.path = rest.substr(url.authority.size());
  if (url.path.empty())
    url.path = "/";
  if (url.authority.empty())
    return fail(Code::invalid, "has no host");
  if (url.authority.find('@') != url.authority.npos)
    return fail(Code::invalid, "must not have a user in it");
  if (rest.find_first_of(" \"<>\\^`{|}") != rest.npos || rest != printable(rest, 4000) ||
      url.path.front() != '/')
    return fail(Code::invalid, "has characters that do not belong there");
  const auto where = parse_host_port(url.authority, url.tls ? 443 : 80);
  if (!where)
    return fail(Code::invalid, "has a host or a port that cannot be");
  url.host = where->host;
  url.port = where->port;
  return url;
}

Result<std::string> parse_base_url(std::string_view text) {
  auto wrong = [&](std::string_view why) {
    return fail(Code::usage,
        cat("--to '", printable(text, 200), "': ", why, ": write https://HOST[:PORT]"));
  };
  const auto url = parse_url(text);
  if (!url)
    return wrong(url.error().message);
  if (text.size() > 1000)
    return wrong("is too long");
  if (url->path.find_first_not_of('/') != url->path.npos)
    return wrong(cat("must have no path, and '", printable(url->path, 80), "' is one"));
  return url->origin();
}

bool is_readable_on_the_way(std::string_view url) {
  const auto parsed = parse_url(url);
  if (!parsed || parsed->tls)
    return false;
  const std::string& host = parsed->host;
  return host != "localhost" && host != "::1" && !is_in_network(address_bytes(host), "127.0.0.0/8");
}

Result<std::optional<Proxy>> proxy_of(const Url& url, const Environment& value_of) {
  auto first_of = [&](std::initializer_list<const char*> names) {
    for (const char* name : names)
      if (const std::string value = value_of(name); !value.empty())
        return value;
    return std::string();
  };
  const std::string text = url.tls
      ? first_of({"https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"})
      : first_of({"http_proxy", "all_proxy", "ALL_PROXY"});
  if (text.empty() || is_direct(url, first_of({"no_proxy", "NO_PROXY"})))
    return std::nullopt;
  std::string_view rest = text;
  if (const size_t scheme = rest.find("://"); scheme != rest.npos) {
    if (lower(rest.substr(0, scheme)) != "http")
      return fail(Code::invalid,
          cat("the proxy of the environment is a ", printable(rest.substr(0, scheme), 20),
              ":// one: only http:// proxies can be used; no_proxy=", url.host, " goes without"));
    rest.remove_prefix(scheme + 3);
  }
  rest = rest.substr(0, rest.find('/'));
  Proxy proxy;
  if (const size_t at = rest.rfind('@'); at != rest.npos) {
    const auto login = rest.substr(0, at);
    proxy.user = decode(login.substr(0, login.find(':')));
    if (const size_t colon = login.find(':'); colon != login.npos)
      proxy.password = decode(login.substr(colon + 1));
    rest.remove_prefix(at + 1);
  }
  const auto where = parse_host_port(rest, k_proxy_port);
  if (!where || rest != printable(rest, 300))
    return fail(Code::invalid, "the proxy of the environment is not http://HOST:PORT");
  proxy.host = where->host;
  proxy.port = where->port;
  return proxy;
}

} // namespace chillbox::cli
