#include "catch.hpp"
#include "support.hpp"

#include "base/text.hpp"
#include "os/disk.hpp"
#include "os/in_order.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstring>
#include <numeric>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

using namespace chillbox;
using namespace chillbox::os;
using namespace os_test;

namespace {

constexpr int k_many = 5000;

struct Numbered {
  int number;
  std::string text = {};
};

} // namespace

TEST_CASE("items that several threads work on are looked at one by one, in their order") {
  for (const int count : {0, 1, 31, 32, 33, k_many}) {
    std::vector<int> seen;
    const auto caller = std::this_thread::get_id();
    InOrder<Numbered> items(
        [](Numbered& item, Room&) -> Result<void> {
          item.text = std::to_string(item.number);
          return {};
        },
        [&](Numbered& item) -> Result<void> {
          CHECK(std::this_thread::get_id() == caller);
          CHECK(item.text == std::to_string(item.number));
          seen.push_back(item.number);
          return {};
        });
    for (int i = 0; i < count; ++i)
      REQUIRE(items.add({i}));
    REQUIRE(items.finish());
    std::vector<int> all(static_cast<size_t>(count));
    std::iota(all.begin(), all.end(), 0);
    CHECK(seen == all);
  }
}

TEST_CASE("what an item has in its room is there until it was looked at") {
  struct Bytes {
    char letter;
    std::string_view here = {};
  };
  size_t wrong = 0;
  InOrder<Bytes> items(
      [](Bytes& item, Room& room) -> Result<void> {
        const size_t size = std::min<size_t>(room.rest().size(), 20'000); // not all have any
        std::memset(room.rest().data(), item.letter, size);
        item.here = {room.rest().data(), size};
        room.took(size);
        return {};
      },
      [&](Bytes& item) -> Result<void> {
        wrong += item.here.find_first_not_of(item.letter) == std::string_view::npos ? 0 : 1;
        return {};
      });
  for (int i = 0; i < 1000; ++i)
    REQUIRE(items.add({static_cast<char>('a' + i % 26)}));
  REQUIRE(items.finish());
  CHECK(wrong == 0);
}

TEST_CASE("the first error in the order of the items is that of the whole, and nothing behind its batch is looked at") {
  for (const int bad : {0, 40, 4000}) {
    int last = -1;
    InOrder<Numbered> items(
        [&](Numbered& item, Room&) -> Result<void> {
          return item.number == bad || item.number == bad + 64
              ? fail(Code::denied, cat("number ", item.number))
              : Result<void>{};
        },
        [&](Numbered& item) -> Result<void> {
          last = item.number;
          return {};
        });
    Result<void> added;
    for (int i = 0; i < k_many && added; ++i)
      added = items.add({i});
    REQUIRE_FALSE(added);
    CHECK(added.error().message == cat("number ", bad));
    CHECK(last < bad);
  }
}

TEST_CASE("an exception in a thread is an error, and what is abandoned waits for its threads") {
  std::atomic<int> working = 0;
  {
    InOrder<Numbered> items(
        [&](Numbered& item, Room&) -> Result<void> {
          ++working;
          std::this_thread::sleep_for(std::chrono::microseconds(100));
          --working;
          if (item.number == 100)
            throw std::runtime_error("no memory");
          return {};
        },
        [](Numbered&) -> Result<void> { return {}; });
    Result<void> added;
    for (int i = 0; i < k_many && added; ++i)
      added = items.add({i});
    REQUIRE_FALSE(added);
    CHECK(has(added.error().message, "no memory"));
  }
  CHECK(working == 0);
}

namespace {

// More than one batch, over several directories, with files that do not fit in a room.
void make_wide_tree(const std::string& top) {
  REQUIRE(::mkdir(top.c_str(), 0755) == 0);
  for (int folder = 0; folder < 12; ++folder) {
    const std::string dir = cat(top, "/", folder);
    REQUIRE(::mkdir(dir.c_str(), 0755) == 0);
    for (int file = 0; file < 40; ++file)
      spit(cat(dir, "/", file), cat("file ", file, " of ", folder), file % 9 == 0 ? 0755 : 0644);
    spit(dir + "/large", std::string(static_cast<size_t>(60'000 * folder), 'x'), 0644);
    REQUIRE(::symlink("large", (dir + "/link").c_str()) == 0);
  }
}

const Owner k_wide_owner{::geteuid(), ::getegid()};

} // namespace

TEST_CASE("a tree of many files has one stamp and one digest, whoever reads which of them") {
  const TempDir dir;
  make_wide_tree(dir / "from");
  const auto stamp = real_disk().take_tree(dir / "from", k_wide_owner).value();
  CHECK(real_disk().copy_tree(dir / "from", dir / "old", k_wide_owner).value() == stamp);
  const std::string digest = real_disk().freeze_tree(dir / "old", k_wide_owner).value();
  CHECK(real_disk().tree_digest(dir / "old", k_wide_owner.uid).value() == digest);
  CHECK(real_disk()
            .copy_tree(dir / "from", dir / "new", k_wide_owner, {.like = dir / "old"})
            .value() == stamp);
  CHECK(real_disk().freeze_tree(dir / "new", k_wide_owner).value() == digest);
  struct stat st{};
  REQUIRE(::stat((dir / "new/11/large").c_str(), &st) == 0);
  CHECK(st.st_nlink == 2);
  CHECK(st.st_size == 660'000);
  CHECK(mode_of(dir / "new/11") == 0750);
  spit(dir / "new/7/large", std::string(60'000 * 7, 'y'), 0640); // its other name's bytes as well
  CHECK(real_disk().freeze_tree(dir / "new", k_wide_owner).value() != digest);
}

TEST_CASE("one file of many that cannot be copied or frozen is named, and the copy leaves nothing") {
  const TempDir dir;
  make_wide_tree(dir / "from");
  REQUIRE(::mkfifo((dir / "from/9/fifo").c_str(), 0644) == 0);
  auto copied = real_disk().copy_tree(dir / "from", dir / "to", k_wide_owner);
  CHECK(copied.error().code == Code::denied);
  CHECK(has(copied.error().message, "9/fifo: it is a fifo"));
  CHECK(names(dir.path()) == std::vector<std::string>{"from"});
  ::unlink((dir / "from/9/fifo").c_str());
  spit(dir / "outside", "secret", 0600);
  REQUIRE(::link((dir / "outside").c_str(), (dir / "from/5/stolen").c_str()) == 0);
  auto frozen = real_disk().freeze_tree(dir / "from", k_wide_owner);
  CHECK(frozen.error().code == Code::denied);
  CHECK(has(frozen.error().message, "5/stolen: it has 2 names"));
  CHECK(mode_of(dir / "outside") == 0600);
}
