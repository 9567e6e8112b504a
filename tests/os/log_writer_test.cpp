#include "catch.hpp"
#include "support.hpp"

#include "os/disk.hpp"
#include "os/log_writer.hpp"

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
