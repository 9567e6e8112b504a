#include "catch.hpp"
#include "support.hpp"

#include "os/atomic_file.hpp"
#include "os/disk.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <thread>

using namespace chillbox;
using namespace chillbox::os;
using namespace os_test;

namespace {

const Owner k_me{::geteuid(), ::getegid()};

} // namespace

TEST_CASE("a file is written whole, with its mode, and nothing else stays in the directory") {
  const TempDir dir;
  REQUIRE(real_disk().write(dir / "a", "one", 0600, k_me));
  CHECK(slurp(dir / "a") == "one");
  CHECK(mode_of(dir / "a") == 0600);
  REQUIRE(real_disk().write(dir / "a", "two", 0644, k_me));
  CHECK(slurp(dir / "a") == "two");
  CHECK(mode_of(dir / "a") == 0644);
  CHECK(names(dir.path()) == std::vector<std::string>{"a"});
}

TEST_CASE("who reads while a file is replaced gets the old or the new text, never a part or nothing") {
  const TempDir dir;
  const std::string old(50'000, 'o'), fresh(50'000, 'n');
  REQUIRE(real_disk().write(dir / "a", old, 0600, k_me));
  std::atomic<bool> stop = false;
  std::atomic<int> torn = 0, reads = 0;
  std::thread reader([&] {
    while (!stop) {
      const Result<std::string> text = real_disk().read(dir / "a", 1 << 20);
      torn += !text || (*text != old && *text != fresh);
      ++reads;
    }
  });
  for (int i = 0; i < 20 || reads == 0; ++i) // on a busy machine the reader begins late
    REQUIRE(real_disk().write(dir / "a", i % 2 == 0 ? fresh : old, 0600, k_me));
  stop = true;
  reader.join();
  CHECK(torn == 0);
}

TEST_CASE("an atomic file that is not committed leaves nothing, also when its name is as long as names may be") {
  const TempDir dir;
  const std::string name(255, 'n');
  {
    Result<AtomicFile> file = AtomicFile::create(dir / name, 0600, k_me);
    REQUIRE(file);
    REQUIRE(file->write("text"));
    CHECK(names(dir.path()).size() == 1);
  }
  CHECK(names(dir.path()).empty());
  REQUIRE(real_disk().write(dir / name, "text", 0600, k_me));
  CHECK(names(dir.path()) == std::vector<std::string>{name});
}

TEST_CASE("[fault-91] the bytes are synced before the name changes: a failing sync leaves the old file") {
  const TempDir dir;
  spit(dir / "a", "old");
  CHECK(in_child([&](Report& r) {
    break_call(SYS_fsync, EIO);
    r.expect_error(real_disk().write(dir / "a", "new", 0600, k_me), Code::failure,
        "sync " + (dir / "a") + ": " + reason(EIO));
  }) == "");
  CHECK(slurp(dir / "a") == "old");
  CHECK(names(dir.path()) == std::vector<std::string>{"a"});
}

TEST_CASE("[fault-91] the name is synced before success is told") {
  const TempDir dir;
  CHECK(in_child([&](Report& r) {
    Result<AtomicFile> file = AtomicFile::create(dir / "a", 0600, k_me);
    r.expect_ok(file, "create");
    r.expect_ok(file->write("new"), "write");
    break_call(SYS_fsync, EIO, file->fd());
    r.expect_error(file->commit(), Code::failure, "sync " + dir.path() + ": " + reason(EIO));
  }) == "");
}

TEST_CASE("[fault-88] a full disk is told as no_space with what is free, and the old file stays") {
  if (!as_root())
    return;
  const TempDir dir;
  CHECK(in_child([&](Report& r) {
    private_tmpfs(dir.path(), "size=64k");
    r.expect_ok(real_disk().write(dir / "a", "old", 0600), "the first write");
    const std::string large(200'000, 'x');
    r.expect_error(real_disk().write(dir / "a", large, 0600), Code::no_space,
        "write " + (dir / "a") + ": no space left on device (");
    r.expect(slurp(dir / "a") == "old", "the old text stays");
    r.expect(names(dir.path()).size() == 1, "no temporary file stays");
  }) == "");
}

TEST_CASE("[fault-90] exhausted inodes are told as such") {
  if (!as_root())
    return;
  const TempDir dir;
  CHECK(in_child([&](Report& r) {
    private_tmpfs(dir.path(), "size=1m,nr_inodes=3");
    r.expect_ok(real_disk().write(dir / "a", "old", 0600), "the first write");
    r.expect_ok(real_disk().write(dir / "b", "old", 0600), "the second write");
    r.expect_error(
        real_disk().write(dir / "c", "x", 0600), Code::no_space, "(no inodes left of 3)");
    r.expect_error(real_disk().set_link("a", dir / "link"), Code::no_space, "no inodes left");
    const Result<Space> space = real_disk().space(dir.path());
    r.expect(space && space->total_inodes == 3 && space->free_inodes == 0 &&
            space->total_bytes == 1 << 20,
        "space says the same");
  }) == "");
}

TEST_CASE("[fault-89] quota, input/output and read-only errors leave the old file and no other") {
  struct Case {
    long call;
    int err;
    Code code;
    std::string text;
  };
  const Case cases[] = {{SYS_write, EDQUOT, Code::no_space, reason(EDQUOT)},
      {SYS_write, EIO, Code::failure, reason(EIO)},
      {SYS_fchmod, EROFS, Code::failure, reason(EROFS)},
      {SYS_renameat, EIO, Code::failure, "rename to "}};
  for (const Case& c : cases) {
    const TempDir dir;
    spit(dir / "a", "old");
    // The report is written with the call that fails: so by exit code.
    CHECK(exit_of([&] {
      break_call(c.call, c.err);
      const Result<void> written = real_disk().write(dir / "a", "new", 0600, k_me);
      return !written && written.error().code == c.code &&
              written.error().message.find(c.text) != std::string::npos
          ? 0
          : 1;
    }) == 0);
    CHECK(slurp(dir / "a") == "old");
    CHECK(names(dir.path()) == std::vector<std::string>{"a"});
  }
}

TEST_CASE("who may not write is told what and where") {
  if (!as_root())
    return;
  const TempDir dir;
  CHECK(in_child([&](Report& r) {
    r.expect(::setuid(65534) == 0, "become nobody");
    r.expect_error(
        real_disk().write(dir / "a", "x", 0600), Code::denied, dir.path() + ": permission denied");
    r.expect_error(
        real_disk().make_dir(dir / "d", 0755), Code::denied, "make directory " + (dir / "d"));
    r.expect_error(real_disk().list(dir.path()), Code::denied, "list " + dir.path());
    r.expect_error(real_disk().set_link("x", dir / "l"), Code::denied, dir.path());
  }) == "");
}

TEST_CASE("read says too_large, not_found and not a regular file, and does not wait for a fifo's writer") {
  const TempDir dir;
  spit(dir / "a", "12345");
  CHECK(real_disk().read(dir / "a", 5).value() == "12345");
  CHECK(real_disk().read(dir / "a", 4).error().code == Code::too_large);
  CHECK(real_disk().read(dir / "none", 4).error().code == Code::not_found);
  CHECK(real_disk().read(dir.path(), 4).error().code == Code::invalid);
  REQUIRE(::mkfifo((dir / "fifo").c_str(), 0600) == 0);
  CHECK(real_disk().read(dir / "fifo", 4).error().code == Code::invalid);
}

TEST_CASE("tail gives the end behind an offset, and all of a file that was rotated meanwhile") {
  const TempDir dir;
  CHECK(real_disk().size(dir / "log") == 0);
  spit(dir / "log", "0123456789");
  CHECK(real_disk().size(dir / "log") == 10);
  CHECK(real_disk().tail(dir / "log", 4, 100).value() == "456789");
  CHECK(real_disk().tail(dir / "log", 4, 3).value() == "789");
  CHECK(real_disk().tail(dir / "log", 10, 3).value().empty());
  CHECK(real_disk().tail(dir / "log", 50, 100).value() == "0123456789");
  CHECK(real_disk().tail(dir / "none", 0, 100).error().code == Code::not_found);
}

TEST_CASE("a link is switched in one moment: a reader never misses it") {
  const TempDir dir;
  REQUIRE(real_disk().set_link("one", dir / "live"));
  std::atomic<bool> stop = false;
  std::atomic<int> missed = 0;
  std::thread reader([&] {
    while (!stop) {
      const auto target = real_disk().read_link(dir / "live");
      missed += !target || !*target || (**target != "one" && **target != "two");
    }
  });
  for (int i = 0; i < 30; ++i)
    REQUIRE(real_disk().set_link(i % 2 == 0 ? "two" : "one", dir / "live"));
  stop = true;
  reader.join();
  CHECK(missed == 0);
  CHECK(names(dir.path()) == std::vector<std::string>{"live"});
}

TEST_CASE("a switch that fails leaves the link as it was") {
  const TempDir dir;
  REQUIRE(real_disk().set_link("one", dir / "live"));
  CHECK(in_child([&](Report& r) {
    break_call(SYS_renameat, EIO);
    r.expect_error(real_disk().set_link("two", dir / "live"), Code::failure,
        "link " + (dir / "live") + ": " + reason(EIO));
  }) == "");
  CHECK(real_disk().read_link(dir / "live").value() == "one");
  CHECK(names(dir.path()) == std::vector<std::string>{"live"});
}

TEST_CASE("a link over a directory is refused and leaves no temporary link") {
  const TempDir dir;
  REQUIRE(::mkdir((dir / "d").c_str(), 0755) == 0);
  CHECK_FALSE(real_disk().set_link("x", dir / "d"));
  CHECK(names(dir.path()) == std::vector<std::string>{"d"});
}

TEST_CASE("read_link tells no link from something that is not a link") {
  const TempDir dir;
  CHECK(real_disk().read_link(dir / "none").value() == std::nullopt);
  spit(dir / "a", "");
  CHECK(real_disk().read_link(dir / "a").error().code == Code::invalid);
}

TEST_CASE("make_dir makes parents, and sets the mode of what is there already; a link in its place is refused") {
  const TempDir dir;
  REQUIRE(real_disk().make_dir(dir / "a/b/c", 0750, k_me));
  CHECK(mode_of(dir / "a/b/c") == 0750);
  CHECK(mode_of(dir / "a/b") == 0755);
  REQUIRE(real_disk().make_dir(dir / "a/b/c", 0700, k_me));
  CHECK(mode_of(dir / "a/b/c") == 0700);
  REQUIRE(::symlink("a", (dir / "link").c_str()) == 0);
  CHECK_FALSE(real_disk().make_dir(dir / "link", 0777, k_me));
  CHECK(mode_of(dir / "a") == 0755);
  spit(dir / "file", "");
  CHECK_FALSE(real_disk().make_dir(dir / "file", 0755, k_me));
  CHECK_FALSE(real_disk().make_dir(dir / "file/below", 0755, k_me));
}

TEST_CASE("root gives files and directories away, also those that are there") {
  if (!as_root())
    return;
  const TempDir dir;
  REQUIRE(real_disk().write(dir / "a", "x", 0640, Owner{65534, 65534}));
  REQUIRE(real_disk().make_dir(dir / "d", 0750, Owner{65534, 65534}));
  for (const char* name : {"a", "d"}) {
    struct stat st{};
    REQUIRE(::stat((dir / name).c_str(), &st) == 0);
    CHECK(st.st_uid == 65534);
    CHECK(st.st_gid == 65534);
  }
}

TEST_CASE("rename and remove: gone already is fine for remove only") {
  const TempDir dir;
  spit(dir / "a", "x");
  REQUIRE(::mkdir((dir / "d").c_str(), 0755) == 0);
  REQUIRE(real_disk().rename(dir / "a", dir / "d/b"));
  CHECK(slurp(dir / "d/b") == "x");
  CHECK(real_disk().rename(dir / "a", dir / "c").error().code == Code::not_found);
  REQUIRE(real_disk().remove(dir / "d/b"));
  REQUIRE(real_disk().remove(dir / "d/b"));
  CHECK_FALSE(real_disk().remove(dir / "d"));
  CHECK_FALSE(real_disk().exists(dir / "d/b"));
}

TEST_CASE("list is sorted, and empty for a directory that is not there") {
  const TempDir dir;
  for (const char* name : {"b", "c", "a", ".h"})
    spit(dir / name, "");
  CHECK(real_disk().list(dir.path()).value() == std::vector<std::string>{".h", "a", "b", "c"});
  CHECK(real_disk().list(dir / "none").value().empty());
  CHECK_FALSE(real_disk().list(dir / "a"));
}

TEST_CASE("append adds and makes the file, and does not follow a link") {
  const TempDir dir;
  REQUIRE(real_disk().append(dir / "log", "one\n", 0640));
  REQUIRE(real_disk().append(dir / "log", "two\n", 0640));
  CHECK(slurp(dir / "log") == "one\ntwo\n");
  REQUIRE(::symlink("log", (dir / "link").c_str()) == 0);
  CHECK_FALSE(real_disk().append(dir / "link", "three\n", 0640));
  CHECK(slurp(dir / "log") == "one\ntwo\n");
}

TEST_CASE("what a power cut left behind is swept, and nothing else") {
  const TempDir dir;
  Result<AtomicFile> file = AtomicFile::create(dir / "a", 0600, k_me);
  REQUIRE(file);
  const std::string stale = names(dir.path()).at(0);
  spit(dir / "a.tmp.12345678", "no dot in front");
  spit(dir / ".a.tmp.1234567g", "no token");
  spit(dir / ".tmp.12345678", "no name");
  CHECK(real_disk().list(dir.path()).value().size() == 4);
  sweep_temporaries(dir.path(), "b");
  CHECK(names(dir.path()).size() == 4);
  sweep_temporaries(dir.path(), "a");
  CHECK_FALSE(real_disk().exists(dir / stale));
  CHECK(names(dir.path()).size() == 3);
  sweep_temporaries(dir / "none");
}

TEST_CASE("[fault-1215] what is short of a disk, in one wording: space under the reserve, else inodes") {
  const auto text = [](uint64_t bytes, uint64_t inodes) {
    return shortage_of({"/var",
                           {.free_bytes = bytes * 1'000'000,
                               .total_bytes = 100'000'000,
                               .free_inodes = inodes,
                               .total_inodes = 1000}},
        5);
  };
  CHECK(text(4, 5) ==
      "/var: 4.0 MB of 100.0 MB free, less than the reserve of 5 %: deploys are refused");
  CHECK(text(5, 19) == "/var: 19 of 1000 inodes free");
  CHECK(text(5, 20).empty());
  CHECK(shortage_of({"/var", {.free_bytes = 9, .total_bytes = 9}}, 5).empty());
}
