#include "nginx/rules.hpp"

#include "base/text.hpp"

#include <algorithm>
#include <array>
#include <map>
#include <optional>
#include <vector>

namespace chillbox::nginx {
namespace {

constexpr unsigned k_sl = k_server | k_location;
constexpr unsigned k_sli = k_sl | k_if_in_location;
constexpr unsigned k_rewrites = k_sl | k_if_in_server | k_if_in_location;

constexpr Rule k_special[]{
    {"server", k_http, Kind::block_server},
    {"upstream", k_http, Kind::block_upstream},
    {"map", k_http, Kind::variable_map},
    {"split_clients", k_http, Kind::variable_map},
    {"geo", k_http, Kind::variable_geo},
    {"limit_req_zone", k_http, Kind::zone},
    {"limit_conn_zone", k_http, Kind::zone},
    {"log_format", k_http, Kind::log_format},
    {"proxy_cache_path", k_http, Kind::cache_path},
    {"location", k_sl, Kind::block_location},
    {"if", k_sl, Kind::block_if},
    {"limit_except", k_location, Kind::block_limit_except},
    {"types", k_sl, Kind::block_pairs},
    {"listen", k_server, Kind::listen},
    {"server_name", k_server, Kind::server_name},
    {"include", k_http | k_sl, Kind::include},
    {"root", k_sli, Kind::path},
    {"alias", k_location, Kind::path},
    {"auth_basic_user_file", k_sl | k_limit_except, Kind::file},
    {"access_log", k_sli | k_limit_except, Kind::access_log},
    {"error_log", k_sl, Kind::error_log},
    {"set", k_rewrites, Kind::variable_set},
    {"auth_request_set", k_sl, Kind::variable_set},
    {"rewrite", k_rewrites, Kind::rewrite},
    {"try_files", k_sl, Kind::uri},
    {"index", k_sl, Kind::uri},
    {"auth_request", k_sl, Kind::uri},
    {"mirror", k_sl, Kind::uri},
    {"error_page", k_sli, Kind::error_page},
    {"limit_req", k_sl, Kind::use_zone},
    {"limit_conn", k_sl, Kind::use_zone_first},
    {"ssl_session_cache", k_server, Kind::session_cache},
    {"proxy_pass", k_location | k_if_in_location | k_limit_except, Kind::pass},
    {"fastcgi_pass", k_location | k_if_in_location, Kind::pass},
    {"uwsgi_pass", k_location | k_if_in_location, Kind::pass},
    {"scgi_pass", k_location | k_if_in_location, Kind::pass},
    {"grpc_pass", k_location | k_if_in_location, Kind::pass},
    {"server", k_upstream, Kind::server_of_upstream},
    {"zone", k_upstream, Kind::own_zone},
};

struct Plain {
  unsigned where;
  std::vector<std::string_view> names;
};

const std::vector<Plain>& plain() {
  static const std::vector<Plain> k_plain{
      {k_rewrites, {"return", "break", "rewrite_log", "uninitialized_variable_warn"}},
      {k_sl | k_limit_except, {"allow", "deny", "auth_basic"}},
      {k_sli,
          {"add_header", "add_trailer", "expires", "gzip", "limit_rate", "limit_rate_after",
              "sendfile", "sub_filter", "ssi", "charset", "source_charset", "override_charset",
              "charset_types"}},
      {k_location, {"internal", "flv", "mp4", "empty_gif"}},
      {k_upstream,
          {"least_conn", "ip_hash", "hash", "random", "keepalive", "keepalive_requests",
              "keepalive_time", "keepalive_timeout"}},
      {k_server,
          {"ssl_protocols", "ssl_ciphers", "ssl_prefer_server_ciphers", "ssl_session_timeout",
              "ssl_session_tickets", "ssl_stapling", "ssl_stapling_verify", "ssl_ecdh_curve",
              "ssl_buffer_size", "ssl_early_data", "ssl_verify_client", "ssl_verify_depth",
              "client_header_timeout", "client_header_buffer_size", "large_client_header_buffers",
              "ignore_invalid_headers", "underscores_in_headers", "merge_slashes", "http2",
              "connection_pool_size"}},
      {k_sl,
          {"absolute_redirect", "aio", "autoindex", "autoindex_exact_size", "autoindex_format",
              "autoindex_localtime", "chunked_transfer_encoding", "client_body_buffer_size",
              "client_body_in_single_buffer", "client_body_timeout", "client_max_body_size",
              "default_type", "directio", "directio_alignment", "etag", "gunzip", "gunzip_buffers",
              "gzip_buffers", "gzip_comp_level", "gzip_disable", "gzip_http_version",
              "gzip_min_length", "gzip_proxied", "gzip_static", "gzip_types", "gzip_vary",
              "if_modified_since", "keepalive_disable", "keepalive_requests", "keepalive_time",
              "keepalive_timeout", "limit_conn_dry_run", "limit_conn_log_level",
              "limit_conn_status", "limit_req_dry_run", "limit_req_log_level", "limit_req_status",
              "lingering_close", "lingering_time", "lingering_timeout", "log_not_found",
              "log_subrequest", "max_ranges", "min_delete_depth", "mirror_request_body",
              "mp4_buffer_size", "mp4_max_buffer_size", "msie_padding", "msie_refresh",
              "open_file_cache", "open_file_cache_errors", "open_file_cache_min_uses",
              "open_file_cache_valid", "output_buffers", "port_in_redirect", "postpone_output",
              "read_ahead", "real_ip_header", "real_ip_recursive", "recursive_error_pages",
              "referer_hash_bucket_size", "referer_hash_max_size", "request_pool_size",
              "reset_timedout_connection", "satisfy", "secure_link", "secure_link_md5",
              "secure_link_secret", "send_lowat", "send_timeout", "sendfile_max_chunk",
              "server_name_in_redirect", "server_tokens", "set_real_ip_from", "slice",
              "ssi_last_modified", "ssi_min_file_chunk", "ssi_silent_errors", "ssi_types",
              "ssi_value_length", "sub_filter_last_modified", "sub_filter_once", "sub_filter_types",
              "subrequest_output_buffer_size", "tcp_nodelay", "tcp_nopush",
              "types_hash_bucket_size", "types_hash_max_size", "userid", "userid_domain",
              "userid_expires", "userid_name", "userid_path", "userid_flags", "userid_mark",
              "userid_p3p", "valid_referers"}},
  };
  return k_plain;
}

// The same for each protocol that NGINX passes requests on with.
constexpr std::array<std::string_view, 5> k_families{
    "proxy_", "fastcgi_", "uwsgi_", "scgi_", "grpc_"};
constexpr std::array<std::string_view, 56> k_of_family{"buffer_size", "buffering", "buffers",
    "busy_buffers_size", "cache_background_update", "cache_bypass", "cache_convert_head",
    "cache_key", "cache_lock", "cache_lock_age", "cache_lock_timeout", "cache_max_range_offset",
    "cache_methods", "cache_min_uses", "cache_revalidate", "cache_use_stale", "cache_valid",
    "connect_timeout", "cookie_domain", "cookie_flags", "cookie_path", "force_ranges",
    "headers_hash_bucket_size", "headers_hash_max_size", "hide_header", "http_version",
    "ignore_client_abort", "ignore_headers", "intercept_errors", "limit_rate", "max_temp_file_size",
    "method", "next_upstream", "next_upstream_timeout", "next_upstream_tries", "no_cache",
    "pass_header", "pass_request_body", "pass_request_headers", "read_timeout", "redirect",
    "request_buffering", "send_lowat", "send_timeout", "set_body", "set_header", "socket_keepalive",
    "ssl_ciphers", "ssl_name", "ssl_protocols", "ssl_server_name", "ssl_session_reuse",
    "ssl_verify", "ssl_verify_depth", "temp_file_write_size", "param"};
constexpr std::array<std::string_view, 6> k_of_fastcgi{
    "index", "split_path_info", "keep_conn", "catch_stderr", "modifier1", "modifier2"};

std::vector<Rule> all_rules() {
  std::vector<Rule> rules(std::begin(k_special), std::end(k_special));
  for (const auto& group : plain())
    for (const auto name : group.names)
      rules.push_back({name, group.where, Kind::any});
  static std::vector<std::string> names; // what the views look into
  names.reserve(k_families.size() * (k_of_family.size() + k_of_fastcgi.size() + 4));
  const auto add = [&](std::string name, unsigned where, Kind kind) {
    names.push_back(std::move(name));
    rules.push_back({names.back(), where, kind});
  };
  for (const auto family : k_families) {
    for (const auto name : k_of_family)
      add(cat(family, name), k_sl, Kind::any);
    if (family != "proxy_" && family != "grpc_")
      for (const auto name : k_of_fastcgi)
        add(cat(family, name), k_sl, Kind::any);
    add(cat(family, "cache"), k_sl, Kind::use_zone_first);
    add(cat(family, "ssl_trusted_certificate"), k_sl, Kind::certificate);
    add(cat(family, "ssl_certificate"), k_sl, Kind::certificate);
    add(cat(family, "ssl_certificate_key"), k_sl, Kind::certificate);
  }
  for (const auto name : {"ssl_certificate", "ssl_certificate_key", "ssl_trusted_certificate",
           "ssl_client_certificate", "ssl_dhparam", "ssl_crl"})
    rules.push_back({name, k_server, Kind::certificate});
  return rules;
}

const std::vector<Rule>& rules() {
  static const std::vector<Rule> k_rules = all_rules();
  return k_rules;
}

// Families of variables: a name that begins so may be NGINX's. What it makes of a visitor's
// headers, cookies and arguments has no end, and the next version of NGINX may have one more of the
// others.
constexpr std::array<std::string_view, 13> k_prefixes{"http_", "arg_", "cookie_", "sent_http_",
    "sent_trailer_", "upstream_", "ssl_", "proxy_protocol_", "request_", "connection_", "time_",
    "date_", "chillbox_"};
// Each one that NGINX would not let a template define.
constexpr auto k_builtin = std::to_array<std::string_view>({"args", "binary_remote_addr",
    "body_bytes_sent", "bytes_sent", "connection", "connection_requests", "connection_time",
    "content_length", "content_type", "date_gmt", "date_local", "document_root", "document_uri",
    "fastcgi_path_info", "fastcgi_script_name", "gzip_ratio", "host", "hostname", "http2", "http3",
    "http_cookie", "http_host", "http_referer", "http_user_agent", "http_via",
    "http_x_forwarded_for", "http_x_forwarded_host", "http_x_forwarded_port",
    "http_x_forwarded_proto", "http_x_real_ip", "https", "invalid_referer", "is_args",
    "limit_conn_status", "limit_rate", "limit_req_status", "modern_browser", "msec", "msie",
    "nginx_version", "pid", "pipe", "proxy_add_x_forwarded_for", "proxy_host", "proxy_port",
    "proxy_protocol_addr", "proxy_protocol_port", "proxy_protocol_server_addr",
    "proxy_protocol_server_port", "query_string", "realip_remote_addr", "realip_remote_port",
    "realpath_root", "remote_addr", "remote_port", "remote_user", "request", "request_body",
    "request_body_file", "request_completion", "request_filename", "request_id", "request_length",
    "request_method", "request_port", "request_time", "request_uri", "scheme", "secure_link",
    "secure_link_expires", "sent_http_cache_control", "sent_http_connection",
    "sent_http_content_length", "sent_http_content_type", "sent_http_keep_alive",
    "sent_http_last_modified", "sent_http_link", "sent_http_location",
    "sent_http_transfer_encoding", "server_addr", "server_name", "server_port", "server_protocol",
    "slice_range", "ssl_alpn_protocol", "ssl_cipher", "ssl_ciphers", "ssl_client_cert",
    "ssl_client_escaped_cert", "ssl_client_fingerprint", "ssl_client_i_dn",
    "ssl_client_i_dn_legacy", "ssl_client_raw_cert", "ssl_client_s_dn", "ssl_client_s_dn_legacy",
    "ssl_client_serial", "ssl_client_v_end", "ssl_client_v_remain", "ssl_client_v_start",
    "ssl_client_verify", "ssl_curve", "ssl_curves", "ssl_early_data", "ssl_protocol",
    "ssl_server_name", "ssl_session_id", "ssl_session_reused", "status", "tcpinfo_rcv_space",
    "tcpinfo_rtt", "tcpinfo_rttvar", "tcpinfo_snd_cwnd", "time_iso8601", "time_local", "uid_got",
    "uid_reset", "uid_set", "upstream_addr", "upstream_bytes_received", "upstream_bytes_sent",
    "upstream_cache_status", "upstream_connect_time", "upstream_header_time",
    "upstream_response_length", "upstream_response_time", "upstream_status", "uri"});

bool is_exactly_builtin(std::string_view name) {
  return std::ranges::find(k_builtin, name) != k_builtin.end();
}

} // namespace

std::string_view name_of(Where where) {
  switch (where) {
  case k_http: return "at the top";
  case k_server: return "in 'server'";
  case k_location: return "in 'location'";
  case k_if_in_server:
  case k_if_in_location: return "in 'if'";
  case k_limit_except: return "in 'limit_except'";
  case k_upstream: return "in 'upstream'";
  default: return "here";
  }
}

const Rule* rule_of(std::string_view directive, Where where) {
  static const auto* k_by_name = [] {
    auto* map = new std::multimap<std::string_view, const Rule*>;
    for (const auto& rule : rules())
      map->emplace(rule.name, &rule);
    return map;
  }();
  const auto [first, last] = k_by_name->equal_range(directive);
  for (auto it = first; it != last; ++it)
    if ((it->second->where & where) != 0)
      return it->second;
  return nullptr;
}

bool is_known_directive(std::string_view directive) {
  return std::ranges::any_of(rules(), [&](const Rule& rule) { return rule.name == directive; });
}

std::string what_is_allowed(std::string_view directive, Where where) {
  std::vector<std::string> here, all;
  for (const auto& rule : rules()) {
    all.emplace_back(rule.name);
    if ((rule.where & where) != 0 && std::ranges::find(here, rule.name) == here.end())
      here.emplace_back(rule.name);
  }
  if (const auto near = is_known_directive(directive) ? std::nullopt : nearest(directive, all))
    return cat("did you mean '", *near, "'?");
  if (here.size() < 30)
    return cat("allowed ", name_of(where), " are ", join(here, ", "));
  return cat("site.json(5) lists what is allowed ", name_of(where));
}

bool is_builtin_variable(std::string_view name) {
  return is_exactly_builtin(name) ||
      std::ranges::any_of(k_prefixes, [&](auto prefix) { return name.starts_with(prefix); });
}

bool may_define(std::string_view variable) {
  return !is_exactly_builtin(variable) && !variable.starts_with("chillbox_");
}

} // namespace chillbox::nginx
