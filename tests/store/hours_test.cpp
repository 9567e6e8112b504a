// The history of sites by the hour: sums, a week, and nothing of a site that is gone.
#include "store/hours.hpp"

#include "scratch.hpp"

using namespace chillbox;
using namespace chillbox::store;

namespace {

constexpr int64_t k_now = 499'000; // an hour since 1970

SiteHour row(int64_t hour, uint64_t requests, const std::string& of = "blog") {
  return {.site = of,
      .hour = hour,
      .requests = requests,
      .errors = 1,
      .sent = 100,
      .cpu_ms = 10,
      .memory = requests,
      .times = {requests, 0, 2}};
}

Store with_site(const Scratch& scratch) {
  Store store = scratch.open();
  must(store.put_site(SiteRow{.site = site()}));
  return store;
}

} // namespace

TEST_CASE("what is counted in an hour is added to its row; memory is the most that was seen") {
  const Scratch scratch;
  Store store = with_site(scratch);
  must(add_hours(store, {row(k_now, 5), row(k_now - 1, 1)}));
  must(add_hours(store, {row(k_now, 3)}));
  const auto all = must(hours_since(store, k_now - 10));
  REQUIRE(all.size() == 2);
  CHECK(all[0].hour == k_now - 1);
  CHECK(all[1].requests == 8);
  CHECK(all[1].errors == 2);
  CHECK(all[1].sent == 200);
  CHECK(all[1].cpu_ms == 20);
  CHECK(all[1].memory == 5);
  CHECK(all[1].times == std::vector<uint64_t>{8, 0, 4});
  CHECK(must(hours_since(store, k_now)).size() == 1);
}

TEST_CASE("a week is kept, and of a site that was removed nothing") {
  const Scratch scratch;
  Store store = with_site(scratch);
  for (int64_t hour = k_now - 2 * k_hours_kept; hour <= k_now; ++hour)
    must(add_hours(store, {row(hour, 1)}));
  CHECK(must(hours_since(store, 0)).size() == static_cast<size_t>(k_hours_kept));
  must(store.delete_site(site()));
  CHECK(must(hours_since(store, 0)).empty());
  must(add_hours(store, {row(k_now, 1)})); // of a look that began before
  CHECK(must(hours_since(store, 0)).empty());
}
