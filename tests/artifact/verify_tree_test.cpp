#include "catch.hpp"

#include "artifact/scratch.hpp"
#include "artifact/stager.hpp"

#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

using namespace chillbox;
using namespace chillbox::test;
using artifact::StageLimits;

namespace {

// A tree as a stager leaves it, in which a test then changes one thing.
struct Tree {
  Scratch scratch;
  std::string path = scratch / "tree";
  Tree() {
    for (const char* d : {"", "/b", "/b/sub"}) {
      ::mkdir((path + d).c_str(), 0755);
      ::chmod((path + d).c_str(), 0755);
    }
    add("b/a", 0644);
    add("b/sub/run", 0755);
    REQUIRE(::symlink("sub/run", (path + "/b/l").c_str()) == 0);
  }
  void add(const std::string& name, mode_t mode) const {
    write_file(cat(path, "/", name), "12345");
    ::chmod(cat(path, "/", name).c_str(), mode);
  }
  std::string at(const char* name) const { return cat(path, "/", name); }
  std::string says(const StageLimits& limits = {}, std::optional<uid_t> owner = geteuid()) const {
    const auto r = artifact::verify_tree(path, owner, limits);
    return r ? "" : cat(code_name(r.error().code), ": ", r.error().message);
  }
};

} // namespace

TEST_CASE("a tree as the policy wants it passes, and is counted [attack-T1]") {
  const Tree tree;
  const auto stats = artifact::verify_tree(tree.path, geteuid(), {});
  REQUIRE(stats);
  CHECK(stats->files == 2);
  CHECK(stats->directories == 2);
  CHECK(stats->links == 1);
  CHECK(stats->bytes == 10);
}

TEST_CASE("[fault-50] [fault-51] [fault-52] the verification finds what no stager of ours makes [attack-T3]") {
  const Tree tree;
  CHECK(tree.says() == "");
  SECTION("a hard link") {
    REQUIRE(::link(tree.at("b/a").c_str(), tree.at("b/again").c_str()) == 0);
    CHECK_SAYS(tree.says(), "has 2 hard links");
  }
  SECTION("a fifo") {
    REQUIRE(::mkfifo(tree.at("b/pipe").c_str(), 0644) == 0);
    CHECK_SAYS(tree.says(), "denied: staged tree: 'b/pipe' is neither file, folder nor symlink");
  }
  SECTION("devices and a socket") {
    REQUIRE(::mknod(tree.at("b/sock").c_str(), S_IFSOCK | 0644, 0) == 0);
    CHECK_SAYS(tree.says(), "denied: staged tree: 'b/sock' is neither file, folder nor symlink");
    for (const mode_t kind : {S_IFCHR, S_IFBLK}) {
      REQUIRE(::unlink(tree.at("b/sock").c_str()) == 0);
      if (::mknod(tree.at("b/sock").c_str(), kind | 0644, makedev(1, 3)) != 0)
        return; // not root
      CHECK_SAYS(tree.says(), "denied: staged tree: 'b/sock' is neither file, folder nor symlink");
    }
  }
  SECTION("setgid and sticky") {
    tree.add("b/su", 02755);
    CHECK_SAYS(tree.says(), "'b/su' has mode 2755");
    ::chmod(tree.at("b/su").c_str(), 01755);
    CHECK_SAYS(tree.says(), "'b/su' has mode 1755");
  }
  SECTION("setuid") {
    tree.add("b/su", 04755);
    CHECK_SAYS(tree.says(), "'b/su' has mode 4755");
  }
  SECTION("writable by all") {
    tree.add("b/w", 0666);
    CHECK_SAYS(tree.says(), "'b/w' has mode 0666");
  }
  SECTION("a folder writable by all") {
    ::chmod(tree.at("b/sub").c_str(), 0777);
    CHECK_SAYS(tree.says(), "'b/sub' has mode 0777");
  }
  SECTION("a link out") {
    REQUIRE(::symlink("/etc", tree.at("b/etc").c_str()) == 0);
    CHECK_SAYS(tree.says(), "'b/etc': absolute link target");
  }
  SECTION("a link that climbs") {
    REQUIRE(::symlink("../../../etc", tree.at("b/sub/etc").c_str()) == 0);
    CHECK_SAYS(tree.says(), "leaves the tree");
  }
  SECTION("a name with an escape sequence") {
    tree.add("b/\x1b[31m", 0644);
    CHECK_SAYS(tree.says(), "control character");
  }
  SECTION("another owner") {
    CHECK_SAYS(tree.says({}, geteuid() + 1), "belongs to another user");
    if (geteuid() == 0) {
      REQUIRE(::lchown(tree.at("b/sub/run").c_str(), 12345, 0) == 0);
      CHECK_SAYS(tree.says(), "'b/sub/run' belongs to uid 12345");
    }
  }
  SECTION("more than the limits") {
    CHECK_SAYS(tree.says({.entries = 4}), "too_large: ");
    CHECK(tree.says({.entries = 5}) == "");
    CHECK_SAYS(tree.says({.bytes = 9}), "too_large: ");
    CHECK(tree.says({.bytes = 10}) == "");
  }
  SECTION("the tree itself is a link") {
    REQUIRE(::symlink("tree", (tree.scratch / "linked").c_str()) == 0);
    CHECK_FALSE(artifact::verify_tree(tree.scratch / "linked", {}, {}));
  }
}
