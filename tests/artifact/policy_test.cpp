#include "catch.hpp"

#include "artifact/policy.hpp"

using namespace chillbox;
using artifact::check_link;
using artifact::check_path;

TEST_CASE("[fault-49] a link may lead anywhere inside its top folder, by real folders only") {
  for (const auto& [path, target] : {std::pair{"b/l", "a"}, {"b/c/l", "../a"}, {"b/c/l", "./d/e"},
           {"b/c/d/l", "../../x/y"}, {"l", "b"}, {"b/l", "."}})
    CHECK(check_link(path, target));
  for (const auto& [path, target] : {std::pair{"b/l", ".."}, {"b/l", "../b/a"}, {"l", "../x"},
           {"b/c/l", "../../b/a"}, {"b/c/l", "../../.."}, {"b/c/l", "d/../e"},
           {"b/c/l", "./.././x/.."}, {"b/l", "/b"}, {"b/l", "a//b"}, {"b/l", "a/"}, {"b/l", ""}})
    CHECK_FALSE(check_link(path, target));
}

TEST_CASE("[fault-48] a path is made of plain components") {
  for (const char* good : {"a", "a/b", "...", "a/..b", "a b/c", "~", "-"})
    CHECK(check_path(good));
  for (const char* bad : {"", "/", "a/", "/a", "a//b", ".", "..", "./a", "a/.", "a/..", "a/../b"})
    CHECK_FALSE(check_path(bad));
  CHECK_FALSE(check_path(std::string_view("a\0b", 3)));
}
