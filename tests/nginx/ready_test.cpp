#include "sample.hpp"

#include "nginx/ready.hpp"

using namespace chillbox;
using namespace chillbox::nginx;

TEST_CASE("/SITE/ready asks the service at /, in the slot that has the visitors; a site of files asks nobody") {
  const Sample s;
  auto api = Sample::service("api", "go", 20001);
  api.slot_ports = {20000, 20001};
  api.health.path = "/up?a=$b";
  const auto text = ready_location(s.input({Sample::service("docs", "static"), api}));
  CHECK(has(text, "location = /blog/ready {"));
  CHECK(has(text, "if (-f /srv/chillbox/.drain) { return 503; }"));
  CHECK(has(text, "if (-f /srv/chillbox/blog/drain) { return 503; }"));
  CHECK(has(text, "set $chillbox_ready a.blog-api.blog.chillbox.invalid;"));
  CHECK(has(text,
      "if (-f /run/chillbox/live/blog/api.b) { set $chillbox_ready b.blog-api.blog.chillbox.invalid; }"));
  CHECK(has(text, "proxy_pass http://$chillbox_ready/up?a=%24b;"));
  CHECK(has(text, "    proxy_buffer_size 32k;\n"));
  CHECK(has(text, " 428 451 = @chillbox_ready;"));
  api.health.declared = true;
  CHECK_FALSE(has(ready_location(s.input({api})), "451"));
  const auto files = ready_location(s.input({Sample::service("docs", "static")}));
  CHECK_FALSE(has(files, "auth_request"));
  CHECK(has(files, "try_files /none @chillbox_ready;"));
}

TEST_CASE("the host's server takes what the second line of a site's text says, which is chillbox's own whatever a template has [attack-I10]") {
  const Sample s;
  auto in = s.input();
  const auto ours = host_ready(render_site(in).value());
  CHECK(ours.starts_with("  location = /blog/ready {"));
  CHECK(has(ours, "if ($chillbox_checks = 0) { return 404; }"));
  CHECK(ours.find('\n') == ours.size() - 1);
  in.templates = {{"blog.nginx.conf.template",
      "# for the host's server: location = /blog/ready { return 200; }\nserver { location = /blog/ready { return 200 theirs; } }"}};
  const auto theirs = render_site(in).value();
  CHECK(host_ready(theirs) == ours);
  CHECK(has(theirs, "return 200 theirs;"));
  CHECK_FALSE(has(theirs, "@chillbox_not_ready;\n"));
  CHECK(host_ready("").empty());
  CHECK(host_ready("# Site 'blog'\nserver { }\n").empty());
}
