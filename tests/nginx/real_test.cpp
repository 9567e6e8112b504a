// The texts as a host has them, written below $CHILLBOX_REAL_ROOT for the NGINX at
// $CHILLBOX_REAL_NGINX: bats/nginx-tls.bats has several versions, starts them and looks at what
// they do.
#include "sample.hpp"

#include <cstdlib>

using namespace chillbox;
using namespace chillbox::nginx;

namespace {

std::string variable(const char* called) {
  const char* value = std::getenv(called);
  return value == nullptr ? "" : value;
}

struct OtherNginx final : os::Runner {
  Result<os::Exit> run(const os::Command& c) override {
    os::Command other = c;
    other.argv[0] = variable("CHILLBOX_REAL_NGINX");
    return os::real_runner().run(other);
  }
};

struct Real {
  os::Paths paths{variable("CHILLBOX_REAL_ROOT")};
  config::HostConfig config;
  OtherNginx runner;
  Real() {
    config.nginx_dir = paths.root + "/etc/nginx/http.d";
    config.http_port = 8080;
    config.https_port = 8443;
    config.server_name = "box.example.org";
    config.tls.http3 = !variable("CHILLBOX_REAL_HTTP3").empty();
    config.tls.proxy_protocol = !variable("CHILLBOX_REAL_PROXY").empty();
    if (!variable("CHILLBOX_REAL_TRUST").empty() || config.tls.proxy_protocol)
      config.trusted_proxies = {"127.0.0.0/8"};
    if (!variable("CHILLBOX_REAL_PEER").empty())
      config.tls.peers = {variable("CHILLBOX_REAL_PEER")};
    if (!variable("CHILLBOX_REAL_PORT").empty()) {
      config.http_port = static_cast<uint16_t>(std::stoi(variable("CHILLBOX_REAL_PORT")));
      config.https_port = static_cast<uint16_t>(config.http_port + 363);
    }
  }
  Nginx nginx() { return {os::real_disk(), runner, os::real_clock(), paths, config}; }
  std::string pem(const std::string& id) const { return cat(paths.state(), "/certs/", id, ".pem"); }
};

template <class T> void must_be(const Result<T>& result) {
  if (!result)
    FAIL(result.error().message);
}

void install(Real& real, const char* slug, std::vector<std::string> domains,
    std::vector<std::string> aliases, const std::string& tpl) {
  config::Site site{.slug = name(slug)};
  site.server_name = domains[0];
  site.domains = domains;
  site.aliases = aliases;
  for (const auto& alias : aliases)
    site.domains.push_back(alias);
  auto web = Sample::web();
  web.socket = cat(real.paths.live(site.slug), "/web.sock");
  SiteInput in{.site = &site, .host = &real.config, .upstreams = {web}, .paths = real.paths};
  if (!tpl.empty())
    in.templates = {{"a.nginx.conf.template", tpl}};
  const auto text = render_site(in);
  must_be(text);
  must_be(real.nginx().install(site.slug, *text));
}

constexpr std::string_view k_original = R"(server {
  include /etc/nginx/conf.d/old.ssl_cert.include;
  server_name old.example .old.example;
  location / { proxy_pass http://old-web; }
  location /.well-known/acme-challenge/ { root /srv/chillbox; }
}
server {
  listen PORT;
  server_name old.example .old.example;
  location / { return 307 https://$host:8443$request_uri; }
  location /.well-known/acme-challenge/ { root /srv/chillbox; }
})";

} // namespace

TEST_CASE("real: sites without certificates", "[.sites]") {
  Real real;
  must_be(real.nginx().install_host());
  install(
      real, "blog", {"blog.example", "www.blog.example"}, {"shop.example", "*.shop.example"}, "");
  std::string original(k_original);
  original.replace(original.find("PORT"), 4, std::to_string(real.config.http_port));
  install(real, "old", {"old.example"}, {}, original);
  install(real, "own", {"own.example"}, {},
      "server {\n  include own.ssl_cert.include;\n  ssl_protocols TLSv1 TLSv1.1;\n  location / { proxy_pass http://own-web; }\n}\n");
}

TEST_CASE("real: sites with certificates", "[.certificates]") {
  Real real;
  const uint64_t age = variable("CHILLBOX_REAL_YEAR").empty() ? 86'400 : 31'536'000;
  auto nginx = real.nginx();
  must_be(nginx.install_tls("blog",
      {.certificate = real.pem("blog"),
          .names = {"blog.example", "www.blog.example"},
          .hsts = age}));
  must_be(nginx.install_tls(
      "blog.wildcard", {.certificate = real.pem("blog.wildcard"), .names = {"*.shop.example"}}));
  must_be(nginx.install_tls("old", {.certificate = real.pem("old"), .names = {"old.example"}}));
  must_be(nginx.install_tls("own",
      {.certificate = real.pem("own"),
          .names = {"own.example"},
          .hsts = 86'400,
          .in_memory = true}));
  must_be(nginx.install_tls("_host",
      {.certificate = real.pem("_host"), .names = {"box.example.org"}, .redirect = false}));
}

TEST_CASE("real: TLS was switched off", "[.off]") {
  Real real;
  must_be(real.nginx().install_tls("blog",
      {.certificate = real.pem("blog"), .names = {"blog.example"}, .redirect = false, .hsts = 0}));
}

TEST_CASE("real: no certificate is left", "[.none]") {
  Real real;
  for (const char* id : {"blog", "blog.wildcard", "old", "own", "_host"})
    must_be(real.nginx().install_tls(id, {}));
}
