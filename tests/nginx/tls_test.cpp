// What NGINX is told about certificates. With the real NGINX: bats/host-nginx.bats and
// tests/nginx/versions.
#include "sample.hpp"

#include "nginx/site_tls.hpp"

#include <sys/stat.h>

using namespace chillbox;
using namespace chillbox::nginx;

namespace {

constexpr Build k_old{.version = 1'022'001};
constexpr Build k_new{.version = 1'030'004, .http3 = true};

const SiteTls k_valid{
    .certificate = "/c/blog.pem", .names = {"example.org", "www.example.org"}, .hsts = 86'400};

TlsText text_of(const SiteTls& tls, const Build& build = k_new, const config::HostConfig& host = {},
    std::string_view id = "blog") {
  return tls_text(host, os::Paths{}, build, true, id, tls);
}

struct TlsHost {
  Root root;
  FakeNginx fake;
  config::HostConfig config;
  os::Paths paths{root.path};
  std::string dir = root.at("/etc/nginx/http.d"), certs = root.at("/var/lib/chillbox/certs");
  std::string version = "nginx version: nginx/1.26.3\nconfigure arguments: --with-http_v3_module\n";
  TlsHost() {
    config.nginx_dir = dir;
    fs::create_directories(dir);
    fake.answer = [this](const os::Command& c) {
      return os::Exit{0, 0, "", c.argv.back() == "-V" ? version : ""};
    };
  }
  Nginx nginx() { return {os::real_disk(), fake, os::real_clock(), paths, config}; }
  std::string host_text() { return get(dir + "/chillbox.conf"); }
};

std::string rendered(const std::string& tpl, config::HostConfig host = {},
    std::vector<std::string> domains = {"example.org", "www.example.org"}) {
  Sample s;
  s.host = std::move(host);
  s.site.domains = std::move(domains);
  auto in = s.input();
  in.templates = {{"a.nginx.conf.template", tpl}};
  in.ipv6 = false;
  const auto text = render_site(in);
  return text ? *text : text.error().message;
}

} // namespace

TEST_CASE("what nginx -V says becomes a version and whether it has HTTP/3, and nothing else does") {
  CHECK(build_of("nginx version: nginx/1.22.1\nbuilt with OpenSSL 3.0.17\n").version == 1'022'001);
  CHECK(build_of(
      "nginx version: nginx/1.26.3 (Debian)\nconfigure arguments: --with-http_v3_module --x")
          .http3);
  CHECK_FALSE(build_of("nginx version: nginx/1.22.1").http3);
  CHECK(build_of("nginx version: openresty/1.27.1").version == 0);
  for (const char* none :
      {"", "nginx/", "nginx/1.26", "nginx/1.2.3.4", "nginx/a.b.c", "nginx/1..3"}) {
    INFO(none);
    CHECK(build_of(none).version == 0);
  }
  CHECK_FALSE(Build{.version = 1'025'000}.has_http2_directive());
  CHECK(Build{.version = 1'025'001}.has_http2_directive());
  CHECK_FALSE(Build{.version = 1'029'006}.keeps_connections());
  CHECK(Build{.version = 1'029'007}.keeps_connections());
}

TEST_CASE("a version is asked for once for each binary") {
  TlsHost host;
  auto nginx = host.nginx();
  CHECK(nginx.build().version == 1'026'003);
  const size_t asked = host.fake.did.size();
  host.version = "nginx version: nginx/1.30.4\n";
  static_cast<void>(nginx.build());
  CHECK(host.fake.did.size() <= asked + 1); // a machine without NGINX has no binary to remember
  host.fake.answer = [](const os::Command&) { return os::Exit{1, 0, "", "no"}; };
  CHECK(host.nginx().build().version == 0);
}

TEST_CASE("each version gets the words that it takes without a warning") {
  const auto old = text_of(k_valid, k_old).disk, now = text_of(k_valid, k_new).disk;
  CHECK(has(old, "listen 443 ssl http2;\n  listen [::]:443 ssl http2;\n"));
  CHECK_FALSE(has(old, "http2 on"));
  CHECK(has(old, "ssl_session_tickets off;"));
  CHECK(has(now, "listen 443 ssl;\n  listen [::]:443 ssl;\n  http2 on;\n"));
  CHECK_FALSE(has(now, "tickets"));
  CHECK(has(now, "keepalive_min_timeout 2s;"));
  CHECK_FALSE(has(old, "keepalive_min_timeout"));
  for (const auto& text : {old, now}) {
    CHECK(has(text, "ssl_certificate /c/blog.pem;\n  ssl_certificate_key /c/blog.pem;\n"));
    CHECK(has(text, "ssl_protocols TLSv1.2 TLSv1.3;"));
    CHECK(has(text, "ssl_prefer_server_ciphers off;"));
    CHECK(count(text, "ECDHE-") == 6);
    for (const char* never : {"CBC", "DHE-RSA-AES256-SHA;", "stapling", "ecdh_curve", "quic"})
      CHECK_FALSE(has(text, never));
  }
}

TEST_CASE("HTTP/3 is there when the host wants it and NGINX has it") {
  config::HostConfig host;
  host.tls.http3 = true;
  CHECK(has(text_of(k_valid, k_new, host).disk, "listen 443 quic;\n  listen [::]:443 quic;\n"));
  CHECK_FALSE(has(text_of(k_valid, k_old, host).disk, "quic"));
  const auto chillbox_conf = render_host(host, os::Paths{}, "g", {.tls = true, .build = k_new});
  CHECK(has(chillbox_conf, "listen 443 quic reuseport default_server;"));
  CHECK(has(chillbox_conf, "$chillbox_alt_svc { default \"\"; 1 'h3=\":443\"; ma=86400'; }"));
  CHECK_FALSE(has(render_host(host, os::Paths{}, "g", {.tls = true, .build = k_old}), "quic"));
}

TEST_CASE("the promise of HSTS grows from a day to sixty, and to more only by the site's own word") {
  CHECK(hsts_age({}, 0) == 86'400);
  CHECK(hsts_age({}, 7 * 86'400 - 1) == 86'400);
  CHECK(hsts_age({}, 7 * 86'400) == 60 * 86'400);
  CHECK(hsts_age({}, -5) == 86'400); // a clock that went back
  CHECK(hsts_age({.hsts_seconds = 31'536'000}, 0) == 31'536'000);
  CHECK(hsts_age({.hsts_seconds = 0}, 99'999'999) == 0);
  CHECK(has(text_of(k_valid).disk, "set $chillbox_hsts_age max-age=86400;"));
  SiteTls off = k_valid;
  off.redirect = false;
  off.hsts = 0;
  CHECK(has(text_of(off).disk, "set $chillbox_hsts_age max-age=0;"));
  CHECK_FALSE(has(text_of(off).disk, "chillbox_secure"));
  off.hsts.reset();
  CHECK_FALSE(has(text_of(off).disk, "hsts"));
  for (const auto& tls : {k_valid, off})
    CHECK_FALSE(has(text_of(tls).disk, "includeSubDomains"));
  CHECK(has(render_host({}, os::Paths{}, "g", {}),
      "$chillbox_hsts { \"https|\" $chillbox_hsts_age; default \"\"; }"));
}

TEST_CASE("only names that the certificate has go to https, and a wildcard is one label") {
  CHECK(has(text_of(k_valid).disk,
      "if ($host ~ \"^(?:example\\.org|www\\.example\\.org)\\.?$\") { set $chillbox_secure 1; }"));
  CHECK(has(text_of(k_valid).disk, "set $chillbox_names \"|example.org|www.example.org|\";"));
  CHECK(has(text_of({.certificate = "/w.pem", .names = {"*.shop.example"}}).disk,
      "\"^(?:[^.]+\\.shop\\.example)\\.?$\""));
  CHECK_FALSE(has(text_of({.certificate = "/w.pem"}).disk, "chillbox_secure"));
}

TEST_CASE("[fault-331] a key in memory is named only in memory, and a site whose key is away is not in clear") {
  SiteTls tls = k_valid;
  tls.in_memory = true;
  const auto here = text_of(tls);
  CHECK_FALSE(has(here.disk, "blog.pem"));
  CHECK_FALSE(has(here.disk, "listen"));
  CHECK(has(here.disk, "include /run/chillbox/tls/blog.con[f];"));
  CHECK(has(here.disk, "if (-f /run/chillbox/tls/blog.conf) { set $chillbox_away \"\"; }"));
  CHECK(has(here.memory, "ssl_certificate /c/blog.pem;"));
  tls.certificate.clear();
  CHECK(text_of(tls).disk == here.disk); // the disk does not change when the key goes
  CHECK(text_of(tls).memory.empty());
  CHECK(text_of(SiteTls{}).disk.empty());
}

TEST_CASE("a folder of the administrator's has two files") {
  CHECK(has(text_of({.certificate = "/c/blog/", .names = {"example.org"}}).disk,
      "ssl_certificate /c/blog/fullchain.pem;\n  ssl_certificate_key /c/blog/privkey.pem;"));
}

TEST_CASE("the text of a site is the same with and without a certificate, and says where one would be") {
  Sample s;
  s.site.aliases = {"shop.example", "*.shop.example"};
  s.site.domains = {"example.org", "www.example.org", "shop.example", "*.shop.example"};
  const auto text = render_site(s.input()).value();
  CHECK(takes_certificate(text));
  CHECK(count(text, "include /var/lib/chillbox/certs/blog.con[f];") == 2);
  CHECK(count(text, "include /var/lib/chillbox/certs/blog.wildcard.con[f];") == 1);
  CHECK(count(text, "if ($chillbox_to_tls) { return 308 https://$host$request_uri; }") == 2);
  CHECK(has(text, "server_name *.shop.example;"));
  CHECK(has(text, "server_name example.org shop.example;"));
  CHECK_FALSE(has(text, "ssl_certificate"));
  CHECK_FALSE(takes_certificate("server { listen 80; }"));
}

TEST_CASE("an own server.conf is also in the server of the wildcards, and not in the one that only sends on") {
  Sample s;
  s.site.aliases = {"*.shop.example"};
  s.site.domains = {"example.org", "www.example.org", "*.shop.example"};
  auto in = s.input();
  in.snippet = "add_header X-Own 1;";
  CHECK(count(render_site(in).value(), "add_header X-Own 1;") == 2);
}

TEST_CASE("[fault-330] a template with one server gets http and https by the include, or by saying nothing") {
  for (const char* tpl :
      {"server {\n  include /etc/nginx/blog.ssl_cert.include;\n  location / { return 200 x; }\n}\n",
          "server {\n  location / { return 200 x; }\n}\n"}) {
    INFO(tpl);
    const auto text = rendered(tpl);
    CHECK(takes_certificate(text));
    CHECK(has(text, "listen 80;"));
    CHECK(has(text, "include /var/lib/chillbox/certs/blog.con[f];"));
    CHECK(has(text, "if ($chillbox_to_tls) {\n    return 308 https://$host$request_uri;"));
    CHECK(has(text, "location ^~ /.well-known/acme-challenge/ {"));
  }
  CHECK_FALSE(takes_certificate(rendered("server { listen 80; }")));
}

TEST_CASE("the original's two servers stay two: https with a certificate, and its own for http") {
  const auto text = rendered(
      "server {\n  include /etc/nginx/conf.d/blog.ssl_cert.include;\n  server_name example.org .example.org;\n"
      "  location /.well-known/acme-challenge/ { root /srv/chillbox; }\n}\n"
      "server {\n  listen 80;\n  server_name example.org .example.org;\n"
      "  location / { return 307 https://$host$request_uri; }\n"
      "  location /.well-known/acme-challenge/ { root /srv/chillbox; }\n}\n");
  CHECK(has(text, "include /var/lib/chillbox/certs/blog.listen.con[f];"));
  CHECK_FALSE(has(text, "certs/blog.con[f]"));
  CHECK_FALSE(has(text, "chillbox_to_tls"));
  CHECK(takes_certificate(text));
  CHECK(count(text, "location /.well-known/acme-challenge/ {") == 2);
  CHECK_FALSE(has(text, "^~ /.well-known"));
  // A server for other names, which are not this one's.
  const auto others = rendered(
      "server { include blog.ssl_cert.include; server_name example.org; }\n"
      "server { listen 80; server_name www.example.org; location / { return 301 https://example.org; } }\n");
  CHECK(has(others, "certs/blog.con[f]"));
  CHECK_FALSE(has(others, "listen.con[f]"));
}

TEST_CASE("[fault-329] what a template says of TLS next to the include is chillbox's to say [attack-A2]") {
  const auto text = rendered(
      "server {\n  include blog.ssl_cert.include;\n  ssl_protocols TLSv1 TLSv1.1;\n  ssl_ciphers NULL;\n"
      "  ssl_certificate /var/lib/chillbox/certs/blog/x.pem;\n  ssl_session_tickets on;\n  ssl_stapling on;\n  http2 on;\n"
      "  ssl_verify_client optional_no_ca;\n  add_header strict-transport-security max-age=5;\n}\n");
  for (const char* gone : {"ssl_protocols", "ssl_ciphers", "ssl_certificate", "tickets", "stapling",
           "http2", "$chillbox_hsts "})
    CHECK_FALSE(has(text, gone));
  CHECK(has(text, "ssl_verify_client"));
  CHECK(has(text, "add_header strict-transport-security max-age=5;"));
  CHECK(has(rendered("server { include blog.ssl_cert.include; }"),
      "add_header Strict-Transport-Security $chillbox_hsts always;"));
}

TEST_CASE("a template cannot have names of another site, by https either [attack-A2]") {
  for (const char* tpl : {"server { include blog.ssl_cert.include; server_name shop.example; }",
           "server { listen 443 ssl; server_name .org; }",
           "server { listen 443 ssl default_server; }", "server { listen 443 quic reuseport; }",
           "server { listen 443 ssl; ssl_certificate /var/lib/chillbox/certs/shop.pem; }",
           "server { listen 443 ssl; ssl_certificate_key /run/chillbox/tls/shop.pem; }",
           "server { include /var/lib/chillbox/certs/shop.conf; }",
           "server { ssl_reject_handshake off; }"}) {
    INFO(tpl);
    CHECK(has(rendered(tpl), "nginx/templates/a.nginx.conf.template: line 1: "));
  }
}

TEST_CASE("[fault-328] no connection to a socket of a service is kept, whatever a template says") {
  const auto text =
      rendered("upstream kept { server unix:/run/chillbox/live/blog/web.sock; keepalive 16; }\n"
               "server { location / { proxy_pass http://kept; } }\n");
  CHECK_FALSE(has(text, "keepalive 16"));
  CHECK(count(text, "include /var/lib/chillbox/nginx/upstream.con[f];") == 2);
}

TEST_CASE("[fault-328] NGINX is told to keep no connection where it would, and not where it does not know the word") {
  TlsHost host;
  const std::string file = host.root.at("/var/lib/chillbox/nginx/upstream.conf");
  REQUIRE(host.nginx().install_host());
  CHECK_FALSE(fs::exists(file));
  host.version = "nginx version: nginx/1.29.7\n";
  REQUIRE(host.nginx().install(name(), "text"));
  CHECK(get(file) == "keepalive 0;\n");
  host.version = "nginx version: nginx/1.29.6\n";
  REQUIRE(host.nginx().install_host());
  CHECK_FALSE(fs::exists(file));
}

TEST_CASE("port 443 opens with the first certificate, refuses other names, and closes with the last [attack-N5]") {
  TlsHost host;
  REQUIRE(host.nginx().install_host());
  CHECK_FALSE(has(host.host_text(), "listen 443"));
  REQUIRE(host.nginx().install(name(), "text"));
  CHECK(host.nginx().install_tls("blog", k_valid).value());
  CHECK(has(get(host.certs + "/blog.conf"), "ssl_certificate /c/blog.pem;"));
  CHECK(has(host.host_text(), "listen 443 ssl default_server;"));
  CHECK(has(host.host_text(), "ssl_reject_handshake on;"));
  CHECK(has(host.host_text(), "include " + host.certs + "/_host.con[f];"));
  REQUIRE(
      host.nginx().install_tls("blog.wildcard", {.certificate = "/w.pem", .names = {"*.a.org"}}));
  CHECK(host.nginx().has_certificate("blog.wildcard"));
  CHECK(host.nginx().install_tls("blog", {}).value());
  CHECK(has(host.host_text(), "listen 443"));
  CHECK(host.nginx().install_tls("blog.wildcard", {}).value());
  CHECK_FALSE(has(host.host_text(), "listen 443"));
  CHECK_FALSE(host.nginx().has_certificate("blog"));
}

TEST_CASE("what did not change is not written again, and a changed age is") {
  TlsHost host;
  REQUIRE(host.nginx().install_host());
  REQUIRE(host.nginx().install_tls("blog", k_valid));
  struct stat before{}, after{};
  REQUIRE(::stat((host.certs + "/blog.conf").c_str(), &before) == 0);
  REQUIRE(host.nginx().install_tls("blog", k_valid));
  REQUIRE(::stat((host.certs + "/blog.conf").c_str(), &after) == 0);
  CHECK(before.st_ino == after.st_ino);
  SiteTls older = k_valid;
  older.hsts = 60 * 86'400;
  CHECK(host.nginx().install_tls("blog", older).value());
  CHECK(has(get(host.certs + "/blog.conf"), "max-age=5184000;"));
}

TEST_CASE("a template's https server leaves http to its neighbour when there is a certificate") {
  TlsHost host;
  REQUIRE(host.nginx().install_host());
  const std::string text = cat("server {\n  include ", host.certs, "/blog.listen.con[f];\n}\n");
  const std::string file = host.certs + "/blog.listen.conf";
  REQUIRE(host.nginx().install(name(), text));
  CHECK(has(get(file), "listen 80;"));
  REQUIRE(host.nginx().install_tls("blog", k_valid));
  CHECK(has(get(file), cat("listen 127.99.104.99:80;\ninclude ", host.certs, "/blog.con[f];")) ==
      false);
  CHECK(has(get(file), cat("include ", host.certs, "/blog.con[f];")));
  CHECK_FALSE(has(get(file), "listen 80;"));
  REQUIRE(host.nginx().install_tls("blog", {}));
  CHECK(has(get(file), "listen 80;"));
  REQUIRE(host.nginx().install(name(), ""));
  CHECK_FALSE(fs::exists(file));
}

TEST_CASE("a certificate is tried in the site's own text, in place of the include") {
  TlsHost host;
  REQUIRE(host.nginx().install_host());
  REQUIRE(host.nginx().install(
      name(), cat("server {\n  include ", host.certs, "/blog.con[f];\n  server_name a;\n}\n")));
  std::string seen;
  bool good = true;
  host.fake.answer = [&](const os::Command& c) {
    if (c.argv.back() != "-t")
      return os::Exit{0, 0, "", ""};
    seen = get(host.root.at("/run/chillbox/nginx-candidate/chillbox.blog.conf"));
    return good ? os::Exit{0, 0, "", ""}
                : os::Exit{1, 0, "", "nginx: [emerg] key values mismatch\n"};
  };
  SiteTls tls = k_valid;
  tls.certificate = "/c/blog.pem.new";
  REQUIRE(host.nginx().test_tls("blog", tls));
  CHECK(has(seen, "ssl_certificate /c/blog.pem.new;"));
  tls.in_memory = true;
  REQUIRE(host.nginx().test_tls("blog", tls));
  CHECK(has(seen, "ssl_certificate /c/blog.pem.new;"));
  good = false;
  CHECK(has(host.nginx().test_tls("blog", tls).error().message, "key values mismatch"));
  CHECK_FALSE(host.nginx().test_tls("shop", tls)); // not deployed
}

TEST_CASE("the host-level server has a certificate by its name, or the administrator's for any") {
  config::HostConfig host;
  CHECK_FALSE(has(render_host(host, os::Paths{}, "g", {}), " ssl"));
  host.tls_certificate = "/etc/c.pem";
  host.tls_certificate_key = "/etc/k.pem";
  const auto any = render_host(host, os::Paths{}, "g", {.ipv6 = false});
  CHECK(has(any,
      "listen 443 ssl default_server;\n  ssl_certificate /etc/c.pem;\n  ssl_certificate_key /etc/k.pem;"));
  CHECK_FALSE(has(any, "ssl_reject_handshake"));
  host.server_name = "box.example.org";
  const auto named = render_host(host, os::Paths{}, "g", {.ipv6 = false});
  CHECK(has(named, "listen 443 ssl;\n  ssl_certificate /etc/c.pem;"));
  CHECK(has(named, "listen 443 ssl default_server;\n  server_name _;\n  ssl_reject_handshake on;"));
  const auto given =
      render_host({}, os::Paths{}, "g", {.tls = true, .host_name = "box.example.org"});
  CHECK(has(given, "server_name _ box.example.org;"));
  const auto second =
      render_host({}, os::Paths{}, "g", {.tls_default_server = false, .ipv6 = false, .tls = true});
  CHECK(has(second, "listen 443 ssl;\n  server_name refused.chillbox.invalid;"));
}

TEST_CASE("with the PROXY protocol every port of the host speaks it, and a visitor's own headers are not a proxy's [attack-N4]") {
  config::HostConfig host;
  host.trusted_proxies = {"10.0.0.0/8"};
  host.tls.proxy_protocol = true;
  const auto text = render_host(host, os::Paths{}, "g", {.ipv6 = false, .tls = true});
  CHECK(has(text, "real_ip_header proxy_protocol;"));
  CHECK(has(text, "set_real_ip_from 10.0.0.0/8;"));
  CHECK(has(text, "$chillbox_trusted {\n  default 0;\n}"));
  CHECK(
      has(text, "listen 80 default_server proxy_protocol;\n  listen 127.0.0.1:80 default_server;"));
  CHECK(has(text,
      "listen 443 ssl default_server proxy_protocol;\n  listen 127.0.0.1:443 ssl default_server;"));
  const auto site =
      rendered("server { listen 80; listen [::]:80; listen 443 ssl; listen 8080; }", host);
  CHECK(has(site, "listen 80 proxy_protocol;"));
  CHECK(has(site, "listen [::]:80 proxy_protocol;"));
  CHECK(has(site, "listen 443 ssl proxy_protocol;"));
  CHECK(count(site, "listen 127.0.0.1:80;") == 1);
  CHECK(has(site, "listen 127.0.0.1:443 ssl;"));
  CHECK(has(site, "listen 8080;"));
  CHECK(has(text_of(k_valid, k_new, host).disk, "listen 443 ssl proxy_protocol;"));
}

TEST_CASE("a challenge that this host does not have is asked of its peers, once") {
  config::HostConfig host;
  host.tls.peers = {"10.0.0.2", "10.0.0.3:8080", "[2001:db8::2]", "[2001:db8::3]:81"};
  const auto text = render_host(host, os::Paths{}, "g", {});
  CHECK(has(text,
      "upstream chillbox_peers {\n  server 10.0.0.2:80 max_fails=0;\n  server 10.0.0.3:8080 max_fails=0;\n"
      "  server [2001:db8::2]:80 max_fails=0;\n  server [2001:db8::3]:81 max_fails=0;\n}\n"));
  CHECK(has(text, "if ($http_x_chillbox_peer) { return 404; }"));
  Sample s;
  s.host = host;
  s.site.domains = {"example.org", "www.example.org"};
  CHECK(count(render_site(s.input()).value(), "error_page 404 = @chillbox_peers;") == 2);
}

TEST_CASE("where one host of a fleet orders for all, each asks all others for a challenge, once") {
  config::HostConfig host;
  host.tls.issuer = "fleet";
  host.tls.peers = {"10.0.0.2"};
  Fleet fleet;
  fleet.others = {"10.0.0.2", "10.0.0.3", "[2001:db8::3]"};
  CHECK(has(render_host(host, os::Paths{}, "g", {.fleet = fleet}),
      "upstream chillbox_peers {\n  server 10.0.0.2:80 max_fails=0;\n  server 10.0.0.3:80 max_fails=0;\n"
      "  server [2001:db8::3]:80 max_fails=0;\n}\n"));
  Sample s;
  s.host = host;
  CHECK(has(render_site(s.input()).value(), "error_page 404 = @chillbox_peers;"));
}

TEST_CASE("peers that were taken out of chillboxd.toml leave an upstream for the sites that name it: this host, which says no") {
  config::HostConfig host;
  Fleet fleet;
  fleet.others = {"10.0.0.3"};
  const auto text = render_host(host, os::Paths{}, "g", {.fleet = fleet});
  CHECK(has(text, "upstream chillbox_peers {\n  server 127.0.0.1:80 max_fails=0;\n}\n"));
  CHECK_FALSE(has(text, "@chillbox_peers"));
}

TEST_CASE("no link below the folder of challenges is followed [attack-N5]") {
  CHECK(has(render_site(Sample().input()).value(),
      "disable_symlinks on from=/var/lib/chillbox/acme;\n    root /var/lib/chillbox/acme;"));
}
