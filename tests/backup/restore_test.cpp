// An unpacked archive as the data that it was made of.
#include "backup/data.hpp"

#include "backup/placing.hpp"

using namespace chillbox;
using namespace chillbox::backup;
using namespace chillbox::test;

namespace {

struct stat look(const std::string& path) {
  struct stat st{};
  CHECK(::lstat(path.c_str(), &st) == 0);
  return st;
}

// The archive's own words with others in their place.
void rewrite(const std::string& file, const std::string& from, const std::string& to) {
  std::string text = read_file(file);
  const size_t at = text.find(from);
  REQUIRE(at != std::string::npos);
  write_file(file, text.replace(at, from.size(), to));
}

} // namespace

TEST_CASE("what was backed up is put back with its names, modes, times and links") {
  Data data;
  {
    const Sqlite writer(data.file("a.db"));
    writer.run("CREATE TABLE t(x); INSERT INTO t VALUES(7)");
  }
  write_file(data.file("a.txt"), "hello");
  ::chmod(data.file("a.txt").c_str(), 04604);
  ::mkdir(data.file("shut").c_str(), 0700);
  write_file(data.file("shut/inner"), "inner");
  ::chmod(data.file("shut/inner").c_str(), 0400);
  const timespec times[2] = {{1'600'000'000, 0}, {1'600'000'000, 0}};
  ::utimensat(AT_FDCWD, data.file("shut").c_str(), times, 0);
  ::chmod(data.file("shut").c_str(), 0500);
  write_file(data.file("B"), "big");
  write_file(data.file("b"), "small");
  write_file(data.file("a\nb"), "newline");
  ::mkdir(data.file("o\nd").c_str(), 0755);
  write_file(data.file("o\nd/x"), "below");
  ::symlink("/etc/hostname", data.file("out").c_str());
  ::symlink("a.txt", data.file("in").c_str());
  must(data.take());
  data.unpack();
  const std::string dir = data.tree + "/blog", web = dir + "/data/web/";
  const auto report = must(place(dir));
  CHECK(report.damaged.empty());
  CHECK(report.head == "blog 7");
  CHECK(read_file(web + "a.txt") == "hello");
  CHECK((look(web + "a.txt").st_mode & 07777) == 0604); // never setuid
  CHECK((look(web + "shut").st_mode & 07777) == 0500);
  CHECK(look(web + "shut").st_mtime == 1'600'000'000);
  CHECK((look(web + "shut/inner").st_mode & 07777) == 0400);
  CHECK(look(web + "a.txt").st_mtime == look(data.file("a.txt")).st_mtime);
  CHECK(read_file(web + "B") == "big");
  CHECK(read_file(web + "b") == "small");
  CHECK(read_file(web + "a\nb") == "newline");
  CHECK(read_file(web + "o\nd/x") == "below");
  char target[64] = {};
  CHECK(::readlink((web + "out").c_str(), target, sizeof target) == 13);
  CHECK(std::string(target) == "/etc/hostname");
  CHECK(S_ISLNK(look(web + "in").st_mode));
  CHECK(must(store::examine_site_database(web + "a.db", true)).damage.empty());
  ::chmod(data.file("shut").c_str(), 0700);
  ::chmod((web + "shut").c_str(), 0700);
}

TEST_CASE("one digest that is not the manifest's, and nothing is put in its place [fault-764]") {
  Data data;
  write_file(data.file("a\nb"), "newline");
  write_file(data.file("c"), "whole");
  must(data.take());
  data.unpack();
  const std::string dir = data.tree + "/blog";
  write_file(dir + "/data/web/c", "other");
  const auto report = must(place(dir));
  REQUIRE(report.damaged.size() == 1);
  CHECK_SAYS(report.damaged[0], "data/web/c: its digest is not the manifest's");
  CHECK(::access((dir + "/data/web/a\nb").c_str(), F_OK) != 0);
}

TEST_CASE("a database that was damaged when it was backed up is put back as it was, and said [fault-765]") {
  Data data;
  write_file(data.file("b.db"), std::string("SQLite format 3\0", 16) + std::string(2000, 'y'));
  must(data.take());
  data.unpack();
  const auto report = must(place(data.tree + "/blog"));
  CHECK(report.damaged.empty());
  REQUIRE(report.remarks.size() == 1);
  CHECK_SAYS(report.remarks[0], "data/web/b.db: it was damaged when it was backed up");
  CHECK(read_file(data.tree + "/blog/data/web/b.db").size() == 2016);
}

TEST_CASE("a site without data, and one with a Redis: its dump is among the data [fault-766]") {
  Data data;
  write_file(data.file("a.txt"), "hello");
  must(data.take());
  data.unpack();
  const std::string dir = data.tree + "/blog";
  ::mkdir((dir + "/redis").c_str(), 0755);
  ::rename((dir + "/data/web/a.txt").c_str(), (dir + "/redis/dump.rdb").c_str());
  rewrite(dir + "/manifest.json", "data/web/a.txt\",\"sha", "redis/dump.rdb\",\"sha");
  REQUIRE(must(place(dir)).damaged.empty());
  CHECK(read_file(dir + "/data/redis/dump.rdb") == "hello");
}

TEST_CASE("[attack-Z22] a manifest that leads out of the data is refused, whatever signed it") {
  for (const char* path : {"data/../../x", "/etc/x", "data//x", "data/./x", "other/x",
           "data/web/../../../x", "redis/other", "manifest.json", ""}) {
    INFO(path);
    Data data;
    write_file(data.file("a\nb"), "newline");
    must(data.take());
    data.unpack();
    const std::string dir = data.tree + "/blog";
    const std::string text = read_file(dir + "/manifest.json");
    const std::string hex_of = hex(bytes_of(std::string("data/web/a\nb")));
    rewrite(dir + "/manifest.json", hex_of, hex(bytes_of(std::string(path))));
    const auto placed = place(dir);
    REQUIRE_FALSE(placed);
    CHECK(placed.error().code == Code::corrupt);
    CHECK_SAYS(placed.error().message, "is no place in the data");
    CHECK(::access((data.tree + "/x").c_str(), F_OK) != 0);
    CHECK(::access((data.scratch / "x").c_str(), F_OK) != 0);
  }
}

TEST_CASE("[attack-Z22] a member of an archive that the manifest names from elsewhere is refused") {
  Data data;
  write_file(data.file("a\nb"), "newline");
  must(data.take());
  data.unpack();
  const std::string dir = data.tree + "/blog";
  write_file(data.scratch / "mine", "newline");
  rewrite(dir + "/manifest.json", "\"member\":\"odd/", "\"member\":\"../../mine/../odd/");
  const auto placed = place(dir);
  CHECK((!placed || !placed->damaged.empty()));
  CHECK(::access((dir + "/data/web/a\nb").c_str(), F_OK) != 0);
}
