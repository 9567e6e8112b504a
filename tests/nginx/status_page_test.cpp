#include "sample.hpp"

#include "nginx/status_page.hpp"
#include "os/disk.hpp"

using namespace chillbox;
using namespace chillbox::nginx;

TEST_CASE("only a site that wants one has /.chillbox/status, in the default text and by what a template includes") {
  Sample s;
  auto in = s.input();
  const std::string location = "location = /.chillbox/status {";
  CHECK_FALSE(has(render_site(in).value(), location));
  s.site.status_page = true;
  in = s.input();
  const auto text = render_site(in).value();
  CHECK(has(text, location));
  CHECK(has(text, "root /run/chillbox/status;\n    try_files /blog.html =404;"));
  in.templates = {{"blog.nginx.conf.template", "server {\n  include blog.ssl_cert.include;\n}\n"}};
  CHECK(has(render_site(in).value(), location));
  in.templates = {{"blog.nginx.conf.template", "server {\n  listen 80;\n}\n"}};
  CHECK_FALSE(has(render_site(in).value(), location));
}

TEST_CASE("[attack-G33] a status page is a word and a time of ours, whatever the site is called and its operators say; no script runs in it") {
  Sample s;
  s.site.status_page = true;
  s.site.title = "<script>alert(1)</script>";
  s.site.version = Version::parse("6.6.6").value();
  const auto location = status_location(s.input());
  CHECK(has(location,
      "Content-Security-Policy \"default-src 'none'; style-src 'unsafe-inline'; sandbox\" always"));
  CHECK(has(location, "    allow all;\n    auth_basic off;\n    auth_request off;\n"));
  CHECK_FALSE(has(location, "script"));
  CHECK_FALSE(has(location, "6.6.6"));
  const Root root;
  const os::Paths paths{root.path};
  auto& disk = os::real_disk();
  REQUIRE(keep_status_page(disk, paths, name(), render_site(s.input()).value()));
  for (const auto state : {PublicState::unknown, PublicState::up, PublicState::partly,
           PublicState::down, PublicState::maintenance}) {
    REQUIRE(write_status_page(disk, paths, name(), state, 1'764'000'000));
    const auto page = get(status_dir(paths) + "/blog.html");
    CHECK_FALSE(has(page, "script"));
    CHECK_FALSE(has(page, "6.6.6"));
    CHECK_FALSE(has(page, "blog"));
  }
}

TEST_CASE("a status page says since when, and is written when the state is another one; it goes with the choice") {
  Sample s;
  s.site.status_page = true;
  const Root root;
  const os::Paths paths{root.path};
  auto& disk = os::real_disk();
  const auto text = render_site(s.input()).value();
  const std::string file = status_dir(paths) + "/blog.html";
  REQUIRE(keep_status_page(disk, paths, name(), text));
  CHECK(has(get(file), "<title>Starting<"));
  REQUIRE(write_status_page(disk, paths, name(), PublicState::up, 1'764'000'000));
  CHECK(has(get(file), "<title>Up<"));
  CHECK(has(get(file), "<time datetime=\"2025-11-24T16:00:00Z\">"));
  REQUIRE(write_status_page(disk, paths, name(), PublicState::up, 1'764'000'500));
  CHECK(has(get(file), "2025-11-24T16:00:00Z"));
  REQUIRE(keep_status_page(disk, paths, name(), text)); // another release
  CHECK(has(get(file), "<title>Up<"));
  REQUIRE(write_status_page(disk, paths, name(), PublicState::down, 1'764'000'500));
  CHECK(has(get(file), "2025-11-24T16:08:20Z"));
  REQUIRE(keep_status_page(disk, paths, name(), "server { }"));
  CHECK_FALSE(disk.exists(file));
  REQUIRE(
      write_status_page(disk, paths, name(), PublicState::up, 1'764'000'500)); // as a job ended it
  REQUIRE(keep_status_page(disk, paths, name(), "")); // of a site that has none
}
