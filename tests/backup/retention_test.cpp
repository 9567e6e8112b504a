#include "catch.hpp"

#include "backup/records.hpp"
#include "backup/retention.hpp"
#include "control/messages.hpp"

#include <algorithm>

using namespace chillbox;
using namespace chillbox::backup;
using control::Backup;

namespace {

constexpr int64_t k_day = 24LL * 3600 * 1000;
constexpr int64_t k_start = 20'000 * k_day; // a Wednesday

// Serials 1 to `count`, one a day.
std::vector<Backup> daily(uint64_t count) {
  std::vector<Backup> all;
  for (uint64_t i = count; i > 0; --i)
    all.push_back({.site = SiteName::parse("blog").value(),
        .serial = i,
        .taken_ms = k_start + static_cast<int64_t>(i) * k_day,
        .stored_ms = 1});
  return all;
}

std::vector<uint64_t> kept(const std::vector<Backup>& all, std::string_view text) {
  config::Keep keep;
  REQUIRE(config::parse_keep(text, keep));
  const auto gone = superfluous(all, keep);
  std::vector<uint64_t> serials;
  for (const auto& b : all)
    if (std::ranges::find(gone, b.serial) == gone.end())
      serials.push_back(b.serial);
  return serials;
}

} // namespace

TEST_CASE("one of each of the newest days, weeks and months is kept") {
  const auto serials = kept(daily(200), "7d 4w 6m");
  CHECK(std::vector<uint64_t>(serials.begin(), serials.begin() + 7) ==
      std::vector<uint64_t>{200, 199, 198, 197, 196, 195, 194});
  CHECK(serials.size() ==
      14); // 7 days, which are of 2 weeks and 1 month; 2 more weeks, 5 more months
  CHECK(kept(daily(200), "1d") == std::vector<uint64_t>{200});
}

TEST_CASE("a keep that cannot be read is none") {
  config::Keep keep;
  for (const char* bad : {"", "7", "7x", "0d", "4w 7d", "7d 7d", "-1d", "7d  4w", "1001d"}) {
    INFO(bad);
    CHECK_FALSE(config::parse_keep(bad, keep));
  }
}

TEST_CASE("the newest and the newest that is proven are never deleted, whatever else is kept [fault-642]") {
  auto all = daily(30);
  all[20].proven_ms = 1; // serial 10
  all[25].proven_ms = 1; // serial 5
  CHECK(kept(all, "2d") == std::vector<uint64_t>{30, 29, 10});
  for (auto& b : all)
    b.taken_ms = k_start;
  CHECK(kept(all, "2d") == std::vector<uint64_t>{30, 10});
}

TEST_CASE("a clock that jumps back or ahead by a year deletes nothing by its dates [fault-643]") {
  auto all = daily(10);
  for (size_t i = 0; i < 3; ++i) // the newest three say that they are a year older
    all[i].taken_ms -= 365 * k_day;
  auto serials = kept(all, "4d");
  CHECK(serials == std::vector<uint64_t>{10, 9, 8, 7});
  for (size_t i = 0; i < 3; ++i)
    all[i].taken_ms += 2 * 365 * k_day;
  CHECK(kept(all, "4d") == std::vector<uint64_t>{10, 9, 8, 7});
}

TEST_CASE("what is not stored, or gone already, counts for nothing") {
  auto all = daily(5);
  all[0].stored_ms = 0;
  all[1].gone_ms = 1;
  CHECK(superfluous(all, {.days = 1}) == std::vector<uint64_t>{2, 1});
}

TEST_CASE("what is at the target is never forgotten, of what is gone the newest 200 are known [fault-1070]") {
  const Scratch scratch;
  auto store = must(store::Store::open(scratch / "state.db", 0));
  const auto blog = must(SiteName::parse("blog"));
  control::BackupList list{.target = {}, .key = {}, .sites = {}, .backups = daily(3'300)};
  size_t i = 0;
  for (auto& b : list.backups) {
    b.gone_ms = b.serial % 11 == 0 ? 1 : 0; // 300 of them
    b.sha256 = std::string(64, 'a');
    if (++i <= 200)
      b.warnings = std::string(25'000, 'w');
  }
  must(store.set_meta("backups blog", control::to_text(list)));
  Records records(store);
  must(records.put({.site = blog, .serial = 3'301, .taken_ms = k_start, .stored_ms = 1}));
  const auto all = must(records.of(blog)).backups;
  const auto gone = std::ranges::count_if(all, [](const Backup& b) { return b.gone_ms != 0; });
  CHECK(gone == 200);
  CHECK(all.size() - static_cast<size_t>(gone) == 3'001);
  CHECK(all.front().serial == 3'301);
  CHECK(all.back().serial == 1);
}
