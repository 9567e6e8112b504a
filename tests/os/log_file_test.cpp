#include "catch.hpp"
#include "support.hpp"

#include "base/fd.hpp"
#include "os/disk.hpp"
#include "os/log_file.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

using namespace chillbox;
using namespace chillbox::os;
using namespace os_test;

TEST_CASE("a log is rotated under a writer that holds it open: nothing is lost, the newest stands in .1, the oldest goes") {
  const TempDir dir;
  const std::string log = dir / "api.log";
  const Fd writer(::open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640));
  for (const std::string_view text : {"one\n", "two\n", "three\n", "four\n"}) {
    REQUIRE(::write(writer.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size()));
    CHECK(rotate_by_copy(log, 2, 1000).value() == 0);
  }
  REQUIRE(::write(writer.get(), "five\n", 5) == 5);
  CHECK(slurp(log) == "five\n"); // no hole before it
  CHECK(slurp(log + ".1") == "four\n");
  CHECK(slurp(log + ".2") == "three\n");
  CHECK_FALSE(real_disk().exists(log + ".3"));
  struct stat info{};
  REQUIRE(::stat((log + ".1").c_str(), &info) == 0);
  CHECK((info.st_mode & 0777) == 0640);
}

TEST_CASE("of a log that grew too fast the last part is kept, and the rest is counted") {
  const TempDir dir;
  const std::string log = dir / "api.log";
  spit(log, std::string(900, 'a') + std::string(100, 'b'));
  CHECK(rotate_by_copy(log, 1, 100).value() == 900);
  CHECK(slurp(log + ".1") == std::string(100, 'b'));
  spit(log, "more");
  CHECK(rotate_by_copy(log, 0, 100).value() == 4); // none is kept
  CHECK(slurp(log).empty());
}

TEST_CASE("a log by name, for who opens it again; one that is gone is fine, a link is not followed") {
  const TempDir dir;
  const std::string log = dir / "access.log";
  spit(log, "one");
  CHECK(rotate_by_name(log, 2));
  CHECK_FALSE(real_disk().exists(log));
  CHECK(rotate_by_name(log, 2));
  CHECK(slurp(log + ".2") == "one");
  spit(dir / "else", "untouched");
  REQUIRE(::symlink((dir / "else").c_str(), (dir / "link.log").c_str()) == 0);
  CHECK_FALSE(rotate_by_copy(dir / "link.log", 2, 1000));
  CHECK(slurp(dir / "else") == "untouched");
}

TEST_CASE("[fault-99] on a full disk a log is cut without a copy, and what was dropped is counted") {
  if (!as_root())
    return;
  const TempDir dir;
  CHECK(in_child([&](Report& r) {
    private_tmpfs(dir.path(), "size=1m");
    const std::string log = dir / "api.log";
    const Fd fd(::open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640));
    const std::string block(4096, 'x');
    while (::write(fd.get(), block.data(), block.size()) > 0) {}
    const auto dropped = rotate_by_copy(log, 3, 10 << 20);
    r.expect(dropped && *dropped == 1 << 20, "all of it was dropped");
    r.expect(::write(fd.get(), "on\n", 3) == 3, "there is room again");
    r.expect(slurp(log) == "on\n" && !real_disk().exists(log + ".1"), "nothing half is left");
  }) == "");
}
