#include "catch.hpp"

#include "artifact/encrypted.hpp"
#include "artifact/raw_tar.hpp"

#include <sys/stat.h>

using namespace chillbox;
using namespace chillbox::test;
using artifact::StageLimits;

namespace {

// The message of the refusal, "" when it was taken.
std::string refusal(const std::string& entries) {
  return Unpacked(entries + end()).error();
}

unsigned mode_of(const std::string& path) {
  struct stat st{};
  return lstat(path.c_str(), &st) == 0 ? st.st_mode & 07777 : 0;
}

} // namespace

TEST_CASE("a good archive comes out as it went in, from zstd, gzip or no compression") {
  const std::string big(700'000, 'b');
  const std::string tar = dir("blog") + file("blog/a", "hello") + file("blog/empty", "") +
      file("blog/run", "#!", 0755) + dir("blog/sub") + file("blog/sub/big", big) +
      alias("blog/link", "sub/big") + alias("blog/sub/up", "../a") + end();
  for (const std::string& plain : {tar, zstd(tar), gzip(tar)}) {
    const Unpacked u(plain);
    REQUIRE(u.error() == "");
    CHECK(u.read("blog/a") == "hello");
    CHECK(u.read("blog/empty").empty());
    CHECK(u.exists("blog/empty"));
    CHECK(u.read("blog/sub/big") == big);
    CHECK(u.read("blog/link") == big);
    CHECK(u.read("blog/sub/up") == "hello");
    CHECK(u.result->files == 4);
    CHECK(u.result->directories == 2);
    CHECK(u.result->links == 2);
    CHECK(u.result->bytes == 5 + 2 + big.size());
    CHECK(u.result->masked == 0);
    CHECK(mode_of(u.tree + "/blog/run") == 0755);
    CHECK(mode_of(u.tree + "/blog/a") == 0644);
  }
}

TEST_CASE("pax and GNU names, ids beyond octal, and folders that nobody named are taken") {
  const std::string longer = "blog/" + std::string(120, 'n');
  CHECK(Unpacked(pax(record("path", longer) + record("mtime", "1.5")) + file("x", "1") + end())
            .read(longer) == "1");
  CHECK(Unpacked(gnu_long(longer) + Header{.name = "x", .size = 1, .gnu = true}.bytes() +
            padded("2") + end())
            .read(longer) == "2");
  const std::string umlaut = "blog/größe";
  CHECK(Unpacked(pax(record("path", umlaut)) + file("x", "3") + end()).read(umlaut) == "3");
  CHECK(Unpacked(file(umlaut, "4") + end()).read(umlaut) == "4");
  CHECK(Unpacked(pax(record("comment", "of git archive"), 'g') + file("a/b/c", "5") + end())
            .read("a/b/c") == "5");
  const auto big_uid = [](std::string& b) {
    Header::put(b, 108, std::string("\x80\0\0\0\x49\x96\x02\xd2", 8));
  };
  CHECK(Unpacked(Header{.name = "a", .size = 1, .gnu = true, .patch = big_uid}.bytes() +
            padded("6") + end())
            .read("a") == "6");
  const auto prefix = [](std::string& b) { Header::put(b, 345, "some/where"); };
  CHECK(Unpacked(Header{.name = "a", .size = 1, .patch = prefix}.bytes() + padded("7") + end())
            .read("some/where/a") == "7");
  CHECK(Unpacked(file("a/b") + dir("a") + end()).error() == "");
}

TEST_CASE("[fault-48] names that are absolute, climb, or have empty or . components are refused") {
  CHECK_SAYS(refusal(file("../x")), "denied: '../x': '..' component");
  CHECK_SAYS(refusal(file("/abs")), "absolute name");
  CHECK_SAYS(refusal(file("a/../../x")), "'..' component");
  CHECK_SAYS(refusal(file("a//x")), "empty component");
  CHECK_SAYS(refusal(file("./a")), "'.' component");
  CHECK_SAYS(refusal(Header{.name = ".", .type = '5'}.bytes()), "'.' component");
  CHECK_SAYS(refusal(file("")), "empty name");
  CHECK_SAYS(refusal(dir("a/..")), "'..' component");
  CHECK_SAYS(refusal(pax(record("path", "../x")) + file("a")), "'..' component");
  CHECK_SAYS(refusal(gnu_long("/etc/passwd") + file("a")), "absolute name");
}

TEST_CASE("[fault-49] symlinks leave the tree in no way, and nothing is written through one") {
  CHECK_SAYS(refusal(alias("b/l", "/etc/passwd")), "absolute link target");
  CHECK_SAYS(refusal(alias("b/l", "../../x")), "leaves the tree");
  CHECK_SAYS(refusal(alias("b/l", "../x")),
      "leaves the tree"); // out of the top folder: among the releases later
  CHECK_SAYS(refusal(alias("l", "..")), "leaves the tree");
  CHECK_SAYS(refusal(alias("b/l", "")), "empty link target");
  // A chain: the first link alone is harmless, ".." after it climbs from where it leads to.
  CHECK_SAYS(refusal(alias("b/c/up", "..") + alias("b/c/out", "up/../../x")), "'..' only in front");
  CHECK_SAYS(refusal(alias("b/l", "sub") + file("b/l/x")), "lies in 'b/l', which is a link");
  CHECK_SAYS(
      refusal(dir("b/d") + alias("b/d", "elsewhere") + file("b/d/x")), "'b/d': appears twice");
  CHECK_SAYS(refusal(file("b/d/x") + alias("b/d", "elsewhere")), "'b/d': appears twice");
  CHECK_SAYS(refusal(pax(record("linkpath", "/etc")) + alias("b/l", "x")), "absolute link target");
  CHECK_SAYS(refusal(gnu_long("../../etc", 'K') + alias("b/l", "x")), "leaves the tree");

  const Unpacked late(
      alias("b/l", "a") + file("b/a", "1") + end()); // before its target, made after it
  CHECK(late.error() == "");
  CHECK(late.read("b/l") == "1");
}

TEST_CASE("[fault-50] hard links are refused") {
  CHECK_SAYS(refusal(file("b/a") + special("b/h", '1', "b/a")),
      "denied: tar, byte 1024: 'b/h' is a hard link");
}

TEST_CASE("[fault-51] devices, fifos and what else is no file are refused") {
  for (const char type : {'3', '4', '6', '7', 'Z', 's'})
    CHECK_SAYS(refusal(special("b/d", type)), "denied: ");
  CHECK_SAYS(refusal(special("b/d", '3')), "a character device");
  CHECK_SAYS(refusal(special("b/d", '6')), "a fifo");
}

TEST_CASE("[fault-52] modes become 0755 or 0644 and are counted") {
  const Unpacked u(file("a", "x", 04755) + file("b", "x", 02755) + file("c", "x", 0666) +
      file("d", "x", 0755) + file("e", "x", 0644) + file("f", "x", 0600) +
      Header{.name = "g/", .type = '5', .mode = 01777}.bytes() + end());
  REQUIRE(u.error() == "");
  CHECK(u.result->masked == 5);
  CHECK(mode_of(u.tree + "/a") == 0755);
  CHECK(mode_of(u.tree + "/b") == 0755);
  CHECK(mode_of(u.tree + "/c") == 0644);
  CHECK(mode_of(u.tree + "/f") == 0644);
  CHECK(mode_of(u.tree + "/g") == 0755);
}

TEST_CASE("[fault-53] owners in the archive mean nothing") {
  const auto owned = [](std::string& b) {
    Header::number(b, 108, 8, 4711);
    Header::number(b, 116, 8, 4711);
    Header::put(b, 265, "somebody");
    Header::put(b, 297, "some group");
  };
  const Unpacked u(pax(record("uid", "4712") + record("uname", "nobody")) +
      Header{.name = "a", .patch = owned}.bytes() + end());
  REQUIRE(u.error() == "");
  struct stat st{};
  REQUIRE(lstat((u.tree + "/a").c_str(), &st) == 0);
  CHECK(st.st_uid == geteuid());
  CHECK(st.st_gid == getegid());
}

TEST_CASE("[fault-54] sparse, multi-volume, dump, volume and name table entries are refused") {
  for (const char type : {'S', 'M', 'D', 'V', 'N', 'A', 'X'})
    CHECK_SAYS(refusal(special("b/d", type)), "'b/d' is a");
  // A GNU header of a common file with a sparse map in it, which GNU tar would follow.
  const auto map = [](std::string& b) { Header::put(b, 386, "00000001000"); };
  CHECK_SAYS(refusal(Header{.name = "a", .gnu = true, .patch = map}.bytes()), "fields of sparse");
}

TEST_CASE("[fault-55] doubles, files over folders and twins in case are refused") {
  CHECK_SAYS(refusal(file("b/a") + file("b/a")), "'b/a': appears twice");
  CHECK_SAYS(refusal(dir("b") + dir("b")), "'b': appears twice");
  CHECK_SAYS(refusal(dir("b/a") + file("b/a")), "'b/a': appears twice");
  CHECK_SAYS(refusal(file("b/a") + dir("b/a")), "'b/a': appears twice");
  CHECK_SAYS(refusal(file("b/a") + file("b/a/c")), "lies in 'b/a', which is a file");
  CHECK_SAYS(refusal(file("b/a") + file("b/A")), "'b/A': differs from 'b/a' only in case");
  CHECK_SAYS(refusal(file("b/x/1") + file("b/X/2")), "differs from 'b/x' only in case");
  CHECK_SAYS(refusal(alias("b/a", "c") + alias("b/a", "d")), "'b/a': appears twice");
}

TEST_CASE("[fault-56] names, paths and depth have their limits, and just below is taken") {
  const auto named = [](const std::string& name) {
    return Unpacked(pax(record("path", name)) + file("x") + end()).error();
  };
  std::string path = "p";
  while (path.size() + 101 <= 1024)
    path += "/" + std::string(100, 'd');
  path += "/" + std::string(1024 - path.size() - 1, 'd');
  CHECK(path.size() == 1024);
  CHECK(named(path) == "");
  CHECK_SAYS(named(path + "d"), "name of 1025 bytes, the limit is 1024");
  CHECK(named("a/" + std::string(255, 'n')) == "");
  CHECK_SAYS(named("a/" + std::string(256, 'n')), "component of 256 bytes, the limit is 255");
  std::string deep = "d";
  for (int i = 1; i < 32; ++i)
    deep += "/d";
  CHECK(named(deep) == "");
  CHECK_SAYS(named(deep + "/d"), "33 levels deep, the limit is 32");
  CHECK_SAYS(refusal(gnu_long(std::string(3000, 'n')) + file("a")), "a name of 3001 bytes");
}

TEST_CASE("[fault-62] control characters and bad UTF-8 are refused, odd names are not") {
  for (const char* bad : {"b/a\nb", "b/\x1b[31m", "b/\x7f", "b/\xc2\x85", "b/\r"})
    CHECK_SAYS(refusal(file(bad)), "control character in the name");
  CHECK_SAYS(refusal(file("b/\xff\xfe")), "name is not UTF-8");
  CHECK_SAYS(refusal(file("b/\xed\xa0\x80")), "name is not UTF-8");
  CHECK_SAYS(refusal(alias("b/l", "a\nb")), "control character in the link target");
  const Unpacked odd(file("-rf", "1") + file("$(reboot)", "2") + file("a b'\"`*", "3") + end());
  REQUIRE(odd.error() == "");
  CHECK(odd.read("-rf") == "1");
  CHECK(odd.read("$(reboot)") == "2");
  // No message shows a terminal what it would obey.
  CHECK(refusal(file("b/\x1b[31m")).find('\x1b') == std::string::npos);
}

TEST_CASE("[fault-63] extended attributes, ACLs and capabilities are refused, so never set") {
  CHECK_SAYS(refusal(pax(record("SCHILY.xattr.security.capability", "x")) + file("a")),
      "pax key 'SCHILY.xattr.security.capability'");
  CHECK_SAYS(refusal(pax(record("LIBARCHIVE.xattr.user.x", "eA==")) + file("a")), "is not allowed");
  CHECK_SAYS(refusal(pax(record("SCHILY.acl.access", "user::rwx")) + file("a")), "is not allowed");
}

TEST_CASE("an archive with nothing in it, and what is no archive, are refused") {
  CHECK_SAYS(Unpacked(end()).error(), "it is empty");
  CHECK_SAYS(Unpacked(std::string(2000, 'x')).error(), "not a tar archive");
  CHECK_SAYS(Unpacked(zstd(std::string(2000, 'x'))).error(), "not a tar archive");
  CHECK_SAYS(Unpacked("").error(), "not an archive");
  CHECK_SAYS(Unpacked("PK\x03\x04 a zip archive").error(), "tar");
}
