#include "catch.hpp"
#include "support.hpp"

#include "os/clock.hpp"
#include "os/disk.hpp"
#include "os/log_index.hpp"
#include "os/log_writer.hpp"
#include "os/open_log.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

using namespace chillbox;
using namespace chillbox::os;
using namespace os_test;

namespace {

LogWriter writer(const TempDir& dir, uint64_t size, uint32_t keep) {
  return {
      Fd(::open(dir.path().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)), "api.log", size, keep};
}

} // namespace

TEST_CASE("a log is rotated by its writer: nothing is lost, the newest stands in .1, the oldest goes") {
  const TempDir dir;
  auto log = writer(dir, 4, 2);
  for (const char* line : {"one1\n", "two2\n", "three\n", "four\n"})
    log.append(line);
  CHECK(slurp(dir / "api.log") == "four\n");
  CHECK(slurp(dir / "api.log.1") == "three\n");
  CHECK(slurp(dir / "api.log.2") == "two2\n");
  CHECK_FALSE(real_disk().exists(dir / "api.log.3"));
  CHECK(mode_of(dir / "api.log") == 0640);
}

TEST_CASE("two writers of one log lose nothing to each other's rotations") {
  const TempDir dir;
  auto a = writer(dir, 40, 100), b = writer(dir, 40, 100);
  for (int i = 0; i < 50; ++i) {
    a.append("a" + std::to_string(i) + "\n");
    b.append("b" + std::to_string(i) + "\n");
  }
  std::string all;
  for (const auto& name : names(dir.path()))
    all += slurp(dir / name);
  for (int i = 0; i < 50; ++i)
    for (const char* who : {"a", "b"}) {
      const std::string line = who + std::to_string(i) + "\n";
      CHECK(all.find(line) != std::string::npos);
    }
  CHECK(names(dir.path()).size() > 3);
}

TEST_CASE("a line is not cut by a rotation, a log without lines is; none is kept when none is asked for") {
  const TempDir dir;
  auto log = writer(dir, 4, 1);
  log.append("a line in ");
  log.append("two parts\n");
  CHECK(slurp(dir / "api.log") == "a line in two parts\n");
  log.append("x\n");
  CHECK(slurp(dir / "api.log.1") == "a line in two parts\n");
  log.append(std::string(4 + 64 * 1024, 'y'));
  log.append("z");
  CHECK(slurp(dir / "api.log") == "z");
  auto none = writer(dir, 1, 0);
  none.append("\n");
  none.append("last\n");
  CHECK(slurp(dir / "api.log") == "last\n");
}

TEST_CASE("[fault-99] a full disk costs lines, says how many bytes, and stops nobody") {
  if (!as_root())
    return;
  const TempDir dir;
  CHECK(in_child([&](Report& r) {
    private_tmpfs(dir.path(), "size=64k");
    spit(dir / "filler", std::string(56 * 1024, 'x'));
    auto log = writer(dir, 1 << 20, 1);
    for (int i = 0; i < 20; ++i)
      log.append(std::string(1023, 'a') + "\n");
    r.expect(log.dropped() >= 10 * 1024, "what does not fit is counted");
    const uint64_t dropped = log.dropped();
    ::unlink((dir / "filler").c_str());
    log.append("again\n");
    r.expect(log.dropped() == 0, "told");
    r.expect(has(slurp(dir / "api.log"),
                 "no room for " + std::to_string(dropped) + " bytes that came here\nagain\n"),
        slurp(dir / "api.log"));
  }) == "");
}

TEST_CASE("a link in place of the log is not written through") {
  const TempDir dir;
  spit(dir / "else", "untouched");
  REQUIRE(::symlink("else", (dir / "api.log").c_str()) == 0);
  auto log = writer(dir, 100, 1);
  log.append("line\n");
  CHECK(log.dropped() == 5);
  CHECK(slurp(dir / "else") == "untouched");
}

namespace {

std::vector<LogMark> marks_in(const std::string& log) {
  return decode_marks(slurp(log + ".at"), slurp(log).size());
}

} // namespace

TEST_CASE("a log has marks of when and from which release its lines came, and they are rotated with it") {
  const TempDir dir;
  LogWriter one(Fd(::open(dir.path().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)), "api.log", 1000,
      2, release_number("1.2-7")),
      other(Fd(::open(dir.path().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)), "api.log", 1000, 2,
          release_number("1.3-8"));
  const int64_t before = real_clock().wall_ms();
  one.append("first\n");
  one.append("second\n"); // so soon after the first that it has none of its own
  other.append("third\n");
  one.append("fourth\n");
  const auto marks = marks_in(dir / "api.log");
  REQUIRE(marks.size() == 3);
  CHECK(marks[0].offset == 0);
  CHECK(marks[0].release == 7);
  CHECK(marks[0].ms >= before);
  CHECK(marks[0].ms <= real_clock().wall_ms());
  CHECK(marks[1].offset == 13);
  CHECK(marks[1].release == 8);
  CHECK(marks[2].release == 7);
  one.append(std::string(1000, 'x') + "\n");
  one.append("new\n");
  CHECK(marks_in(dir / "api.log").size() == 1);
  CHECK(marks_in(dir / "api.log.1").size() == 3);
  CHECK(mode_of(dir / "api.log.at") == 0640);
}

TEST_CASE("[fault-721] marks begin again when the log was emptied, or another one has its name") {
  const TempDir dir;
  auto log = writer(dir, 1000, 2);
  log.append("one\n");
  REQUIRE(::truncate((dir / "api.log").c_str(), 0) == 0);
  log.append("2\n");
  CHECK(marks_in(dir / "api.log").size() == 1);
  REQUIRE(::unlink((dir / "api.log").c_str()) == 0);
  log.append("three\n");
  const auto marks = marks_in(dir / "api.log");
  REQUIRE(marks.size() == 1);
  CHECK(marks[0].offset == 0);
}

TEST_CASE("two processes that write a byte in turn cannot fill the disk with marks [attack-F10]") {
  const TempDir dir;
  auto a = writer(dir, 4000, 1), b = writer(dir, 4000, 1);
  const auto size_of = [&](const char* name) { return slurp(dir / name).size(); };
  for (int i = 0; i < 3000; ++i) { // lines that do not end
    a.append("a");
    b.append("b");
    REQUIRE(size_of("api.log.at") <= 4000 / 4 + 48);
  }
  for (int i = 0; i < 3000; ++i) {
    a.append("\n");
    b.append("\n");
    REQUIRE(size_of("api.log.at") <= 4000 / 4 + 48);
    REQUIRE(size_of("api.log.1.at") <= 4000 / 4 + 48);
  }
}
