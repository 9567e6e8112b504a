#include "catch.hpp"
#include "support.hpp"

#include "os/clock.hpp"
#include "os/disk.hpp"
#include "os/known_files.hpp"

#include <filesystem>

using namespace chillbox;
using namespace chillbox::os;
using namespace os_test;

TEST_CASE("a known file is read again when another one has its place, and not before") {
  const TempDir dir;
  const std::string file = dir / "file";
  KnownFiles files;
  int reads = 0;
  const auto text = [&] {
    return files
        .text(file,
            [&] {
              ++reads;
              return real_disk().read(file, 100);
            })
        .value_or("none");
  };
  CHECK(text() == "none");
  REQUIRE(real_disk().write(file, "one", 0600));
  CHECK(text() == "one");
  CHECK(text() == "one");
  CHECK(reads == 3); // it could change again without another time
  real_clock().sleep(Millis{1'100});
  CHECK(text() == "one");
  CHECK(reads == 4);
  CHECK(text() == "one");
  CHECK(reads == 4);
  REQUIRE(real_disk().write(file, "two", 0600));
  CHECK(text() == "two");
  std::filesystem::remove(file);
  CHECK(text() == "none");
}
