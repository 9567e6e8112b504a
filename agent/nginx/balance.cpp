#include "nginx/balance.hpp"

#include "base/encoding.hpp"
#include "base/log.hpp"
#include "base/names.hpp"
#include "base/text.hpp"
#include "config/network.hpp"
#include "config/site.hpp"
#include "nginx/html_page.hpp"
#include "nginx/names.hpp"
#include "nginx/nginx.hpp"
#include "nginx/scan.hpp"
#include "nginx/site_file.hpp"
#include "nginx/site_tls.hpp"
#include "nginx/visitor_headers.hpp"

#include <algorithm>
#include <array>

namespace chillbox::nginx {
namespace {

// Where what is passed on in clear does not cross the Internet; a VPN has such addresses, too.
constexpr std::array<std::string_view, 6> k_private{
    "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "fc00::/7", "127.0.0.0/8"};

bool is_private(std::string_view address) {
  return std::ranges::any_of(k_private, [&](std::string_view text) {
    const auto network = config::Network::parse(text);
    return network && network->contains(address);
  });
}

bool is_v6(std::string_view address) {
  return address.find(':') != std::string_view::npos;
}

Result<void> check_addresses(const control::Roster& roster) {
  for (const auto& host : roster.hosts) {
    const auto refuse = [&](std::string_view why) {
      return fail(Code::invalid,
          cat("host '", host.name, "': its address ", host.address, why, ": chillboxctl fleet add ",
              host.name, " --address ADDRESS"));
    };
    if (!config::Network::parse(host.address))
      return refuse(" is a name, and balancers need an IP address");
    if (!is_private(host.address))
      return refuse(" is a public one, and between balancers and hosts nothing is encrypted: "
                    "give it one of a private network or a VPN");
    if (is_v6(host.address) != is_v6(roster.hosts.front().address))
      return refuse(" is of another kind, IPv4 or IPv6, than that of the first host");
  }
  return {};
}

std::string in_brackets(const std::string& address) {
  return is_v6(address) ? cat("[", address, "]") : address;
}

std::string group_of(const control::BalancedSite& site) {
  return "chillbox_balanced_" + site.site; // '_' is in no site's name
}

constexpr std::string_view k_all = "chillbox_balanced_", k_tries = " max_fails=1 fail_timeout=10s";

std::string upstream(const std::string& name, const Fleet& fleet, uint16_t port,
    std::string_view tries, const os::Paths& paths) {
  std::string out = cat("upstream ", name, " {\n  zone ", name, " 128k;\n");
  for (const auto& address : fleet.hosts)
    out += cat("  server ", in_brackets(address), ":", port, tries, ";\n");
  return cat(out, "  ", upstream_include(paths), "\n}\n");
}

constexpr std::string_view k_maps = R"nginx(
# Sites of this fleet whose visitors this host takes, for the other hosts.
# What must not be done twice, is not sent twice: NGINX itself would send a MOVE again.
map $request_method $chillbox_once { default 1; GET ""; HEAD ""; OPTIONS ""; TRACE ""; PUT ""; DELETE ""; }
map $chillbox_once $chillbox_may_refuse { default ""; "" 1; }
map $chillbox_asked $chillbox_host { default $chillbox_group; "~(?<chillbox_last>[^ ,]+)$" $chillbox_last; }
map $upstream_connect_time $chillbox_was_sent { default 1; "" 0; "-" 0; }
)nginx";

// No connection is kept for the next request: one that a host closes while a POST is on its way
// would cost that POST.
constexpr std::string_view k_proxy_on = R"(  proxy_http_version 1.1;
  proxy_buffering off;
  proxy_buffer_size 64k;
  proxy_busy_buffers_size 64k;
  proxy_buffers 8 32k;
  proxy_connect_timeout 1s;
  proxy_send_timeout 10m;
  proxy_read_timeout 10m;
  proxy_next_upstream error timeout;
  proxy_next_upstream_timeout 10s;
  proxy_redirect off;
  proxy_ignore_headers X-Accel-Redirect X-Accel-Buffering X-Accel-Limit-Rate X-Accel-Charset X-Accel-Expires;
  gzip off;
)";

constexpr std::string_view k_to_host = R"(    proxy_set_header Host $chillbox_name;
    proxy_set_header Upgrade $http_upgrade;
    proxy_set_header Connection $chillbox_connection;
)";

std::string locations(const control::BalancedSite& site) {
  return cat(R"(  location = /.chillbox/here {
    internal;
    if ($chillbox_once = "") { return 204; }
    proxy_method GET;
    proxy_pass_request_headers off;
    proxy_pass_request_body off;
    proxy_set_header Host $chillbox_name;
    proxy_set_header Connection close;
    proxy_set_header X-Chillbox-First 1;
    proxy_set_header X-Forwarded-Proto $chillbox_scheme;
    proxy_set_header X-Forwarded-For $remote_addr;
    proxy_read_timeout 2s;
    proxy_pass http://)",
      group_of(site), R"(/.chillbox/here;
  }
  location / {
    auth_request /.chillbox/here;
    auth_request_set $chillbox_asked $upstream_addr;
    error_page 500 502 = @chillbox_any;
    error_page 504 = @chillbox_none;
)",
      k_to_host, visitor_headers("$chillbox_may_refuse"), R"(    proxy_pass http://$chillbox_host;
  }
  location @chillbox_any {
    set $chillbox_again "$chillbox_once$chillbox_was_sent";
    if ($chillbox_again = 11) { return 502; }
    recursive_error_pages on;
    error_page 502 504 = @chillbox_none;
    proxy_next_upstream_tries 2;
)",
      k_to_host, visitor_headers(), "    proxy_pass http://", k_all, R"(;
  }
  location @chillbox_none {
    default_type text/html;
    add_header Cache-Control no-store always;
    return 502 )",
      page("Not available", "This site does not answer at the moment. Please try again later."),
      ";\n  }\n");
}

std::string server(const control::BalancedSite& site, const Fleet& fleet,
    const config::HostConfig& host, const os::Paths& paths, bool ipv6) {
  const uint64_t body_max = site.body_max == 0 ? config::k_body_max : site.body_max;
  return cat("server {\n", listen(host, host.http_port, ipv6), tls_include("  ", paths, site.site),
      "  if ($chillbox_asks) { return 200 ", site.site, "; }\n", tls_redirect("  ", host),
      "  server_name ", join(site.names, " "),
      ";\n  server_tokens off;\n  access_log off;\n  set $chillbox_group ", group_of(site),
      ";\n  proxy_bind ", in_brackets(fleet.address), ";\n  client_max_body_size ", body_max,
      ";\n  client_body_timeout 30s;\n  large_client_header_buffers 8 32k;\n",
      "  add_header Strict-Transport-Security $chillbox_hsts always;\n"
      "  add_header Alt-Svc $chillbox_alt_svc always;\n",
      k_proxy_on, challenge_location(host, paths), locations(site), "}\n");
}

// Of a host on which a balanced site is not deployed (yet): else another default server would
// answer. By a pattern, which every server that has the name itself goes before.
std::string absent_sites(const Fleet& fleet, const config::HostConfig& host, bool ipv6) {
  if (fleet.balances() || fleet.balancers.empty())
    return {};
  std::string names;
  for (const auto& site : fleet.sites)
    for (const auto& name : site.names) {
      names += " \"~^";
      for (const char c : name)
        names += c == '.' ? std::string("\\.") : std::string(1, c);
      names += "$\"";
    }
  return cat("# Balanced sites that are not here.\nserver {\n", listen(host, host.http_port, ipv6),
      "  server_name", names,
      ";\n  server_tokens off;\n  access_log off;\n  if ($chillbox_first) { return 444; }\n"
      "  location / { return 404; }\n}\n\n");
}

} // namespace

bool Fleet::balanced(std::string_view site) const {
  return std::ranges::find(sites, site, &control::BalancedSite::site) != sites.end();
}

Result<Fleet> fleet_of(const control::Roster& roster, const control::FleetHost& here) {
  Fleet out{.balancers = {}, .address = {}, .hosts = {}, .sites = roster.balanced, .others = {}};
  for (const auto& host : roster.hosts)
    if (host.name != here.name && config::Network::parse(host.address))
      out.others.push_back(in_brackets(host.address));
  if (roster.balanced.empty())
    return out;
  TRY(check_addresses(roster));
  for (const auto& site : roster.balanced)
    for (const auto& name : site.names)
      if (!config::is_host_name(name))
        return fail(Code::invalid,
            cat("balanced '", site.site, "': '", printable(name, 100), "' is no host name"));
  if (here.balances())
    out.address = here.address;
  for (const auto& host : roster.hosts)
    if (!host.balances())
      out.hosts.push_back(host.address);
    else if (host.name != here.name)
      out.balancers.push_back(host.address);
  return out;
}

std::string believed_balancers(const Fleet& fleet) {
  std::string known;
  for (const auto& address : fleet.balancers)
    known += cat("  ", address, " 1;\n");
  return cat("\n# Of a balancer of this fleet: whether this host may still refuse a request.\n"
             "geo $realip_remote_addr $chillbox_balanced {\n  default 0;\n",
      known,
      "}\nmap \"$chillbox_balanced$http_x_chillbox_first\" $chillbox_first { default \"\"; 11 1; }\n"
      "map \"$chillbox_first $uri\" $chillbox_is_asked { default 0; \"1 /.chillbox/here\" 1; }\n"
      "map \"$chillbox_first$upstream_connect_time\" $chillbox_no_service { default 0; \"1-\" 1; }\n");
}

std::string balancers_text(
    const Fleet& fleet, const config::HostConfig& host, const os::Paths& paths, bool ipv6) {
  if (!fleet.balances() || fleet.sites.empty() || fleet.hosts.empty())
    return absent_sites(fleet, host, ipv6);
  std::string out =
      cat(k_maps, upstream(std::string(k_all), fleet, host.http_port, " max_fails=0", paths));
  for (const auto& site : fleet.sites)
    out += cat(upstream(group_of(site), fleet, host.http_port, k_tries, paths),
        server(site, fleet, host, paths, ipv6));
  return out;
}

void Nginx::set_fleet(Fleet fleet) {
  const std::scoped_lock lock(m_fleet_mutex);
  m_fleet = m_served_fleet = std::move(fleet);
}

Fleet Nginx::fleet() {
  const std::scoped_lock lock(m_fleet_mutex);
  return m_served_fleet;
}

// A name that another server has keeps it.
Fleet Nginx::served_fleet(
    const std::vector<Directive>& directives, const std::vector<std::string>& own_names) {
  const std::scoped_lock lock(m_fleet_mutex);
  m_served_fleet = m_fleet;
  m_not_balanced.clear();
  if (!m_fleet.balances())
    return m_served_fleet;
  const auto owner_of = [&](const std::string& name) -> std::string {
    if (std::ranges::find(own_names, name) != own_names.end())
      return "this host itself";
    for (const auto& d : directives)
      if (d.words[0] == "server_name" && !d.file.ends_with(cat("/", k_host_file)) &&
          std::ranges::find(d.words, name, lower) != d.words.end())
        return d.file;
    return {};
  };
  std::erase_if(m_served_fleet.sites, [&](const control::BalancedSite& site) {
    for (const auto& name : site.names)
      if (const auto owner = owner_of(name); !owner.empty()) {
        m_not_balanced.push_back(
            cat("fleet: '", site.site, "' is not balanced here: ", owner, " has its name ", name));
        return true;
      }
    return false;
  });
  return m_served_fleet;
}

std::vector<std::string> Nginx::not_balanced() {
  const std::scoped_lock lock(m_fleet_mutex);
  return m_not_balanced;
}

Result<void> Nginx::install_fleet(const Fleet& fleet) {
  Fleet before;
  {
    const std::scoped_lock lock(m_fleet_mutex);
    if (m_fleet == fleet && m_not_balanced.empty())
      return {};
    before = m_fleet;
  }
  set_fleet(fleet);
  const auto change = [&]() -> Result<bool> {
    const auto text = render_host(m_host, m_paths, random_token(8), TRY(host_facts()));
    const auto exit = TRY(try_candidate(std::string(k_host_file), text));
    if (!exit.ok())
      return fail(Code::invalid, cat("nginx -t: ", nginx_line(exit)));
    const std::scoped_lock one(m_reload_mutex);
    return install_host();
  };
  const auto changed = change();
  if (!changed) {
    set_fleet(before);
    (void)host_facts();
    return std::unexpected(changed.error());
  }
  return *changed ? reload() : Result<void>{};
}

} // namespace chillbox::nginx
