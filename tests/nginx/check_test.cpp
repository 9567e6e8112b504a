// What a site's own NGINX text may say. templates/ holds texts that pass; here is what is refused,
// with the words that its author reads.
#include "sample.hpp"

#include "nginx/check.hpp"
#include "nginx/names.hpp"

using namespace chillbox;
using namespace chillbox::nginx;

namespace {

struct Blog : Sample {
  Blog() {
    site.domains = {"example.org", "www.example.org"};
    host.nginx_allow_upstreams = {"api.partner.example", "10.0.0.7:8080"};
  }
  Result<std::string> text(const std::string& of_template) const {
    auto web = Sample::web();
    web.port = 20001;
    auto in = input({web, service("docs", "static")});
    in.templates = {{"blog.nginx.conf.template", of_template}};
    in.variables = {{"SLUGNAME", "blog"}, {"SERVER_NAME", "example.org"}, {"SERVER_PORT", "80"},
        {"WEB_PORT", "20001"}, {"IMMUTABLE_BUCKET_DOMAIN_NAME", std::string(k_immutable_host)}};
    return render_site(in);
  }
  std::string refused(const std::string& of_template) const {
    const auto out = text(of_template);
    return out ? "not refused:\n" + *out : out.error().message;
  }
  std::string in_server(const std::string& line) const {
    return refused(cat("server {\n  server_name example.org;\n  ", line, "\n}\n"));
  }
  std::string in_location(const std::string& line) const {
    return in_server(cat("location /x {\n    ", line, "\n  }"));
  }
};

} // namespace

TEST_CASE("templates that sites really have pass, and what comes out means the same when it is read again") {
  const Blog blog;
  for (const auto& entry : fs::directory_iterator("tests/nginx/templates")) {
    INFO(entry.path().string());
    const auto out = blog.text(get(entry.path().string()));
    if (!out)
      FAIL(out.error().message);
    const auto nodes = parse(*out);
    REQUIRE(nodes);
    CHECK(parse(write(*nodes)).value() == *nodes);
  }
}

TEST_CASE("the example site of the original's kind passes unchanged") {
  Sample s;
  s.site = config::Site{name("garden")};
  s.site.server_name = "garden.example";
  s.site.domains = {"garden.example"};
  auto in = s.input({Sample::service("api", "python", 20001), Sample::service("feed", "python")});
  in.templates = {{"garden.nginx.conf.template",
      get("docs/examples/garden/nginx/templates/garden.nginx.conf.template")}};
  in.variables = {{"SLUGNAME", "garden"}, {"SERVER_NAME", "garden.example"}, {"SERVER_PORT", "80"},
      {"CHILLBOX_SUBNET", "127.0.0.0/8"}, {"CHILL_STATIC_TRY_FILES_LAST_PARAM", "=404"},
      {"IMMUTABLE_EXAMPLE_PATH", "/pictures/"},
      {"IMMUTABLE_EXAMPLE_URL",
          cat("https://", k_immutable_host, "/garden/immutable/pictures/1/")}};
  for (const char* name : {"CHILL_STATIC", "CHILL_DYNAMIC", "API"})
    for (const auto& [end, value] : {std::pair{"_PATH", "/x/"}, std::pair{"_SCHEME", "http"},
             std::pair{"_HOST", "localhost"}, std::pair{"_PORT", "20001"}})
      in.variables[cat(name, end)] = value;
  const auto text = render_site(in);
  if (!text)
    FAIL(text.error().message);
  CHECK(has(*text, "root /var/lib/chillbox/acme;"));
  CHECK(has(*text, "proxy_pass http://immutable.chillbox.invalid/garden/immutable/pictures/1/;"));
  CHECK(has(*text, "proxy_pass http://garden-feed.garden.chillbox.invalid;"));
  CHECK(has(*text, "server_name .garden.example;"));
}

TEST_CASE("every server of a site follows no link of another's and says whose it is") {
  const Blog blog;
  const auto text =
      blog.text(
              "server { server_name example.org; }\nserver { listen 8090; server_name www.example.org; return 301 http://example.org$request_uri; }\n")
          .value();
  CHECK(count(text, "server {\n  disable_symlinks if_not_owner;\n  if ($chillbox_asks) ") == 2);
  CHECK(count(text, "  if ($chillbox_asks) {\n    return 200 blog;\n  }\n") == 2);
  CHECK(count(text, "  listen 80;\n  listen [::]:80;\n") == 1); // where it says nothing
  auto in = blog.input();
  const auto own = render_site(in).value();
  CHECK(count(own, "server {\n  disable_symlinks if_not_owner;\n  if ($chillbox_asks) ") ==
      count(own, "server {\n"));
  CHECK(count(own, "  if ($chillbox_asks) { return 200 blog; }\n") == count(own, "server {\n"));
}

TEST_CASE("names that a template gives are the site's own: two sites with the same ones never meet") {
  const Blog blog;
  const auto text = blog.text(get("tests/nginx/templates/modern.template")).value();
  for (const char* part :
      {"map $http_origin $cb_blog__cors_origin {", "(?<cb_blog__sub>[a-z]+)",
          "map $cookie_side $cb_blog__backend {\n  default blog-web.blog.chillbox.invalid;\n  b others.blog.chillbox.invalid;",
          "geo $cb_blog__inside {", "$cb_blog__variant {", "zone=blog.per_ip:1m",
          "zone=blog.conns:512k", "log_format blog.json escape=json", "keys_zone=blog.pages:1m",
          "upstream others.blog.chillbox.invalid {", "zone blog.others 64k;",
          "ssl_session_cache shared:blog.tls:1m;", "json.log blog.json buffer=4k;",
          "set $cb_blog__tenant none;", "set $cb_blog__tenant $cb_blog__tenant_name;",
          "limit_req zone=blog.per_ip burst=5;", "limit_conn blog.conns 8;",
          "auth_request_set $cb_blog__who $upstream_http_x_user;", "proxy_cache blog.pages;",
          "proxy_pass http://$cb_blog__backend$request_uri;", "(?<cb_blog__file>.+)",
          "files/$cb_blog__file;", "set $args x=1;"})
    if (!has(text, part))
      FAIL_CHECK("no " << part << " in:\n" << text);
}

TEST_CASE("no two sites can have the same name, and none is too long for PCRE") {
  const Names a(name("a")), ab(name("a-b"));
  CHECK(a.variable("b__x") != ab.variable("x"));
  CHECK(a.variable("X") == a.variable("x"));
  CHECK(a.own_upstream("a-b-c") != ab.own_upstream("a-b-c"));
  const Names longest(name("a123456789-123456789-123456789x"));
  CHECK(longest.variable("x").size() <= 32);
  CHECK(longest.variable("x") != longest.variable("y"));
}

TEST_CASE("at the top a template has servers and names of its own, nothing for all sites [attack-A2]") {
  const Blog blog;
  for (const char* line : {"auth_basic x;", "add_header X y;", "deny all;",
           "client_max_body_size 1;", "resolver 1.1.1.1;", "include /etc/nginx/x.conf;", "root /;",
           "access_log /var/log/nginx/blog/access.log;", "server_names_hash_bucket_size 4;",
           "lua_package_path x;", "perl_modules /x;", "load_module x.so;", "user root;",
           "proxy_temp_path /x;", "ssl_session_cache shared:x:1m;", "http { }", "js_import x;",
           "server_tokens on;"}) {
    const auto message = blog.refused(line);
    INFO(line << "\n" << message);
    CHECK(has(message, "nginx/templates/blog.nginx.conf.template: line 1: '"));
    CHECK((has(message, "allowed at the top are ") || has(message, "did you mean '") ||
        has(message, "only blog.ssl_cert.include")));
    CHECK((has(message, "nginx.allow_directives in chillboxd.toml") ||
        has(message, "nginx.allow_paths")));
  }
}

TEST_CASE("directives that write files, run code or read others' are not for sites [attack-A2]") {
  const Blog blog;
  for (const char* line : {"client_body_temp_path /var/lib/chillbox/artifacts;", "proxy_store on;",
           "proxy_temp_path /x;", "fastcgi_temp_path /x;", "dav_methods PUT;",
           "client_body_in_file_only on;", "perl x;", "js_content x;", "content_by_lua_file /x;",
           "resolver 127.0.0.1;", "stub_status;", "random_index on;", "post_action /x;",
           "disable_symlinks off;", "proxy_bind 127.0.0.2;", "ssl_password_file /etc/shadow;",
           "ssl_engine x;", "xslt_stylesheet /x;", "autoindexx on;", "memcached_pass 127.0.0.1:1;",
           "status;", "server { }", "map $a $b { }", "upstream x { }"}) {
    const auto message = blog.in_location(line);
    INFO(line << "\n" << message);
    CHECK(has(message, "blog.nginx.conf.template: line 4: '"));
    CHECK(has(message, "not for sites"));
  }
  CHECK(has(blog.in_location("prxy_pass http://blog-web;"),
      "'prxy_pass' is not for sites: did you mean 'proxy_pass'?"));
}

TEST_CASE("logs are the site's own, by a name that is rotated [attack-A2]") {
  const Blog blog;
  for (const char* path : {"/etc/cron.d/pwn", "/var/log/nginx/shop/access.log",
           "/var/log/nginx/blog/../shop/access.log", "/var/log/nginx/access.log", "logs/x.log",
           "/var/log/nginx/blog/$host.log", "/var/log/nginx/blog/access",
           "/var/log/nginx/blog/.x.log", "syslog:server=10.0.0.1", "memory:1m", "stderr"}) {
    INFO(path);
    CHECK(has(blog.in_server(cat("access_log ", path, ";")),
        "a log is /var/log/nginx/blog/NAME.log or off"));
    CHECK(has(blog.in_server(cat("error_log ", path, " info;")),
        "a log is /var/log/nginx/blog/NAME.log"));
  }
  CHECK(has(blog.refused("proxy_cache_path /etc/cron.d keys_zone=x:1m max_size=1m;"),
      "a cache is /var/cache/nginx/blog"));
  CHECK(has(
      blog.refused("proxy_cache_path /var/cache/nginx/blog keys_zone=x:1m;"), "needs max_size="));
}

TEST_CASE("files are the site's own, and no visitor chooses them [attack-A2] [attack-D12]") {
  const Blog blog;
  for (const char* path : {"/", "/etc", "/srv/chillbox/shop/current", "/srv/blogger/root",
           "/srv/chillbox/blog", "/srv/chillbox/blog/releases", "/var/lib/blog", "/var/lib/blog/",
           "/var/lib/chillbox", "/srv/blog/../shop", "html", "/proc/self/root",
           "/srv/blog/root/$arg_x", "/srv/blog/$http_x", "$document_root/..", "/srv/$host",
           "/srv/blog/root/.$host", "/srv/blog/root/$1"}) {
    INFO(path << "\n" << blog.in_location(cat("root ", path, ";")));
    CHECK(has(blog.in_location(cat("root ", path, ";")), "line 4: 'root': "));
    CHECK(has(blog.in_location(cat("alias ", path, ";")), "line 4: 'alias': "));
    CHECK(has(blog.in_location(cat("auth_basic_user_file ", path, ";")),
        "line 4: 'auth_basic_user_file': "));
  }
  // A group that cuts a ".." out of "/a..b", one that another pattern fills, a variable that may be
  // empty.
  CHECK(has(blog.in_server("location ~ ^/a(?<up>..)b { root /srv/blog/root/$up; }"),
      "a visitor could choose the file"));
  CHECK(has(
      blog.in_server(
          "location ~ ^/f/(?<f>.+)$ { alias /srv/blog/root/$f; if ($arg_x ~ (?<f>.*)) { return 200; } }"),
      "a visitor could choose the file"));
  // One without '.' and '/' is none of these, whatever it is of.
  CHECK_FALSE(has(
      blog.in_server(
          "location ~ ^/(?<lang>fr|de)(/|$) { root /srv/blog/root; try_files $uri /$lang/index.html; }"),
      "line"));
  CHECK_FALSE(has(blog.in_location("rewrite ^/(en|de)_(.*)$ /$1/index.html break;"), "line"));
  CHECK_FALSE(
      has(blog.refused(
              "map $host $folder { ~^(?<sub>[a-z0-9-]+)[.]example[.]org$ $sub; default www; }\n"
              "server { location / { root /srv/blog/root/$folder; } }"),
          "line"));
  for (const char* inside : {"[--9]+", "[^/]+", ".+", "(..)", "[+-9]+"})
    CHECK(
        has(blog.refused(cat("map $http_x $folder { ~^(?<sub>", inside,
                ")$ $sub; default www; }\nserver { location / { root /srv/blog/root/$folder; } }")),
            "a visitor could choose the file"));
  CHECK(has(blog.in_server("location ~ ^/(?<lang>fr|de) { root /srv/blog/$lang..; }"), "'..'"));
  CHECK(
      has(blog.in_server("location ~ ^/(?<lang>fr|de) { root /srv/$lang; }"), "may only be below"));
  CHECK(has(blog.in_location("proxy_pass http://blog-api$host;"), "line"));
  CHECK(has(blog.in_server("location ~ ^/(?<port>[0-9]+) { proxy_pass http://127.0.0.1:$port; }"),
      "line"));
  CHECK(has(blog.in_server("set $r /srv/blog/root; root $r;"), "may only be below"));
  CHECK(has(blog.in_server("set $d .; root /srv/blog/root/$d$d;"), "'..'"));
  CHECK(has(blog.in_server("if (-f /etc/shadow) { return 200; }"), "may only be below"));
  CHECK(has(
      blog.in_server("if (-f $document_root/$arg_x) { return 200; }"), "a visitor could choose"));
  // "/x../y" begins with "/x", and what is behind it is put behind the alias: one level up.
  CHECK(has(blog.in_server("location /x { alias /srv/blog/; }"), "may only be below"));
  CHECK(has(
      blog.in_server("location ^~ /x { alias /var/lib/chillbox/acme/; }"), "may only be below"));
  CHECK_FALSE(has(blog.in_server("location /x { alias /srv/blog/root/; }"), "line 3"));
  CHECK_FALSE(has(blog.in_server("location /x/ { alias /srv/blog/; }"), "line 3"));
  CHECK_FALSE(has(blog.in_server("if (!-f $request_filename) { return 404; }"), "line"));
}

TEST_CASE("a path that NGINX goes on with cannot climb out of the root [attack-A2]") {
  const Blog blog;
  for (const char* line :
      {"rewrite ^ /../../etc/passwd break;", "rewrite ^ /$arg_f break;",
          "rewrite ^/a(..)b(.*)$ /$1/$1/$2 break;", "rewrite ^(.*)$ /x$request_uri;",
          "try_files /../../etc/passwd =404;", "try_files $arg_f =404;", "try_files $uri /$http_x;",
          "index ../../x;", "index $cookie_x;", "error_page 404 /../x;", "error_page 404 /$arg_x;",
          "auth_request /$arg_x;", "try_files http://../../x =404;",
          "try_files $uri /x$is_args$http_x;", "index @/../x;"}) {
    INFO(line << "\n" << blog.in_location(line));
    CHECK((has(blog.in_location(line), "a visitor could choose the file") ||
        has(blog.in_location(line), "a path may not have '..'")));
  }
  CHECK(has(blog.in_location("rewrite ^ $arg_x break;"), "a replacement begins with '/'"));
  CHECK(has(blog.in_location("rewrite (?x)a#( (b) /$1 break;"), "which is not supported here"));
  CHECK_FALSE(has(blog.in_location("rewrite ^/u/(.*)$ /x/$1?y=$arg_z break;"), "line"));
}

TEST_CASE("[fault-1172] a server that a visitor could choose is named without the marks of this check") {
  const Blog blog;
  CHECK(has(blog.in_location("proxy_pass http://$arg_u;"),
      "'http://' and a variable: a visitor could choose the server"));
}

TEST_CASE("a certificate and its key are those of the site's own names [attack-A2]") {
  const Blog blog;
  for (const char* path :
      {"/etc/letsencrypt/live/shop.example/privkey.pem", "/var/lib/chillbox/certs/shop/privkey.pem",
          "/etc/ssl/private/ssl-cert-snakeoil.key", "/srv/blog/root/x.pem", "/var/lib/blog/x/x.pem",
          "data:x", "engine:x", "/etc/letsencrypt/live/example.org/../shop.example/privkey.pem",
          "$ssl_server_name.pem"}) {
    INFO(path);
    CHECK(has(
        blog.in_server(cat("ssl_certificate_key ", path, ";")), "certificates and keys are below"));
    CHECK(has(blog.in_location(cat("proxy_ssl_certificate ", path, ";")),
        "certificates and keys are below"));
  }
}

TEST_CASE("host names are the site's own: none of another's, none by a pattern [attack-A2]") {
  const Blog blog;
  for (const char* server :
      {"shop.example", "example.org shop.example", "*.example", "~^.*$", "_", "\"\"", "$hostname",
          ".org", "*", "blog.example.org", "localhost", "www.*", "generation.chillbox.invalid"}) {
    const auto message = blog.refused(cat("server { server_name ", server, "; }"));
    INFO(server << "\n" << message);
    CHECK(has(message, "is not a name of this site: put it into domain_list"));
  }
  CHECK_FALSE(has(
      blog.refused("server { server_name EXAMPLE.org .example.org *.www.example.org; }"), "line"));
}

TEST_CASE("a port is listened on as a whole and for what it is for all sites [attack-A2]") {
  const Blog blog;
  const auto listens = [&](const char* how) { return blog.in_server(cat("listen ", how, ";")); };
  for (const char* how : {"127.0.0.1:80", "[::1]:80", "203.0.113.7:80", "203.0.113.7:8090",
           "localhost:80", "127.99.104.98:80"}) {
    INFO(how << "\n" << listens(how));
    CHECK(has(listens(how), "a site may listen only on a whole port"));
  }
  for (const char* how : {"80 default_server", "80 reuseport", "80 proxy_protocol", "80 backlog=1",
           "[::]:80 ipv6only=off", "8090 bind", "80 http2", "443 ssl quic", "80 so_keepalive=on"}) {
    INFO(how << "\n" << listens(how));
    CHECK(has(listens(how), "would apply to the port of all sites"));
  }
  CHECK(has(listens("80 ssl"), "port 80 has no TLS, for all sites"));
  CHECK(has(listens("443"), "port 443 has TLS, for all sites: add 'ssl'"));
  CHECK(has(listens("22"), "below 1024 sites may use only 80 and 443"));
  for (const char* how :
      {"unix:/run/x.sock", "example.org", "127.0.0.1", "[::1]", "*", "80:80:x"}) {
    INFO(how << "\n" << listens(how));
    CHECK(has(listens(how), "line 3: 'listen': "));
  }
  for (const char* how :
      {"80", "*:80", "[::]:80 ipv6only=on", "443 ssl http2", "8090", "127.0.0.1:8090"}) {
    INFO(how << "\n" << listens(how));
    CHECK_FALSE(has(listens(how), "line"));
  }
}

TEST_CASE("requests go on to the site's own services and to what the host allows, never where a visitor says [attack-A2]") {
  const Blog blog;
  const auto to = [&](const char* target) {
    return blog.in_location(cat("proxy_pass ", target, ";"));
  };
  for (const char* target :
      {"http://unix:/run/chillbox/hook.sock", "http://unix:/run/chillbox/control.sock:/",
          "http://unix:/run/chillbox/live/shop/web.sock", "http://169.254.169.254/latest/",
          "http://127.0.0.1:80", "http://127.0.0.1/", "http://localhost:22", "http://$host",
          "http://$http_x/", "http://$arg_x", "http://127.0.0.1:$arg_p/", "http://blog-web$arg_x",
          "http://127.0.0.1:2000$arg_x", "$arg_url", "http://shop-web",
          "http://shop-web.shop.chillbox.invalid", "http://chillbox_edge", "http://unix:$arg_x",
          "http://blog-web@10.0.0.1/", "http://generation.chillbox.invalid/",
          "http://immutable.chillbox.invalid/shop/immutable/x/", "http://api.partner.example:81",
          "http://10.0.0.7"}) {
    const auto message = to(target);
    INFO(target << "\n" << message);
    CHECK(has(message, "line 4: 'proxy_pass': "));
  }
  for (const char* target : {"http://blog-web", "http://blog-web/x?$args", "http://127.0.0.1:20001",
           "http://localhost:20001/$arg_x", "https://api.partner.example/v1/",
           "http://10.0.0.7:8080", "http://unix:/run/chillbox/live/blog/web.sock:/x/",
           "http://blog-web$request_uri"}) {
    INFO(target << "\n" << to(target));
    CHECK_FALSE(has(to(target), "line 4"));
  }
  CHECK(
      has(blog.in_location("fastcgi_pass 127.0.0.1:9000;"), "is not one of this site's services"));
  CHECK(has(blog.refused("upstream x { server 169.254.169.254; }"),
      "is not one of this site's services"));
  CHECK(
      has(blog.refused("upstream x { server api.partner.example resolve; }"), "sites may not use"));
  CHECK(has(
      blog.refused(
          "map $arg_b $b { default http://10.9.9.9; }\nserver { server_name example.org; location / { proxy_pass $b; } }"),
      "'10.9.9.9:80' is not one of"));
}

TEST_CASE("a name is free that only begins as those of NGINX's own variables do [fault-1200]") {
  const Blog blog;
  for (const auto* name : {"connection_upgrade", "upstream_app", "request_ok", "ssl_on",
           "time_zone", "date_ok", "cookie_domain_ok", "http_upgrade_to"}) {
    INFO(name);
    const auto text = blog.refused(cat("map $http_upgrade $", name,
        " { default upgrade; '' close; }\nserver { server_name example.org; location / { proxy_set_header Connection $",
        name, "; proxy_pass http://blog-web; } }"));
    CHECK(has(text, "not refused:"));
    CHECK(has(text, cat("Connection $cb_blog__", name, ";")));
  }
}

TEST_CASE("variables and zones of others are neither read nor taken [attack-A2]") {
  const Blog blog;
  CHECK(has(blog.in_location("return 200 $cb_shop__secret;"),
      "is neither a variable of NGINX nor one to which this template assigns a value"));
  CHECK(has(blog.in_location("set $uri /x;"), "is one of NGINX's own variables"));
  CHECK(has(
      blog.refused("map $host $http_cookie { default x; }"), "is one of NGINX's own variables"));
  CHECK(has(
      blog.refused("geo $remote_addr { default 127.0.0.1; }"), "is one of NGINX's own variables"));
  CHECK(has(blog.refused("server { server_name example.org; location ~ ^/(?<host>.*) { } }"),
      "is one of NGINX's own variables"));
  CHECK(
      has(blog.refused("map $host $chillbox_x { default x; }"), "is one of NGINX's own variables"));
  CHECK(has(blog.in_location("limit_req zone=chillbox_requests;"),
      "zone 'chillbox_requests' is not defined in this site's templates"));
  CHECK(has(blog.refused("limit_req_zone $uri zone=x:1g rate=1r/s;"),
      "zones of a site are at most 64m together"));
  CHECK(has(blog.refused("map $host $x { include /etc/shadow; }"),
      "'include' is not for sites in 'map'"));
  CHECK(has(
      blog.in_server("types { include /etc/shadow; }"), "'include' is not for sites in 'types'"));
  CHECK(has(blog.in_server("access_log /var/log/nginx/blog/a.log shop.format;"),
      "is not this template's"));
}

TEST_CASE("the administrator allows more by name") {
  Blog blog;
  blog.host.nginx_allow_directives = {"brotli"};
  blog.host.nginx_allow_variables = {"geoip2_country"};
  blog.host.nginx_allow_paths = {"/etc/nginx/fastcgi_params", "/mnt/media"};
  CHECK(has(blog.in_location("brotli on;"), "  brotli on;"));
  CHECK(has(blog.in_location("return 200 $geoip2_country;"), "return 200 $geoip2_country;"));
  CHECK(has(blog.in_location("include /etc/nginx/fastcgi_params;"),
      "include /etc/nginx/fastcgi_params;"));
  CHECK(has(blog.in_location("root /mnt/media/blog;"), "root /mnt/media/blog;"));
  CHECK(has(blog.in_location("root /mnt/mediaX;"), "may only be below"));
  CHECK(has(blog.in_location("include /mnt/media/../../etc/shadow;"), "line 4"));
}

TEST_CASE("all that is wrong is counted, the first is told with its line") {
  CHECK(has(Blog().refused("server {\n  server_name shop.example;\n  root /;\n}\n"),
      "line 2: 'server_name': 'shop.example' is not a name of this site"));
  CHECK(
      has(Blog().refused("server {\n  server_name shop.example;\n  root /;\n}\n"), "(and 1 more)"));
}
