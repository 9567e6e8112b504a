#include "sample.hpp"

#include "nginx/scan.hpp"

using namespace chillbox;
using namespace chillbox::nginx;

namespace {

std::string printed(std::string_view main, std::string_view other = "") {
  return cat("# configuration file /etc/nginx/nginx.conf:\n", main,
      "\n\n# configuration file /etc/nginx/http.d/default.conf:\n", other, "\n");
}

} // namespace

TEST_CASE("the directory is the first known one that nginx.conf includes within http") {
  const auto debian = printed(
      "events { x 1; }\nhttp {\n  include /etc/nginx/mime.types;\n  # include /etc/nginx/http.d/*.conf;\n"
      "  include /etc/nginx/conf.d/*.conf;\n  include /etc/nginx/sites-enabled/*;\n}");
  CHECK(include_directory(scan_host(debian)) == "/etc/nginx/conf.d");
  const auto alpine =
      printed("include /etc/nginx/conf.d/*.conf;\nhttp { include /etc/nginx/http.d/*.conf; }");
  CHECK(include_directory(scan_host(alpine)) == "/etc/nginx/http.d");
  CHECK(include_directory(scan_host(printed("http { include sites-enabled/*; }"))) ==
      "/etc/nginx/sites-enabled");
  CHECK(include_directory(
      scan_host(printed(
          "include /etc/nginx/conf.d/*.conf; http { server { include /etc/nginx/http.d/*.conf; } }")))
          .empty());
  CHECK(include_directory(scan_host("")).empty());
}

TEST_CASE("another default server of the port is found by file, ours and other ports' are not") {
  const auto find = [](std::string_view listen, unsigned port = 80) {
    return default_server_file(
        scan_host(printed("http {}", cat("server {\n  ", listen, "\n}"))), port);
  };
  const std::string file = "/etc/nginx/http.d/default.conf";
  for (const char* yes : {"listen 80 default_server;", "listen [::]:80 default_server;",
           "listen 127.0.0.1:80 ssl default_server;", "listen *:80 default;",
           "listen localhost default_server;", "listen [::] default_server;",
           "listen \"80\"\n default_server;"})
    CHECK(find(yes) == file);
  for (const char* no : {"listen 80;", "listen 8080 default_server;",
           "listen unix:/run/x default_server;", "# listen 80 default_server;",
           "server_name default_server;", "add_header X 'listen 80 default_server;';"})
    CHECK(find(no).empty());
  CHECK(find("listen 8080 default_server;", 8080) == file);
  CHECK(default_server_file(
      scan_host(
          "# configuration file /etc/nginx/http.d/chillbox.conf:\nserver { listen 80 default_server; }"),
      80)
          .empty());
}

TEST_CASE("a setting is found in any file but ours") {
  CHECK(sets(
      scan_host(
          "# configuration file /etc/nginx/nginx.conf:\nhttp { server_names_hash_bucket_size 64; }"),
      "server_names_hash_bucket_size"));
  CHECK_FALSE(sets(
      scan_host(
          "# configuration file /etc/nginx/nginx.conf:\nhttp { # server_names_hash_bucket_size 64;\n }"),
      "server_names_hash_bucket_size"));
  CHECK_FALSE(sets(
      scan_host(
          "# configuration file /etc/nginx/conf.d/chillbox.conf:\nserver_names_hash_bucket_size 512;"),
      "server_names_hash_bucket_size"));
  CHECK(
      sets(scan_host(
               "# configuration file /etc/nginx/conf.d/timeouts.conf:\nclient_header_timeout 20s;"),
          "client_header_timeout"));
  CHECK_FALSE(sets(
      scan_host(
          "# configuration file /etc/nginx/conf.d/app.conf:\nserver { client_header_timeout 20s; }"),
      "client_header_timeout"));
}

TEST_CASE("quotes, braces in quotes and escapes do not confuse the scanner") {
  const auto all = scan(
      "# configuration file /n:\nhttp { map $a \"x{;}\" { \"~^\\\\d{2}$\" 'a;b'; } server { location ~ \"^/(?<s>[a-z]{0,3})\" { return 200 'it\\'s }'; } listen 81; } }");
  CHECK(all.back().words == std::vector<std::string>{"listen", "81"});
  CHECK(all.back().block == "http server");
}

TEST_CASE("of a whole host only what is asked for is kept, with its file and its blocks") {
  const auto all = scan_host(printed("pid /run/nginx.pid; http { types { text/css css; } }",
      "server { listen 80; add_header X y; location / { proxy_temp_path /var/t; root /srv; } }"));
  REQUIRE(all.size() == 3);
  CHECK(all[0].file == "/etc/nginx/nginx.conf");
  CHECK(all[1].block == "server");
  CHECK(all[2].words == std::vector<std::string>{"proxy_temp_path", "/var/t"});
  CHECK(all[2].block == "server location");
}
