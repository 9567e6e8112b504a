// What says the same elsewhere: the package's scripts and the page on how it works.
#include "catch.hpp"

#include "base/text.hpp"
#include "os/roles.hpp"

#include <fstream>
#include <iterator>
#include <set>

using namespace chillbox;
using namespace chillbox::os;

namespace {

std::string file(const std::string& path) {
  const std::string name = __FILE__;
  std::ifstream in(name.substr(0, name.rfind("tests/")) + path);
  std::string text{std::istreambuf_iterator<char>(in), {}};
  INFO(path);
  REQUIRE_FALSE(text.empty());
  return text;
}

} // namespace

TEST_CASE("the package makes the users and the group of the table") {
  const std::string script = file("apk/chillbox.pre-install"), recipe = file("apk/APKBUILD");
  for (const auto& user : k_host_users) {
    INFO(user.name);
    CHECK(script.find(cat(" ", user.name, ":", user.home)) != std::string::npos);
  }
  CHECK(script.find(cat("addgroup -S ", k_admin_group, " ")) != std::string::npos);
  CHECK(recipe.find(cat("pkgusers=\"", k_edge_user, " ", k_vault_user, " ", k_acme_user, " ",
            k_backup_user, " ", k_notify_user, " ", k_fetch_user, " ", k_courier_user, " ",
            k_ssh_user, "\"")) != std::string::npos);
  CHECK(recipe.find(cat("pkggroups=\"", k_edge_user, " ", k_admin_group, " ", k_vault_user, " ",
            k_acme_user, " ", k_backup_user, " ", k_notify_user, " ", k_fetch_user, " ",
            k_courier_user, " ", k_ssh_user, "\"")) != std::string::npos);
}

TEST_CASE("a directory comes after the one that it is in, and is named once") {
  std::set<std::string> seen;
  for (const auto& row : host_directories(Paths{""})) {
    INFO(row.path);
    CHECK(seen.insert(row.path).second);
    for (const auto& other : seen)
      CHECK_FALSE(other.starts_with(row.path + "/"));
    CHECK((row.mode & 022) == 0);
  }
}

TEST_CASE("each process has a row in DESIGN.md, and its users are named there") {
  const std::string page = file("agent/DESIGN.md");
  for (const Role* role : k_roles) {
    const std::string name(role->title.substr(role->title.find(": ") + 2));
    INFO(name);
    CHECK(page.find(cat("\n| ", name, " ")) != std::string::npos);
  }
  for (const auto& user : k_host_users)
    CHECK(page.find(std::string(user.name)) != std::string::npos);
}
