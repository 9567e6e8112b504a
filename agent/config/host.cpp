#include "config/host.hpp"

#include "config/toml.hpp"

#include <arpa/inet.h>

#include <array>

namespace chillbox::config {
namespace {

using Section = Table<HostConfig>;

bool word_or_empty(std::string_view s) {
  return s.empty() || (s.find_first_of(" \t;{}\"'\\$#") == std::string_view::npos && k_line.ok(s));
}
bool server_name(std::string_view s) {
  return s == "_" || k_host_name.ok(s);
}
bool path_or_empty(std::string_view s) {
  return s.empty() || k_absolute_path.ok(s);
}
bool nginx_word(std::string_view s) {
  return !s.empty() &&
      s.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789_") == std::string_view::npos;
}
bool upstream(std::string_view s) {
  return !s.empty() &&
      s.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789.-:[]") == std::string_view::npos;
}
// "10.0.0.0/8", "2001:db8::/32", "192.0.2.1": what NGINX's geo and set_real_ip_from take without a
// warning.
bool network(std::string_view s) {
  const auto slash = s.find('/');
  const std::string address(s.substr(0, slash));
  std::array<unsigned char, 16> bytes{};
  const bool v4 = ::inet_pton(AF_INET, address.c_str(), bytes.data()) == 1;
  if (!v4 && ::inet_pton(AF_INET6, address.c_str(), bytes.data()) != 1)
    return false;
  if (slash == std::string_view::npos)
    return true;
  const size_t all = v4 ? 32 : 128;
  const auto length = parse_u64(s.substr(slash + 1));
  if (!length || *length > all)
    return false;
  for (size_t bit = *length; bit < all; ++bit) // beyond the network
    if ((bytes[bit / 8] >> (7 - bit % 8) & 1) != 0)
      return false;
  return true;
}
bool group(std::string_view s) {
  return s.empty() || (k_file_name.ok(s) && s.find('.') == std::string_view::npos);
}

const TextRule k_server_name{"a host name in lower case, or \"_\" for any", 253, server_name};
const TextRule k_word{"a text without spaces, quotes and ; { } \\ $ #", 1000,
    word_or_empty}; // it goes into NGINX templates
const TextRule k_optional_path{
    "an absolute path of letters, digits, '.', '_', '-', without '..'", 1000, path_or_empty};
const TextRule k_nginx_word{"a name of letters, digits and '_'", 100, nginx_word};
const TextRule k_upstream{
    "a host name or address in lower case, followed by \":PORT\" if the port is not the usual one",
    260, upstream};
const TextRule k_network{
    "an address or a network, such as 192.0.2.1, 10.0.0.0/8 or 2001:db8::/32, with no bits after the network's (sockets of unix need none: sites listen on TCP)",
    50, network};
const TextRule k_group{"the name of a group", 32, group};

constexpr uint64_t k_mib = 1ULL << 20;
constexpr uint64_t k_tib = 1ULL << 40;

// A section of the file; its keys are members of the one HostConfig.
Read<HostConfig> section(Section keys) {
  return [keys = std::move(keys)](const Location& at, const Json& json, HostConfig& out) {
    read_object(at, json, keys, out);
  };
}

const Section& sections() {
  using H = HostConfig;
  static const Section k_sections{
      {"host",
          section({{"server_name", into(&H::server_name, Text{k_server_name})},
              {"log_level", into(&H::log_level, Choice{{"debug", "info", "warn", "error"}})},
              {"tech_email", into(&H::tech_email, Text{k_word})}})},
      {"stage",
          section({{"size", into(&H::stage_size, Size{k_mib, k_tib})},
              {"secrets_size", into(&H::secrets_size, Size{k_mib, k_tib})},
              {"allow_swap", into(&H::allow_swap, Boolean{})}})},
      {"limits",
          section({{"artifact_max", into(&H::artifact_max, Size{k_mib, k_tib})},
              {"uploads_max", into(&H::uploads_max, Size{k_mib, k_tib})},
              {"log_size", into(&H::log_size, Size{64'000, k_tib})},
              {"log_files", into(&H::log_files, Integer{0, 100})},
              {"unpacked_max", into(&H::unpacked_max, Size{k_mib, k_tib})},
              {"entries_max", into(&H::entries_max, Integer{1, 10'000'000})},
              {"ratio_max", into(&H::ratio_max, Integer{1, 100'000})},
              {"jobs_max", into(&H::jobs_max, Integer{1, 64})},
              {"queue_max", into(&H::queue_max, Integer{1, 100'000})},
              {"upload_wait", into(&H::upload_wait, Duration{})},
              {"build_timeout", into(&H::build_timeout, Duration{})},
              {"tasks_default", into(&H::tasks_default, Integer{16, 100'000})},
              {"serial_jump_max", into(&H::serial_jump_max, Integer{1, INT64_MAX})},
              {"reserve_percent", into(&H::reserve_percent, Integer{0, 50})},
              {"scrypt_cap", into(&H::scrypt_cap, Integer{10, 22})}})},
      {"nginx",
          section({{"dir", into(&H::nginx_dir, Text{k_optional_path})},
              {"group", into(&H::nginx_group, Text{k_group})},
              {"http_port", into(&H::http_port, Integer{1, 65'535})},
              {"https_port", into(&H::https_port, Integer{1, 65'535})},
              {"tls_certificate", into(&H::tls_certificate, Text{k_optional_path})},
              {"tls_certificate_key", into(&H::tls_certificate_key, Text{k_optional_path})},
              {"trusted_proxies", each(&H::trusted_proxies, 100, Text{k_network})},
              {"allow_directives", each(&H::nginx_allow_directives, 100, Text{k_nginx_word})},
              {"allow_variables", each(&H::nginx_allow_variables, 100, Text{k_nginx_word})},
              {"allow_upstreams", each(&H::nginx_allow_upstreams, 100, Text{k_upstream})},
              {"allow_paths", each(&H::nginx_allow_paths, 100, Text{k_absolute_path})}})},
      {"defaults",
          section({{"watch", into(&H::watch, Duration{.zero = true})},
              {"keep_releases", into(&H::keep_releases, Integer{1, 100})}})},
      {"variables",
          section({{"s3_endpoint_url", into(&H::s3_endpoint_url, Text{k_word})},
              {"artifact_bucket", into(&H::artifact_bucket, Text{k_word})},
              {"immutable_bucket", into(&H::immutable_bucket, Text{k_word})},
              {"immutable_bucket_domain", into(&H::immutable_bucket_domain, Text{k_word})},
              {"subnet", into(&H::subnet, Text{k_word})}})},
      {"edge", section({{"test_port", into(&H::edge_test_port, Integer{0, 65'535})}})}};
  return k_sections;
}

void check_together(Problems& problems, const HostConfig& host) {
  if (host.tls_certificate.empty() != host.tls_certificate_key.empty())
    problems.add(
        "nginx.tls_certificate", "must be set together with nginx.tls_certificate_key, or neither");
  if (host.http_port == host.https_port)
    problems.add("nginx.https_port", cat("is the same as nginx.http_port, ", host.http_port));
}

} // namespace

Result<HostConfig> parse_host_config(std::string_view toml, std::string_view file_name) {
  Lines lines;
  const Json json = TRY(parse_toml(toml, file_name, lines));
  Problems problems(file_name, &lines);
  HostConfig host;
  read_object({problems, ""}, json, sections(), host);
  check_together(problems, host);
  if (!problems.empty())
    return problems.error();
  return host;
}

} // namespace chillbox::config
