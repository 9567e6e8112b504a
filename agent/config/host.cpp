#include "config/host.hpp"

#include "config/backup.hpp"
#include "config/fetch.hpp"
#include "config/fleet.hpp"
#include "config/host_rules.hpp"
#include "config/kind.hpp"
#include "config/network.hpp"
#include "config/toml.hpp"

#include <arpa/inet.h>

#include <algorithm>
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
bool kind_name_or_empty(std::string_view s) {
  return s.empty() || is_kind_name(s);
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
  return Network::parse(s).has_value();
}
// A URL of https, as plain as those of ACME directories are.
bool acme_server(std::string_view s) {
  if (s == "letsencrypt" || s == "letsencrypt-staging" || s == "off")
    return true;
  return s.starts_with("https://") && s.size() > 8 && s[8] != '/' &&
      std::ranges::all_of(s, [](char c) { return c > ' ' && c < 0x7f; }) &&
      s.find_first_of("\"'\\<>{}") == std::string_view::npos;
}
bool mail(std::string_view s) {
  const auto at = s.find('@');
  return at != 0 && at != std::string_view::npos && k_host_name.ok(s.substr(at + 1)) &&
      s.substr(0, at).find_first_not_of(
          "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.!#$%&'*+/=?^_`{|}~-") ==
      std::string_view::npos;
}
// Another host of chillbox: what proxy_pass takes as it is, without a name that NGINX would have to
// look up at its start.
bool peer(std::string_view s) {
  const bool brackets = s.starts_with('[');
  const auto end = brackets ? s.find(']') : s.find(':');
  if (brackets && end == std::string_view::npos)
    return false;
  const std::string address(brackets ? s.substr(1, end - 1) : s.substr(0, end));
  std::array<unsigned char, 16> bytes{};
  if (::inet_pton(brackets ? AF_INET6 : AF_INET, address.c_str(), bytes.data()) != 1)
    return false;
  auto rest = brackets ? s.substr(end + 1) : end == std::string_view::npos ? "" : s.substr(end);
  if (rest.empty())
    return true;
  const uint64_t port = rest.starts_with(':') ? parse_u64(rest.substr(1)).value_or(0) : 0;
  return port >= 1 && port <= 65'535;
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
const TextRule k_group{"the name of a group", 32, group};
const TextRule k_dns_hook_name{
    "a name: a lower-case letter, then lower-case letters, digits or inner '-'", 32, is_kind_name};
const TextRule k_profile{"the name of a profile, such as classic, or \"\"", 32, kind_name_or_empty};
const TextRule k_acme_server{
    "letsencrypt, letsencrypt-staging, off, or the https:// URL of an ACME directory", 500,
    acme_server};
const TextRule k_mail{"an address of e-mail, such as admin@example.org", 200, mail};
const TextRule k_peer{
    "the address of another host, followed by \":PORT\" if its port is not this host's: 10.0.0.2, 10.0.0.2:8080 or [2001:db8::2]",
    60, peer};

} // namespace

extern const TextRule k_network{
    "an address or a network, such as 192.0.2.1, 10.0.0.0/8 or 2001:db8::/32, with no bits after the network's (sockets of unix need none: sites listen on TCP)",
    50, network};

namespace {

constexpr uint64_t k_mib = 1ULL << 20;
constexpr uint64_t k_tib = 1ULL << 40;

// Who makes backups reads it again (config/backup.hpp).
void check_host_backup(const Location& at, const Json& json, HostConfig&) {
  HostBackup backup;
  read_host_backup(at, json, backup);
}

// A section of the file; its keys are members of the one HostConfig.
Read<HostConfig> section(Section keys) {
  return [keys = std::move(keys)](const Location& at, const Json& json, HostConfig& out) {
    read_object(at, json, keys, out);
  };
}

const Table<HostTls>& host_tls_table() {
  using T = HostTls;
  static const Table<T> k_tls{{"acme", into(&T::acme, Text{k_acme_server})},
      {"profile", into(&T::profile, Text{k_profile})},
      {"contact", each(&T::contact, 10, Text{k_mail})},
      {"ca_file", into(&T::ca_file, Text{k_optional_path})},
      {"eab_kid", into(&T::eab_kid, Text{k_word})},
      {"eab_key_file", into(&T::eab_key_file, Text{k_optional_path})},
      {"engine", into(&T::engine, Text{k_dns_hook_name})}, {"http3", into(&T::http3, Boolean{})},
      {"proxy_protocol", into(&T::proxy_protocol, Boolean{})},
      {"peers", each(&T::peers, 20, Text{k_peer})},
      {"issuer", into(&T::issuer, Choice{{"host", "fleet"}})}};
  return k_tls;
}

bool heartbeat(std::string_view s) {
  return s.empty() ||
      ((s.starts_with("https://") || s.starts_with("http://127.0.0.1")) &&
          std::ranges::all_of(s, [](char c) { return c > ' ' && c < 0x7f; }) &&
          s.find_first_of("\"'\\<>{}") == std::string_view::npos);
}
const TextRule k_heartbeat{"the https:// URL of a check, or \"\"", 1000, heartbeat};

const Table<HostNotify>& notify_table() {
  using N = HostNotify;
  static const Table<N> k_notify{
      {"gather", into(&N::gather, Duration{.zero = true, .whole = true})},
      {"heartbeat", into(&N::heartbeat, Text{k_heartbeat})},
      {"every", into(&N::every, Duration{.whole = true})}};
  return k_notify;
}

// Its values are parse_host_metrics()'s.
void check_metrics(const Location& at, const Json& json, HostConfig&) {
  HostMetrics metrics;
  read_object(at, json, metrics_table(), metrics);
}

// Who fetches reads it again (config/fetch.hpp).
void check_fetch(const Location& at, const Json& json, HostConfig&) {
  HostFetch fetch;
  read_object(at, json, fetch_table(), fetch);
}

// Who asks the engine reads it again (config/fleet.hpp).
void check_fleet(const Location& at, const Json& json, HostConfig&) {
  HostFleet fleet;
  read_host_fleet(at, json, fleet);
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
              {"upload_wait", into(&H::upload_wait, Duration{.whole = true})},
              {"build_timeout", into(&H::build_timeout, Duration{.whole = true})},
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
              {"access_log", into(&H::access_log, Choice{{"combined", "json"}})},
              {"trusted_proxies", each(&H::trusted_proxies, 100, Text{k_network})},
              {"checked_from", each(&H::checked_from, 100, Text{k_network})},
              {"allow_directives", each(&H::nginx_allow_directives, 100, Text{k_nginx_word})},
              {"allow_variables", each(&H::nginx_allow_variables, 100, Text{k_nginx_word})},
              {"allow_upstreams", each(&H::nginx_allow_upstreams, 100, Text{k_upstream})},
              {"allow_paths", each(&H::nginx_allow_paths, 100, Text{k_absolute_path})}})},
      {"tls", into(&H::tls, host_tls_table())}, {"backup", check_host_backup},
      {"metrics", check_metrics}, {"fetch", check_fetch}, {"fleet", check_fleet},
      {"notify", into(&H::notify, notify_table())},
      {"defaults",
          section({{"watch", into(&H::watch, Duration{.zero = true})},
              {"keep_releases", into(&H::keep_releases, Integer{1, 100})}})},
      {"data",
          section({{"snapshots", into(&H::snapshots, Choice{{"try", "required", "off"}})},
              {"snapshot_max", into(&H::snapshot_max, Size{k_mib, k_tib})}})},
      {"variables",
          section({{"s3_endpoint_url", into(&H::s3_endpoint_url, Text{k_word})},
              {"artifact_bucket", into(&H::artifact_bucket, Text{k_word})},
              {"immutable_bucket", into(&H::immutable_bucket, Text{k_word})},
              {"immutable_bucket_domain", into(&H::immutable_bucket_domain, Text{k_word})},
              {"subnet", into(&H::subnet, Text{k_word})}})},
      {"edge", section({{"test_port", into(&H::edge_test_port, Integer{0, 65'535})}})}};
  return k_sections;
}

void check_together(Problems& problems, const HostConfig& host, bool has_engine) {
  if (host.tls_certificate.empty() != host.tls_certificate_key.empty())
    problems.add(
        "nginx.tls_certificate", "must be set together with nginx.tls_certificate_key, or neither");
  if (host.tls.eab_kid.empty() != host.tls.eab_key_file.empty())
    problems.add("tls.eab_kid", "must be set together with tls.eab_key_file, or neither");
  if (host.tls.proxy_protocol && host.trusted_proxies.empty())
    problems.add("tls.proxy_protocol",
        "needs the proxies that speak it in nginx.trusted_proxies: without them every visitor has a proxy's address");
  if (host.tls.by_fleet() && !has_engine)
    problems.add("tls.issuer",
        "fleet needs the fleet's engine in [fleet]: chillboxctl fleet init makes it, with its settings");
  if (host.http_port == host.https_port)
    problems.add("nginx.https_port", cat("is the same as nginx.http_port, ", host.http_port));
}

} // namespace

std::string HostTls::directory() const {
  if (acme == "letsencrypt")
    return "https://acme-v02.api.letsencrypt.org/directory";
  if (acme == "letsencrypt-staging")
    return "https://acme-staging-v02.api.letsencrypt.org/directory";
  return issues() ? acme : std::string();
}

Result<HostConfig> parse_host_config(std::string_view toml, std::string_view file_name) {
  Lines lines;
  const Json json = TRY(parse_toml(toml, file_name, lines));
  Problems problems(file_name, &lines);
  HostConfig host;
  read_object({problems, ""}, json, sections(), host);
  check_together(problems, host, json.contains("fleet"));
  if (!problems.empty())
    return problems.error();
  return host;
}

} // namespace chillbox::config
