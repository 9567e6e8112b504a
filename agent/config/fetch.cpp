#include "config/fetch.hpp"

#include "base/text.hpp"
#include "config/toml.hpp"
#include "config/validators.hpp"

#include <algorithm>

namespace chillbox::config {
namespace {

constexpr std::string_view k_letters =
    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";

std::string_view after_scheme(std::string_view s) {
  for (const std::string_view scheme : {"https://", "http://"})
    if (s.starts_with(scheme))
      return s.substr(scheme.size());
  return "";
}

bool only(std::string_view s, std::string_view more) {
  return std::ranges::all_of(s, [&](char c) {
    return k_letters.find(c) != std::string_view::npos || more.find(c) != std::string_view::npos;
  });
}

// HOST or HOST:PORT, without a user.
bool authority(std::string_view s) {
  return !s.empty() && k_letters.find(s.front()) != std::string_view::npos && only(s, ".-:");
}

// Nothing in it is escaped or leads upwards, so that it is asked for as it is written.
bool source(std::string_view s) {
  const auto rest = after_scheme(s);
  const auto slash = rest.find('/');
  if (!authority(rest.substr(0, slash)))
    return false;
  const auto path = slash == std::string_view::npos ? "" : rest.substr(slash);
  return only(path, "/._-") && path.find("/.") == std::string_view::npos &&
      path.find("//") == std::string_view::npos && !path.ends_with('/');
}

bool proxy_or_empty(std::string_view s) {
  return s.empty() || authority(after_scheme(s));
}

bool proxy_file_or_empty(std::string_view s) {
  return s.empty() || k_absolute_path.ok(s);
}

const TextRule k_source{
    "an address such as https://s3.example/bucket/prefix, without a user, a query, % or a / at its end",
    500, source};
const TextRule k_proxy{
    "the address of a proxy, such as http://10.0.0.1:3128, or \"\"", 300, proxy_or_empty};
const TextRule k_file_or_empty{
    "an absolute path of letters, digits, '.', '_', '-', without '..', or \"\"", 1000,
    proxy_file_or_empty};

} // namespace

const Table<HostFetch>& fetch_table() {
  using F = HostFetch;
  static const Table<F> k_fetch{{"from", each(&F::from, 5, Text{k_source})},
      {"credentials", into(&F::credentials, Text{k_file_or_empty})},
      {"ca_file", into(&F::ca_file, Text{k_file_or_empty})},
      {"proxy", into(&F::proxy, Text{k_proxy})},
      {"private_addresses", into(&F::private_addresses, Boolean{})},
      {"timeout", into(&F::timeout, Duration{.whole = true})}};
  return k_fetch;
}

Result<HostFetch> parse_host_fetch(std::string_view toml, std::string_view file_name) {
  Lines lines;
  const Json json = TRY(parse_toml(toml, file_name, lines));
  HostFetch fetch;
  const auto section = json.find("fetch");
  if (section == json.end())
    return fetch;
  Problems problems(file_name, &lines);
  read_object({problems, "fetch"}, *section, fetch_table(), fetch);
  if (!problems.empty())
    return problems.error();
  return fetch;
}

} // namespace chillbox::config
