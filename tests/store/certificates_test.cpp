#include "scratch.hpp"

using namespace chillbox;
using namespace chillbox::store;

TEST_CASE("a certificate is read back as it was written, and outlives its site") {
  const Scratch scratch;
  {
    Store store = scratch.open();
    must(store.put_site(SiteRow{.site = site(), .live = "1.0.0-1"}));
    must(store.put_certificate({.id = "blog",
        .site = "blog",
        .state = "valid",
        .next_ms = 7,
        .wanted = {"a.example", "b.example"},
        .chain = "c",
        .key = "k",
        .pending = "{}",
        .facts = "{\"a\":1}"}));
    must(store.delete_site(site())); // the file goes first
  }
  Store store = scratch.open();
  const auto one = must(store.certificate("blog"));
  REQUIRE(one);
  CHECK(one->state == "valid");
  CHECK(one->next_ms == 7);
  CHECK(one->wanted == std::vector<std::string>{"a.example", "b.example"});
  CHECK((one->chain == "c" && one->key == "k" && one->pending == "{}"));
  CHECK(one->facts == "{\"a\":1}");
  must(store.put_certificate({.id = "_host"}));
  CHECK(must(store.certificates()).size() == 2);
  must(store.delete_certificate("blog"));
  CHECK_FALSE(must(store.certificate("blog")));
}

TEST_CASE("what a CA was asked for is remembered for its longest window, and no longer") {
  const Scratch scratch;
  Store store = scratch.open();
  constexpr int64_t k_day = 24LL * 3600 * 1000;
  const auto old = must(store.begin_certificate_order({0, "blog", {"a.example"}, 1, ""}));
  const auto second =
      must(store.begin_certificate_order({0, "blog", {"a.example"}, 7 * k_day, ""}));
  CHECK(second > old);
  must(store.end_certificate_order(second, "issued"));
  auto orders = must(store.certificate_orders(0));
  REQUIRE(orders.size() == 2);
  CHECK(orders[0].outcome == "begun"); // a crash loop counts
  CHECK(orders[1].outcome == "issued");
  CHECK(orders[1].names == std::vector<std::string>{"a.example"});
  CHECK(must(store.certificate_orders(7 * k_day)).size() == 1);
  must(store.begin_certificate_order({0, "shop", {}, 9 * k_day, ""}));
  orders = must(store.certificate_orders(0));
  REQUIRE(orders.size() == 2);
  CHECK(orders[0].seq == second);
}
