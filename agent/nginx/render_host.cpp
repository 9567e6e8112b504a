// chillbox.conf. Text from top to bottom as NGINX reads it; the reasons are in the text itself,
// for who reads it on the host.
#include "base/text.hpp"
#include "nginx/balance.hpp"
#include "nginx/html_page.hpp"
#include "nginx/media_types.hpp"
#include "nginx/nginx.hpp"
#include "nginx/ready.hpp"
#include "nginx/site_tls.hpp"

#include <unistd.h>

#include <algorithm>

namespace chillbox::nginx {
namespace {

constexpr std::string_view k_shared = R"nginx(# Written by chillboxd; changes are overwritten.

# Defaults of all sites; what a site's own service says goes before them.
map $upstream_http_x_content_type_options $chillbox_nosniff { "" nosniff; default ""; }
map $upstream_http_x_frame_options $chillbox_frame { "" SAMEORIGIN; default ""; }
map $upstream_http_referrer_policy $chillbox_referrer { "" strict-origin-when-cross-origin; default ""; }
map "$chillbox_scheme|$upstream_http_strict_transport_security" $chillbox_hsts { "https|" $chillbox_hsts_age; default ""; }
# A hash in a file's name (app.3f2a9c1d.css) says that its content never changes: letters and digits of it in turns, at least three times, since
# dates, numbers and words are none; nor is a UUID or an id of 24 digits. Behind a "-" only of programs, styles and fonts: pictures and data are
# named after numbers of things as well. Only of files that are there, never of what a service answers.
map $status $chillbox_immutable { default ""; 200 "public, max-age=31536000, immutable"; 206 "public, max-age=31536000, immutable"; 304 "public, max-age=31536000, immutable"; }
map "$upstream_addr|$status|$uri" $chillbox_cache {
  default "";
  "~^\|(?:200|206|304)\|.*(?:\.|-(?=[0-9a-f]+\.(?:css|js|mjs|map|wasm|woff2?|ttf|otf)$))(?<!-[0-9a-f]{4}-)(?!(?:[0-9a-f]{24}|[0-9a-f]{32})\.)(?=[0-9a-f]{0,60}(?:[0-9][a-f]{1,60}[0-9]{1,60}[a-f]|[a-f][0-9]{1,60}[a-f]{1,60}[0-9]))[0-9a-f]{8,64}\.(?:css|js|mjs|map|json|wasm|woff2?|ttf|otf|svg|png|jpe?g|gif|webp|avif|jxl|ico|mp4|webm)$" "public, max-age=31536000, immutable";
}
# A file that a visitor uploaded is shown in a sandbox (a PDF, which has scripts of its own only, would not be shown there at all), or is saved.
map $uri $chillbox_upload_policy { default "default-src 'none'; img-src 'self' data:; media-src 'self'; style-src 'unsafe-inline'; sandbox"; "~*\.pdf$" ""; }
# One request, one connection to a service: a kept one would continue to reach the old release after a switch.
map $http_upgrade $chillbox_connection { "" close; default upgrade; }
# Which answers of a site's own services count when a release is watched. Asked for each request, so not by a pattern.
map $request_method $chillbox_answered { default 1; HEAD 0; }

# chillboxd asks each site by its names, from this machine, whose server answers.
map "$remote_addr $uri" $chillbox_asks { default 0; "127.0.0.1 /.chillbox/site" 1; }
map $chillbox_asks $chillbox_visits { default 1; 1 0; }

# Where nobody on the way can have read what is secret in a request: by https, or from this machine. (Variables of up to 14
# characters share a place in NGINX's table of them; with longer ones it warned that it is full.)
map "$chillbox_scheme|$remote_addr|$server_addr" $chillbox_safe { default ""; "~^https\|" 1; "~\|127\." 1; "~\|([^|]+)\|\1$" 1; }
map $chillbox_safe $chillbox_token { default ""; 1 $http_authorization; }

# Whom the limits are for: one IPv4 address, or one IPv6 network of /64, which is what a single customer has; by the address's bytes, of which
# there is one form. An IPv4 address within IPv6 (::ffff:0:0/96) is one of its own.
map $binary_remote_addr $chillbox_client {
  "~(?s)^\x00{10}\xff\xff.{4}\z" $binary_remote_addr;
  "~(?s)^(?<chillbox_network>.{8}).{8}\z" $chillbox_network;
  default $binary_remote_addr;
}
limit_req_zone $chillbox_client zone=chillbox_requests:1m rate=20r/s;
limit_conn_zone $chillbox_client zone=chillbox_connections:1m;
limit_conn_zone $chillbox_client zone=chillbox_uploads:1m;
)nginx";

// Which types an upload may have is known to media_types.cpp.
std::string dispositions() {
  return cat("map $uri $chillbox_upload_disposition { default attachment; \"~*", upload_pattern(),
      "\" \"\"; }\n");
}

// What a proxy in front of this host says about a visitor, when the administrator trusts it. Of
// anybody else it is replaced. A proxy that speaks the PROXY protocol passes on what the visitor
// says in headers, so it is believed only in its own words.
std::string trust(const config::HostConfig& host, const HostFacts& facts) {
  std::string out = "\n# nginx.trusted_proxies of chillboxd.toml, and the balancers of the fleet\n";
  auto proxies = host.trusted_proxies;
  if (!host.tls.proxy_protocol)
    for (const auto& address : facts.fleet.balancers)
      if (std::ranges::find(proxies, address) == proxies.end())
        proxies.push_back(address);
  if (!proxies.empty() && facts.real_ip)
    out += cat("real_ip_header ", host.tls.proxy_protocol ? "proxy_protocol" : "X-Forwarded-For",
        ";\nreal_ip_recursive on;\n");
  std::string known;
  for (const auto& proxy : proxies) {
    out += cat("set_real_ip_from ", proxy, ";\n");
    if (!host.tls.proxy_protocol)
      known += cat("  ", proxy, " 1;\n");
  }
  return cat(out, "geo $realip_remote_addr $chillbox_trusted {\n  default 0;\n", known,
      "}\n"
      // Several proxies in a row make a list, of which the first is what the visitor used. Of a
      // websocket some say wss.
      "map \"$chillbox_trusted $http_x_forwarded_proto\" $chillbox_scheme { default $scheme; \"~*^1 (?:https|wss) *(,|$)\" https; \"~*^1 (?:http|ws) *(,|$)\" http; }\n"
      "map \"$chillbox_trusted $http_x_forwarded_proto\" $chillbox_port { default $server_port; \"~*^1 (?:https|wss) *(,|$)\" 443; \"~*^1 (?:http|ws) *(,|$)\" 80; }\n"
      // NGINX takes the server by the request line, which need not say what the Host header says.
      "map $http_host $chillbox_name { default $host; \"~(?<chillbox_at>:[0-9]{1,5})$\" $host$chillbox_at; }\n"
      "map \"$chillbox_scheme:$chillbox_port\" $chillbox_port_suffix { default :$chillbox_port; http:80 \"\"; https:443 \"\"; }\n");
}

// On what a site's certs/SITE.conf says in these variables: chillbox_secure is 1 for names that
// are asked for by https, 2 while the key for them is away. A certificate is asked for by http.
// They begin as maps, because a request whose head is refused runs no `set`.
std::string tls_maps(const config::HostConfig& host, const HostFacts& facts) {
  constexpr std::string_view k_not_challenge = " http /(?!\\.well-known/acme-challenge/)";
  const bool quic = host.tls.http3 && facts.build.http3;
  std::string out;
  for (const std::string_view name : {"secure", "names", "hsts_age"})
    out += cat("map \"\" $chillbox_", name, " { default \"\"; }\n");
  return cat(out,
      "map \"$chillbox_secure $chillbox_scheme $uri\" $chillbox_to_tls { default 0; \"~^1",
      k_not_challenge, "\" 1; }\n",
      "map \"$chillbox_secure $chillbox_scheme $uri\" $chillbox_away_now { default 0; \"~^2",
      k_not_challenge, "\" 1; }\n", "map $chillbox_secure $chillbox_alt_svc { default \"\"; ",
      quic ? cat("1 'h3=\":", host.https_port, "\"; ma=86400'; ") : std::string(), "}\n");
}

// Whoever asks for a name that has no certificate here gets none of another's.
std::string refusing_server(const config::HostConfig& host, const HostFacts& facts) {
  std::string out = cat("# Other names than those with a certificate.\nserver {\n",
      listen(host, host.https_port, facts.ipv6,
          facts.tls_default_server ? "ssl default_server" : "ssl"));
  if (host.tls.http3 && facts.build.http3)
    for (const std::string_view family : {"", "[::]:"})
      if (family.empty() || facts.ipv6)
        out += cat("  listen ", family, host.https_port, " quic reuseport",
            facts.tls_default_server ? " default_server" : "", ";\n");
  return cat(out, "  server_name ", facts.tls_default_server ? "_" : "refused.chillbox.invalid",
      ";\n  ssl_reject_handshake on;\n", tls_settings(facts.build), "}\n\n");
}

// The texts of sites may name them long after chillboxd.toml does not: with none it is this host
// itself, where the question ends.
std::string peers(const config::HostConfig& host, const Fleet& fleet) {
  auto all = host.tls.peers;
  if (host.tls.by_fleet())
    for (const auto& other : fleet.others)
      if (std::ranges::find(all, other) == all.end())
        all.push_back(other);
  if (all.empty())
    all.emplace_back("127.0.0.1");
  std::string out;
  for (const auto& peer : all) {
    const bool port = peer.starts_with('[') ? !peer.ends_with(']') : peer.find(':') != peer.npos;
    out +=
        cat("  server ", peer, port ? std::string() : cat(":", host.http_port), " max_fails=0;\n");
  }
  return cat("\nupstream chillbox_peers {\n", out, "}\n");
}

// The edge sees only what NGINX has understood: HTTP/1.0, no chunks, no second request on a
// connection. No body and no answer reaches a disk by NGINX: a webhook is read whole into memory,
// which is what client_body_buffer_size is for, since a chunked one could not be; an upload passes
// as it comes, so that the edge can refuse it by its head.
constexpr std::string_view k_to_edge = R"(    if ($http_content_encoding) { return 415; }
    if ($http_transfer_encoding) { return 411; }
    proxy_max_temp_file_size 0;
    limit_req zone=chillbox_requests burst=60 nodelay;
    limit_req_status 429;
    limit_conn chillbox_connections 64;
    limit_conn_status 429;
    error_log /dev/null emerg;
    proxy_pass http://chillbox_edge;
    proxy_http_version 1.0;
    proxy_set_header Connection close;
    proxy_set_header Host $host;
    proxy_set_header X-Forwarded-Proto $chillbox_scheme;
    proxy_set_header X-Forwarded-For $remote_addr;
    proxy_set_header Accept-Encoding "";
    proxy_next_upstream off;
    proxy_redirect off;
    gzip off;
)";

struct EdgeLocation {
  std::string_view match, methods, more;
};

constexpr std::string_view k_immutable_address = "127.99.104.98";

constexpr EdgeLocation k_edge_locations[] = {
    {"= /v1/hooks", "POST",
        "    client_max_body_size 64k;\n    client_body_buffer_size 64k;\n    client_body_timeout 3s;\n    proxy_read_timeout 30s;\n"},
    {"~ \"^/v1/artifacts/[0-9a-f]{64}(?:\\.minisig)?$\"", "PUT",
        "    if ($content_length = \"\") { return 411; }\n    client_body_timeout 15s;\n    limit_conn chillbox_uploads 8;\n"
        "    proxy_request_buffering off;\n    client_body_buffer_size 128k;\n    proxy_read_timeout 120s;\n    proxy_send_timeout 120s;\n"},
    {"~ ^/v1/jobs/[0-9A-Za-z_.-]+/events$", "GET",
        "    client_max_body_size 1k;\n    proxy_buffering off;\n    proxy_cache off;\n    proxy_read_timeout 1h;\n"},
    {"~ ^/v1/jobs/[0-9A-Za-z_.-]+$", "GET",
        "    client_max_body_size 1k;\n    proxy_read_timeout 30s;\n"},
    {"= /metrics", "GET",
        "    client_max_body_size 1k;\n    proxy_read_timeout 30s;\n    proxy_set_header Authorization $chillbox_token;\n"},
    {"~ \"^/v1/report/[0-9a-f.]{34,60}$\"", "GET",
        "    if ($chillbox_safe = \"\") { return 404; }\n    client_max_body_size 1k;\n    proxy_read_timeout 60s;\n"
        "    add_header Content-Security-Policy \"default-src 'none'; style-src 'unsafe-inline'; sandbox\";\n"
        "    add_header X-Content-Type-Options nosniff;\n    add_header Referrer-Policy no-referrer;\n"
        "    add_header X-Robots-Tag noindex;\n    add_header Cache-Control no-store;\n"},
    {"= /v1/health", "GET", "    client_max_body_size 1k;\n    proxy_read_timeout 10s;\n"},
};

std::string edge_location(const EdgeLocation& l, uint64_t artifact_max) {
  const bool upload = l.methods == "PUT";
  std::string out = cat("  location ", l.match, " {\n    if ($request_method != ", l.methods,
      ") { return 405; }\n", l.more);
  if (upload)
    out += cat("    client_max_body_size ", artifact_max, ";\n");
  out += cat(k_to_edge, "    error_page 502 504 = @chillbox_edge_down;\n  }\n");
  return out;
}

std::string edge_server_part(const config::HostConfig& host) {
  std::string out;
  for (const auto& location : k_edge_locations)
    out += edge_location(location, host.artifact_max);
  out +=
      "  location /v1/ { error_log /dev/null emerg; return 404; }\n"
      "  location @chillbox_edge_down {\n"
      "    default_type application/json;\n"
      "    add_header Retry-After 5 always;\n"
      "    return 503 '{\"error\":{\"code\":\"unreachable\",\"message\":\"chillboxd does not answer\"}}\\n';\n"
      "  }\n";
  return out;
}

std::string names_of(const config::HostConfig& host, const HostFacts& facts) {
  if (facts.default_server)
    return facts.host_name.empty() || facts.host_name == host.server_name
        ? host.server_name
        : cat(host.server_name, " ", facts.host_name);
  std::vector<std::string> names = facts.other_names;
  if (!facts.host_name.empty() && std::ranges::find(names, facts.host_name) == names.end())
    names.push_back(facts.host_name);
  if (host.server_name != "_") // as a rule the other default server's name, and NGINX warns of two
    names.insert(names.begin(), host.server_name);
  return join(names, " ");
}

std::string generation_server(
    const config::HostConfig& host, const std::string& generation, bool ipv6) {
  return cat(
      "# chillboxd requests this after a reload: NGINX silently keeps its old configuration if the new one fails.\n"
      "server {\n",
      listen(host, host.http_port, ipv6), "  server_name ", k_generation_host,
      ";\n  allow 127.0.0.1;\n  deny all;\n  access_log off;\n  default_type text/plain;\n  location / { return 404; }\n"
      "  location = /generation {\n    return 200 '",
      generation, "';\n  }\n}\n");
}

// Templates of the original send visitors of immutable files on to a bucket: what they would find
// there, from the kept releases. On an address of its own: a site that passes a request on to it
// cannot name another server of this machine, whatever Host it sends.
std::string immutable_server(uint16_t port, const os::Paths& paths) {
  return cat("# Replaces the bucket in which sites of the original keep their immutable files.\n"
             "upstream ",
      k_immutable_host, " { server ", k_immutable_address, ":", port,
      " max_fails=0; }\nserver {\n  listen ", k_immutable_address, ":", port, ";\n  server_name ",
      k_immutable_host,
      ";\n  allow 127.0.0.0/8;\n  deny all;\n  access_log off;\n  disable_symlinks if_not_owner;\n  location / { return 404; }\n"
      "  location ~ \"^/(?<chillbox_site>[a-z][a-z0-9-]{0,30})/immutable/(?<chillbox_file>.+)$\" {\n    alias ",
      paths.sites(),
      "/$chillbox_site/immutable/$chillbox_file;\n"
      "    add_header Cache-Control $chillbox_immutable;\n  }\n}\n");
}

} // namespace

bool has_ipv6() {
  return ::access("/proc/net/if_inet6", F_OK) == 0;
}

std::string render_host(const config::HostConfig& host, const os::Paths& paths,
    const std::string& generation, const HostFacts& facts) {
  std::string out =
      cat(k_shared, dispositions(), trust(host, facts), believed_balancers(facts.fleet),
          ready_askers(host), tls_maps(host, facts), peers(host, facts.fleet));
  if (facts.names_hash)
    out +=
        "# A host name may have 253 bytes; NGINX expects about 50.\nserver_names_hash_bucket_size 512;\n";
  if (facts.header_timeout)
    out +=
        "# A head is read before NGINX knows its server, within the time of the default server, from whichever file that is.\nclient_header_timeout 5s;\n";
  out += cat("\nupstream chillbox_edge { server unix:", paths.hook_socket(),
      " max_fails=0; }\n\nserver {\n");
  out += listen(host, host.http_port, facts.ipv6, facts.default_server ? "default_server" : "");
  const bool own = !host.tls_certificate.empty();
  // A host without a name answers to all of them, with the certificate that it was given.
  const bool takes_all = own && host.server_name == "_";
  if (own)
    out += cat(listen(host, host.https_port, facts.ipv6,
                   takes_all && facts.tls_default_server ? "ssl default_server" : "ssl"),
        certificate_files(host.tls_certificate, host.tls_certificate_key),
        tls_settings(facts.build));
  else
    out += tls_include("  ", paths, k_host_id);
  out += cat("  server_name ", names_of(host, facts), ";\n");
  out +=
      "  # A balancer asks for a site that is not here.\n  if ($chillbox_first) { return 444; }\n"
      "  server_tokens off;\n"
      "  # Paths and queries carry capabilities: no log may contain them.\n"
      "  access_log off;\n"
      "  # Limits slow clients: the longest time between two reads of a header or a body.\n"
      "  client_header_timeout 3s;\n  client_body_timeout 3s;\n  send_timeout 30s;\n"
      "  large_client_header_buffers 4 8k;\n"
      "  client_max_body_size 1k;\n\n"
      "  location = /healthcheck/ {\n    default_type text/plain;\n    return 200 'ok\\n';\n  }\n";
  out += cat(challenge_location(host, paths), ready_locations(paths), edge_server_part(host));
  out += "  location / { return 404; }\n}\n\n";
  out += balancers_text(facts.fleet, host, paths, facts.ipv6);
  if ((facts.tls || own) && !takes_all)
    out += refusing_server(host, facts);
  out += cat(immutable_server(host.http_port, paths), "\n");
  return out + generation_server(host, generation, facts.ipv6);
}

} // namespace chillbox::nginx
