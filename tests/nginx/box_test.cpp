// With the real NGINX, in the host in a box. Each case is one step that bats/host-nginx.bats asks
// for and then looks at from outside.
#include "sample.hpp"

#include "base/fd.hpp"

#include <netinet/in.h>
#include <sys/socket.h>

#include <cstdio>

using namespace chillbox;
using namespace chillbox::nginx;

namespace {

config::HostConfig trusting(std::vector<std::string> proxies) {
  config::HostConfig config;
  config.trusted_proxies = std::move(proxies);
  return config;
}

struct Box {
  config::HostConfig config = {};
  Nginx nginx{os::real_disk(), os::real_runner(), os::real_clock(), os::Paths{}, config};
};

std::string site_text() {
  Sample s;
  s.site.server_name = "blog.test";
  const std::string label(60, 'a');
  s.site.domains = {
      "blog.test", "www.blog.test", label + "." + label + "." + label + "." + label + ".test"};
  return render_site({.site = &s.site,
                         .host = &s.host,
                         .upstreams = {Sample::web(), Sample::service("docs", "static"),
                             Sample::service("assets", "immutable")},
                         .paths = os::Paths{}})
      .value();
}

template <class T> void must(const Result<T>& result) {
  if (!result)
    FAIL(result.error().message);
}

} // namespace

TEST_CASE("box: the host-level server goes in and is served", "[.host]") {
  Box box;
  must(box.nginx.install_host());
  must(box.nginx.reload());
}

TEST_CASE("box: proxies of this machine and of a network are trusted", "[.trusting]") {
  Box box{.config = trusting({"127.0.0.1", "::1", "10.0.0.0/8", "2001:db8::/32"})};
  must(box.nginx.install_host());
  must(box.nginx.reload());
}

TEST_CASE("box: the site has a certificate", "[.certificate]") {
  Box box;
  must(box.nginx.install(name(), site_text()));
  const SiteTls tls{.certificate = "/var/lib/chillbox/certs/blog/",
      .names = {"blog.test", "www.blog.test"},
      .hsts = 86'400};
  must(box.nginx.test_tls("blog", tls));
  must(box.nginx.install_tls("blog", tls));
  must(box.nginx.reload());
}

TEST_CASE("box: the default of a site passes NGINX's own test, goes in and is served", "[.site]") {
  Box box;
  must(box.nginx.test(name(), site_text()));
  must(box.nginx.install(name(), site_text()));
  must(box.nginx.install_tls("blog", {}));
  must(box.nginx.reload());
}

TEST_CASE("box: [fault-113] a wrong text is refused with NGINX's line, and the live file is not touched", "[.wrong]") {
  Box box;
  const auto before = box.nginx.installed(name()).value();
  const auto error = box.nginx.test(name(), "server { listen 80; unheard_of on; }").error();
  CHECK(error.code == Code::invalid);
  CHECK(has(error.message, "unknown directive \"unheard_of\" in /etc/nginx/"));
  CHECK(has(error.message, ".d/chillbox.blog.conf:1")); // conf.d, or http.d on Alpine
  CHECK(box.nginx.installed(name()).value() == before);
  CHECK(get("/var/lib/chillbox/nginx/blog.failed") == "server { listen 80; unheard_of on; }");
}

TEST_CASE("box: [fault-114] a port that is taken passes the test, and is caught by the generation", "[.taken]") {
  Box box;
  const Fd taken(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in a{};
  a.sin_family = AF_INET;
  a.sin_port = htons(8099);
  REQUIRE(::bind(taken.get(), reinterpret_cast<const sockaddr*>(&a), sizeof a) == 0);
  REQUIRE(::listen(taken.get(), 1) == 0);
  const auto other = name("shop");
  must(box.nginx.test(other, "server { listen 8099; }"));
  must(box.nginx.install(other, "server { listen 8099; }"));
  const auto result = box.nginx.reload();
  must(box.nginx.install(other, ""));
  REQUIRE_FALSE(result);
  CHECK(result.error().code == Code::unhealthy);
  CHECK(has(result.error().message, "8099"));
  must(box.nginx.reload());
}

TEST_CASE("box: a template of a site's own passes the test when it is good", "[.template]") {
  Box box;
  Sample s;
  s.site.slug = name("tpl");
  s.site.domains = {"own.test"};
  auto in = SiteInput{
      .site = &s.site, .host = &s.host, .upstreams = {Sample::web()}, .paths = os::Paths{}};
  in.templates = {{"blog.nginx.conf.template",
      "server { listen $SERVER_PORT; server_name own.test; location / { proxy_pass http://tpl-web; proxy_set_header Host $host; } }"}};
  in.variables = {{"SERVER_PORT", "80"}};
  must(box.nginx.test(name("tpl"), render_site(in).value()));
}
