// Which names of a release will answer on http only, as a plan says it.
#include "catch.hpp"

#include "base/text.hpp"
#include "os/disk.hpp"
#include "tls/plan.hpp"

using namespace chillbox;

namespace {

std::vector<std::string> plain(
    const std::string& members, std::string_view nginx = "", const std::string& acme = "") {
  const auto slug = SiteName::parse("blog").value();
  const auto site = config::parse_site(
      cat(R"({"name":"blog","version":"1.0.0","services":[{"name":"web","lang":"static"}],)",
          members, "}"),
      slug);
  INFO((site ? "" : site.error().message));
  REQUIRE(site);
  config::HostConfig host;
  if (!acme.empty())
    host.tls.acme = acme;
  std::vector<std::string> found;
  for (const auto& [name, why] :
      tls::plain_names(*site, nginx, os::real_disk(), os::Paths("/nonexistent"), host))
    found.push_back(cat(name, ": ", why));
  return found;
}

using Names = std::vector<std::string>;
constexpr const char* k_world = R"("server_name":"blog.chillbox.org")";

} // namespace

TEST_CASE("a name that a CA can certify, and that the template has, is not plain") {
  CHECK(plain(k_world, "server { server_name blog.chillbox.org; }").empty());
}

TEST_CASE("why no certificate will come: the site or the host says so, or no public CA knows the name") {
  CHECK(plain(cat(k_world, R"(,"tls":{"mode":"off"})")) ==
      Names{"blog.chillbox.org: \"tls\" in the site file is off"});
  CHECK(plain(k_world, "", "off") ==
      Names{"blog.chillbox.org: tls.acme is \"off\" in chillboxd.toml"});
  CHECK(plain(R"("server_name":"blog.example")").size() == 1);
  CHECK(plain(R"("server_name":"blog.example")", "", "https://ca.internal/dir").empty());
  CHECK(plain(cat(k_world, R"(,"tls":{"mode":"edge"})")).empty());
}

TEST_CASE("a wildcard needs DNS, and a template's further names are named") {
  CHECK(plain(cat(k_world, R"(,"aliases":["*.blog.chillbox.org"])")).size() == 1);
  const auto more = plain(k_world,
      "server { server_name blog.chillbox.org .blog.chillbox.org OLD.chillbox.org; }\n"
      "server { server_name *.blog.chillbox.org; }");
  CHECK(more.size() == 2);
  CHECK(more[0].starts_with("*.blog.chillbox.org: the site's NGINX template answers for it"));
  CHECK(more[1].starts_with("old.chillbox.org: "));
}
