#include "sample.hpp"

using namespace chillbox;
using namespace chillbox::nginx;

TEST_CASE("the default gives / to the first service that answers requests, and /NAME/ to the others") {
  const Sample s;
  const auto text =
      render_site(s.input({Sample::service("docs", "static"), Sample::service("api", "python"),
                      Sample::service("go", "binary", 9001)}))
          .value();
  CHECK(has(text,
      "upstream blog-api.blog.chillbox.invalid { server unix:/run/chillbox/live/blog/api.sock max_fails=0; include /var/lib/chillbox/nginx/upstream.con[f]; }"));
  CHECK(has(text,
      "upstream blog-go.blog.chillbox.invalid { server 127.0.0.1:9001 max_fails=0; include "));
  CHECK(has(text,
      "location / {\n    if (-f /srv/chillbox/blog/maintenance) { return 503; }\n    proxy_pass http://blog-api.blog.chillbox.invalid;"));
  CHECK(has(text, "location /go/ {"));
  CHECK(has(text, "location /docs/ {"));
  CHECK_FALSE(has(text, "upstream blog-docs"));
  CHECK_FALSE(has(text, "location /api/ {"));
  CHECK_FALSE(has(text, "keepalive"));
}

TEST_CASE("both slots of a service on TCP are in the text, which is the same for either, and a flag chooses") {
  const Sample s;
  auto api = Sample::service("my-api", "go", 20001);
  api.slot_ports = {20000, 20001};
  const auto in_b = render_site(s.input({Sample::web(), api})).value();
  api.port = 20000;
  auto in = s.input({Sample::web(), api});
  CHECK(render_site(in).value() == in_b);
  CHECK(has(
      in_b, "upstream a.blog-my-api.blog.chillbox.invalid { server 127.0.0.1:20000 max_fails=0; "));
  CHECK(has(
      in_b, "upstream b.blog-my-api.blog.chillbox.invalid { server 127.0.0.1:20001 max_fails=0; "));
  CHECK(has(in_b,
      "  set $chillbox_slot_1 a.blog-my-api.blog.chillbox.invalid;\n  if (-f /run/chillbox/live/blog/my-api.b) { set $chillbox_slot_1 b.blog-my-api.blog.chillbox.invalid; }\n"));
  CHECK(has(in_b, "proxy_pass http://$chillbox_slot_1;"));
  CHECK_FALSE(has(in_b, "upstream blog-my-api"));
  // Lines of the site's own that name the service's upstream: that one is there, of the one slot.
  in.snippet = "location /old/ { proxy_pass http://Blog-my-api; }";
  const auto named = render_site(in).value();
  CHECK(has(named, "upstream blog-my-api.blog.chillbox.invalid {"));
  CHECK(has(named, "server 127.0.0.1:20000 max_fails=0;"));
  CHECK_FALSE(has(named, "$chillbox_slot_"));
  // A flag that is removed would exist for a minute more where what is known of a file is kept.
  CHECK(has(in_b, "  open_file_cache off;\n"));
  in.snippet = "open_file_cache max=9;";
  CHECK(has(render_site(in).value(), "upstream blog-my-api.blog.chillbox.invalid {"));
}

TEST_CASE("a site of files only is served through `current`, so that its text is the same in every release") {
  const Sample s;
  auto in = s.input({Sample::service("docs", "static"), Sample::service("assets", "immutable")});
  in.release_dir = "/srv/chillbox/blog/releases/1.0.0-1";
  const auto first = render_site(in).value();
  in.release_dir = "/srv/chillbox/blog/releases/1.0.1-2";
  CHECK(render_site(in).value() == first);
  CHECK(has(first, "root /srv/chillbox/blog/current/docs;"));
  CHECK(has(first,
      "location ^~ /immutable/ {\n    root /srv/chillbox/blog;\n    charset utf-8;\n    try_files $uri =404;"));
  CHECK(has(first, "add_header Cache-Control $chillbox_immutable;"));
  CHECK(has(render_site(s.input({})).value(), "root /srv/chillbox/blog/current/nginx/root;"));
}

TEST_CASE("what was frozen is files below its build, at / when it is the first, else under its own name") {
  const Sample s;
  auto pages = Sample::service("pages", "static");
  pages.front = true;
  pages.files = ".chillbox/pages/frozen";
  const auto first = render_site(s.input({pages, Sample::service("api", "python")})).value();
  CHECK(has(first,
      "location / {\n    if (-f /srv/chillbox/blog/maintenance) { return 503; }\n    root /srv/chillbox/blog/current/.chillbox/pages/frozen;"));
  CHECK(has(first, "location /api/ {"));
  const auto second = render_site(s.input({Sample::service("api", "python"), pages})).value();
  CHECK(has(second,
      "location /pages/ {\n    if (-f /srv/chillbox/blog/maintenance) { return 503; }\n    root /srv/chillbox/blog/current/.chillbox/pages/frozen;"));
  CHECK_FALSE(has(second, "upstream blog-pages"));
}

TEST_CASE("other domains go to the canonical name, the challenge of ACME does not") {
  Sample s;
  s.site.domains = {"example.org", "www.example.org", "example.net"};
  s.host.http_port = 8080;
  const auto text = render_site(s.input()).value();
  CHECK(has(text, "server_name www.example.org example.net;"));
  CHECK(has(text,
      "set $chillbox_to $chillbox_scheme://example.org$chillbox_port_suffix;\n  if ($chillbox_names ~ \"\\|example\\.org\\|\") { set $chillbox_to https://example.org; }\n"));
  CHECK(has(text, "location / { return 308 $chillbox_to$request_uri; }"));
  CHECK(count(text, "location ^~ /.well-known/acme-challenge/") == 2);
  CHECK(count(text, "listen [::]:8080;") == 2);
}

TEST_CASE("a service that cannot be reached shows the sealed page only while its flag is there") {
  const auto text = render_site(Sample().input()).value();
  CHECK(has(text, "error_page 502 504 = @chillbox_unavailable;"));
  CHECK(has(text, "if (-f /run/chillbox/sealed/blog) {\n      add_header Retry-After 300 always;"));
  CHECK(has(text, "proxy_next_upstream off;"));
}

TEST_CASE("a site with templates is those, with upstreams that they can name and variables expanded") {
  const Sample s;
  auto in = s.input();
  in.templates = {{"blog.nginx.conf.template",
      "server { listen $SERVER_PORT; server_name ${SERVER_NAME}; location / { proxy_pass http://blog-web; set $x $host; } }"}};
  in.variables = {{"SERVER_PORT", "80"}, {"SERVER_NAME", "example.org"}};
  const auto text = render_site(in).value();
  CHECK(has(text, "upstream blog-web.blog.chillbox.invalid {"));
  CHECK(has(text,
      "  listen 80;\n  server_name example.org;\n  location / {\n    proxy_pass http://blog-web.blog.chillbox.invalid;\n    set $cb_blog__x $host;\n    proxy_set_header X-Real-IP $remote_addr;\n"));
  CHECK(has(text, "error_page 502 504 = @chillbox_unavailable;"));
  CHECK_FALSE(has_maintenance(text));
}

TEST_CASE("a template passes on nothing that a stranger says of himself, and what it sets itself stays [fault-360] [attack-N4]") {
  const Sample s;
  auto in = s.input();
  const auto rendered = [&](const std::string& inside) {
    in.templates = {
        {"a.nginx.conf.template", cat("server { server_name example.org; ", inside, " }")}};
    return render_site(in).value();
  };
  const std::string pass = "proxy_pass http://blog-web;";
  for (const std::string headers :
      {"", "proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;",
          "proxy_set_header x-forwarded-for \"$http_x_forwarded_for\";",
          "proxy_set_header X-Forwarded-For ${proxy_add_x_forwarded_for};",
          "proxy_set_header X-Forwarded-Proto $http_x_forwarded_proto;",
          "proxy_set_header X-Real-IP $http_x_real_ip;",
          "set $x $http_x_forwarded_for; proxy_set_header X-Forwarded-For $x;"}) {
    CAPTURE(headers);
    for (const auto& text :
        {rendered(cat("location / { ", pass, headers, " }")),
            rendered(cat(headers, " location / { ", pass, " }")),
            rendered(cat(headers, " location / { if ($request_method = POST) { ", pass, " } }"))}) {
      CHECK_FALSE(has(text, "x_forwarded"));
      CHECK_FALSE(has(text, "x_real"));
      for (const char* name : {"X-Real-IP", "X-Forwarded-Proto", "Forwarded", "X-Forwarded-Prefix"})
        CHECK(count(text, cat("proxy_set_header ", name, " ")) == 1);
      CHECK(has(text, "proxy_set_header X-Forwarded-Proto $chillbox_scheme;"));
    }
  }
  const auto own = rendered(cat("proxy_set_header X-Forwarded-Prefix /a; location /a { ", pass,
      " } location /b { proxy_set_header X-Forwarded-Prefix /b; ", pass,
      " } location /c { return 200 $http_x_forwarded_for_; }"));
  CHECK(has(own, "proxy_set_header X-Forwarded-Prefix /a;"));
  CHECK(has(own, "proxy_set_header X-Forwarded-Prefix /b;"));
  CHECK(count(own, "proxy_set_header X-Forwarded-For $remote_addr;") == 2);
  CHECK(has(own, "$http_x_forwarded_for_;"));
  CHECK(count(rendered("location / { return 200 x; }"), "proxy_set_header X-") == 0);
  CHECK(has(rendered("location / { return 200 a$http_x_forwarded_forb; }"), "forwarded_forb"));
  CHECK(has(rendered("location / { return 200 ${http_x_forwarded_for}b; }"), "${remote_addr}b"));
}

TEST_CASE("maintenance: the default and what includes the certificate's file have the page, and its message is text") {
  const Sample s;
  auto in = s.input();
  CHECK(has_maintenance(render_site(in).value()));
  in.templates = {{"a.nginx.conf.template", "server {\n  include blog.ssl_cert.include;\n}\n"}};
  const auto text = render_site(in).value();
  CHECK(has_maintenance(text));
  CHECK(
      has(text, "if (-f /srv/chillbox/blog/maintenance) {\n    set $chillbox_maintenance 1;\n  }"));
  CHECK(has(text, "error_page 503 /.chillbox/maintenance;"));
  CHECK(has(maintenance_page(""), "<h1>Back soon</h1>"));
  CHECK(has(maintenance_page("<script>\n'a' & \"b\""),
      "<p>&lt;script&gt;<br>&#39;a&#39; &amp; &quot;b&quot;</p>"));
}

TEST_CASE("[fault-860] the access log is an object a line where chillboxd.toml says so, also of a template without one of its own") {
  Sample s;
  auto in = s.input();
  CHECK(has(render_site(in).value(), "  access_log /var/log/nginx/blog/access.log combined;\n"));
  s.host.access_log = "json";
  const auto text = render_site(in).value();
  CHECK(text.find("log_format blog-access escape=json\n") < text.find("\nserver {"));
  CHECK(has(text, "  access_log /var/log/nginx/blog/access.log blog-access;\n"));
  CHECK_FALSE(has(text, "combined"));
  in.templates = {{"a.nginx.conf.template", "server {\n  include blog.ssl_cert.include;\n}\n"}};
  CHECK(has(render_site(in).value(), "access_log /var/log/nginx/blog/access.log blog-access;"));
  in.templates = {{"a.nginx.conf.template",
      "server {\n  include blog.ssl_cert.include;\n  access_log /var/log/nginx/blog/own.log;\n}\n"}};
  const auto theirs = render_site(in).value();
  CHECK(has(theirs, "access_log /var/log/nginx/blog/own.log;"));
  CHECK_FALSE(has(theirs, "blog-access;"));
}

TEST_CASE("the include of the original's certificate file becomes what it held, wherever it was said to be") {
  const Sample s;
  auto in = s.input();
  in.templates = {{"a.nginx.conf.template",
      "server {\n  include /etc/nginx/conf.d/$SLUGNAME.ssl_cert.include;\n  server_name example.org;\n}\n"}};
  in.variables = {{"SLUGNAME", "blog"}};
  in.ipv6 = false;
  const auto plain = render_site(in).value();
  CHECK(has(plain,
      "  listen 80;\n  include /var/lib/chillbox/certs/blog.con[f];\n  if ($chillbox_away_now) {\n"));
  CHECK_FALSE(has(plain, "blog.ssl_cert"));
}

TEST_CASE("[fault-250] a site's few directives are in the default text, which stays, and say no more than a template may") {
  const Sample s;
  auto in = s.input();
  in.snippet =
      "client_max_body_size 1m;\nadd_header X-Own $mine;\nset $mine 1;\nlocation = /x { return 200 x; }\nlocation / { proxy_pass http://blog-web; }\n";
  const auto text = render_site(in).value();
  CHECK(has(text, "client_max_body_size 1m;"));
  CHECK_FALSE(has(text, "  client_max_body_size 32m;"));
  CHECK(has(text, "add_header X-Own $cb_blog__mine;"));
  CHECK(has(
      text, "location = /x {\n    if (-f /srv/chillbox/blog/maintenance) {\n      return 503;"));
  CHECK(count(text, "location / {") == 1);
  CHECK(has(text,
      "location / {\n    if (-f /srv/chillbox/blog/maintenance) {\n      return 503;\n    }\n    proxy_pass http://blog-web.blog.chillbox.invalid;\n    proxy_set_header X-Real-IP $remote_addr;\n"));
  CHECK(has(text, "gzip on;"));
  CHECK(has(text, "location @chillbox_unavailable"));
  CHECK(count(text, "access_log /") == 1);
  CHECK(count(text, "include /run/chillbox/counts/blog.con[f];") == 1);
  CHECK(count(text, "disable_symlinks if_not_owner") == 1);
  for (const char* bad : {"listen 81;", "server_name other.test;", "include /etc/passwd;",
           "error_log /dev/null;", "ssl_certificate /x;", "}", "} server {",
           "location /x { root /etc; }", "location /x { alias /var/lib/shop/web; }",
           "location /x { proxy_pass http://127.0.0.1:22; }", "load_module x;",
           "disable_symlinks off;", "lua_code x;", "upstream x { server 127.0.0.1; }",
           "server { }"}) {
    INFO(bad);
    in.snippet = bad;
    const auto refused = render_site(in);
    REQUIRE_FALSE(refused);
    CHECK(has(refused.error().message, "nginx/server.conf: line 1: "));
  }
  in.templates = {{"a.nginx.conf.template", "server { }"}};
  CHECK(has(render_site(in).error().message, "take one of them out"));
}

TEST_CASE("[fault-252] the include is provided with a comment, in quotes, and with others on its line") {
  const Sample s;
  auto in = s.input();
  for (const char* line : {"include blog.ssl_cert.include; # TLS",
           "include \"blog.ssl_cert.include\";", "include 'blog.ssl_cert.include' ;",
           "server_tokens off; include blog.ssl_cert.include; etag off;",
           "include\n    /etc/nginx/blog.ssl_cert.include\n;"}) {
    INFO(line);
    in.templates = {
        {"a.nginx.conf.template", cat("server {\n  ", line, "\n  server_name example.org;\n}\n")}};
    const auto text = render_site(in);
    REQUIRE(text);
    CHECK(has(*text, "set $chillbox_maintenance 0;"));
    CHECK_FALSE(has(*text, "ssl_cert"));
  }
}

TEST_CASE("[fault-253] a template's own pages for a service that does not answer stay, and where it has none ours are shown") {
  const Sample s;
  auto in = s.input();
  const auto with = [&](std::string_view text) {
    in.templates = {{"a.nginx.conf.template",
        cat("server {\n  ", text, "\n  location / { proxy_pass http://blog-web; }\n}\n")}};
    return render_site(in).value();
  };
  CHECK(has(with("error_page 404 /lost.html;"), "error_page 502 504 = @chillbox_unavailable;"));
  CHECK(has(with("error_page 500 502 /own.html;"), "error_page 504 = @chillbox_unavailable;"));
  CHECK_FALSE(has(with("error_page 500 502 504 /own.html;"), "@chillbox_unavailable"));
}

TEST_CASE("[fault-68] a variable that would end a directive is refused, and the template and line are named") {
  const Sample s;
  auto in = s.input();
  in.templates = {{"a.nginx.conf.template", "server {\n  server_name $SERVER_NAME;\n}"}};
  in.variables = {{"SERVER_NAME", "a; include /etc/shadow"}};
  const auto error = render_site(in).error();
  CHECK(error.code == Code::denied);
  CHECK(has(error.message, "nginx/templates/a.nginx.conf.template: line 2: "));
}

TEST_CASE("a site without a template needs a name to be served under") {
  Sample s;
  s.site.server_name.clear();
  CHECK(render_site(s.input()).error().code == Code::invalid);
}

TEST_CASE("the host-level server lets exactly the known requests through to the edge, and logs none of them") {
  config::HostConfig host;
  host.artifact_max = 5000;
  const auto text = render_host(host, os::Paths{}, "g1", {.ipv6 = true});
  CHECK(has(text, "upstream chillbox_edge { server unix:/run/chillbox/hook.sock max_fails=0; }"));
  CHECK(has(text,
      "location = /v1/hooks {\n    if ($request_method != POST) { return 405; }\n    client_max_body_size 64k;"));
  CHECK(has(text, "client_max_body_size 5000;"));
  CHECK(count(text, "proxy_pass http://chillbox_edge;") == 7);
  CHECK(count(text, "if ($http_content_encoding) { return 415; }") == 7);
  CHECK(count(text, "proxy_http_version 1.0;") == 7);
  CHECK(count(text, "proxy_request_buffering off;") == 1);
  CHECK(count(text, "if ($http_transfer_encoding) { return 411; }") == 7);
  CHECK(count(text, "limit_req zone=") == 7);
  CHECK(count(text, "error_log /dev/null emerg;") == 8);
  CHECK(count(text, "access_log off;") == 3);
  CHECK_FALSE(has(text, "version.txt")); // a stranger learns no site
  CHECK(has(text,
      "upstream immutable.chillbox.invalid { server 127.99.104.98:80 max_fails=0; }\nserver {\n  listen 127.99.104.98:80;"));
  CHECK_FALSE(has(text, "access_log /"));
  CHECK(count(text, "proxy_buffering off;") == 1);
  CHECK(has(text, "\nclient_header_timeout 5s;"));
  CHECK(has(text, "  client_header_timeout 3s;"));
  CHECK_FALSE(has(
      render_host(host, os::Paths{}, "g1", {.header_timeout = false}), "\nclient_header_timeout"));
  CHECK(has(text, "listen [::]:80 default_server;"));
  CHECK(has(text, "return 200 'g1';"));
  CHECK(has(text, "server_names_hash_bucket_size 512;"));
  CHECK_FALSE(has(render_host(host, os::Paths{}, "g1", {.names_hash = false}),
      "server_names_hash_bucket_size"));
}

TEST_CASE("where another file is the default server, ours says none and answers to more names") {
  config::HostConfig host;
  const auto text = render_host(host, os::Paths{}, "g1",
      {.default_server = false, .ipv6 = false, .other_names = {"localhost", "127.0.0.1"}});
  CHECK_FALSE(has(text, "default_server"));
  CHECK(has(text, "server_name localhost 127.0.0.1;"));
  host.server_name = "box.example.org";
  CHECK(has(render_host(host, os::Paths{}, "g1",
                {.default_server = false, .ipv6 = false, .other_names = {"localhost"}}),
      "server_name box.example.org localhost;"));
  CHECK(has(render_host(host, os::Paths{}, "g1", {.ipv6 = false}), "server_name box.example.org;"));
}

TEST_CASE("only the proxies of chillboxd.toml are believed, and another file's real_ip_header stays the only one") {
  config::HostConfig host;
  CHECK_FALSE(has(render_host(host, os::Paths{}, "g", {}), "set_real_ip_from"));
  CHECK(has(render_host(host, os::Paths{}, "g", {}),
      "geo $realip_remote_addr $chillbox_trusted {\n  default 0;\n}"));
  host.trusted_proxies = {"10.0.0.0/8", "2001:db8::/32"};
  const auto text = render_host(host, os::Paths{}, "g", {});
  CHECK(has(text, "real_ip_header X-Forwarded-For;\nreal_ip_recursive on;\n"));
  CHECK(has(text, "set_real_ip_from 10.0.0.0/8;\nset_real_ip_from 2001:db8::/32;\n"));
  CHECK(has(text, "  10.0.0.0/8 1;\n  2001:db8::/32 1;\n"));
  const auto others = render_host(host, os::Paths{}, "g", {.real_ip = false});
  CHECK_FALSE(has(others, "real_ip_header"));
  CHECK(has(others, "set_real_ip_from 10.0.0.0/8;"));
}
