// Who signed what, and what is never good again.
#include "scratch.hpp"

#include <sqlite3.h>

using namespace chillbox;
using namespace chillbox::store;

namespace {

Release good(Store& store, const std::string& id, const std::string& sha256, int64_t live_ms) {
  Release release = new_release(id, id);
  release.sha256 = sha256;
  release.signer_key = "fingerprint";
  must(store.commit_live(site(), release, false, live_ms));
  return *must(store.release(site(), id));
}

Withdrawn withdrawn(const Release& release) {
  return {site(), release.sha256, release.version, release.serial, "uid:0 root", "why", 99};
}

} // namespace

TEST_CASE("a release remembers its signer's key, and who kept it") {
  const Scratch scratch;
  Store store = scratch.open();
  auto release = good(store, "one", "1111", 10);
  CHECK(release.signer_key == "fingerprint");
  CHECK(release.kept_by.empty());
  release.kept_by = "uid:0 root";
  must(store.put_release(release));
  CHECK(must(store.release(site(), "one"))->kept_by == "uid:0 root");
}

TEST_CASE("[fault-996] who keeps a release or a secret set changes nothing else, and a job that read them before does not take it back") {
  const Scratch scratch;
  Store store = scratch.open();
  auto stale = good(store, "one", "1111", 10);
  stale.state = ReleaseState::unproven;
  must(store.commit_live(site(), stale, false, 11));
  const SecretSet set{site(), "aaaa", 1, 5, "anna", "key of anna"};
  must(store.put_secret_set(set));
  const auto written = store.releases_written(site());
  must(store.keep_release(site(), "one", "uid:0 root"));
  must(store.keep_used_set(site(), "aaaa", "uid:0 root"));
  CHECK(store.releases_written(site()) > written);
  CHECK(must(store.release(site(), "one"))->state == ReleaseState::unproven);
  stale.state = ReleaseState::good;
  must(store.put_release(stale));
  CHECK(must(store.release(site(), "one"))->kept_by == "uid:0 root");
  must(store.commit_live(site(), stale, false, 12));
  CHECK(must(store.release(site(), "one"))->kept_by == "uid:0 root");
  CHECK(must(store.release(site(), "one"))->state == ReleaseState::good);
  must(store.put_secret_set(set));
  must(store.put_used_set(set));
  CHECK(must(store.used_set(site(), "aaaa"))->kept_by == "uid:0 root");
  CHECK(must(store.used_set(site(), "aaaa"))->signer_key == "key of anna");
}

TEST_CASE("[fault-997] that a site is stopped, and its ports, are written alone: what was withdrawn meanwhile is not previous again") {
  const Scratch scratch;
  Store store = scratch.open();
  must(store.set_ports(site(), R"({"app.a":20000})")); // before its first release
  const auto one = good(store, "one", "1111", 10);
  good(store, "two", "2222", 20);
  REQUIRE(must(store.site(site()))->previous_good == "one");
  must(store.withdraw(withdrawn(one)));
  const auto changed = store.sites_changed();
  must(store.set_stopped(site(), true));
  must(store.set_ports(site(), R"({"app.b":20001})"));
  CHECK(store.sites_changed() > changed);
  const auto row = must(store.site(site()));
  CHECK(row->previous_good.empty());
  CHECK(row->live == "two");
  CHECK(row->stopped);
  CHECK(row->ports == R"({"app.b":20001})");
  must(store.set_not_live(site()));
  CHECK(must(store.site(site()))->live.empty());
  must(store.set_stopped(site("nowhere"), true));
  CHECK_FALSE(must(store.site(site("nowhere"))));
}

TEST_CASE("what is withdrawn is no previous good release any more, now and later, and outlives its site [attack-B5]") {
  const Scratch scratch;
  Store store = scratch.open();
  const auto one = good(store, "one", "1111", 10);
  const auto two = good(store, "two", "2222", 20);
  const auto three = good(store, "three", "3333", 30);
  REQUIRE(must(store.site(site()))->previous_good == "two");
  must(store.withdraw(withdrawn(two)));
  CHECK(must(store.site(site()))->previous_good == "one");
  must(store.withdraw(withdrawn(three))); // it is live
  good(store, "four", "4444", 40);
  CHECK(must(store.site(site()))->previous_good == "one");
  auto again = withdrawn(two);
  again.why = "";
  must(store.withdraw(again)); // once more, which says nothing new
  must(store.delete_site(site()));
  const auto all = must(store.withdrawn(site()));
  REQUIRE(all.size() == 2);
  CHECK(all[0].version == "two");
  CHECK(all[0].why == "why");
  CHECK(must(store.withdrawn(site("shop"))).empty());
}

TEST_CASE("what is withdrawn again has the new reason and who gave it; none changes nothing [fault-1124]") {
  const Scratch scratch;
  Store store = scratch.open();
  auto one = withdrawn(good(store, "one", "1111", 10));
  must(store.withdraw(one));
  one.actor = "person:kim";
  one.why = "it leaks";
  must(store.withdraw(one));
  one.why = "";
  one.actor = "person:max";
  must(store.withdraw(one));
  const auto all = must(store.withdrawn(site()));
  REQUIRE(all.size() == 1);
  CHECK(all[0].why == "it leaks");
  CHECK(all[0].actor == "person:kim");
}

TEST_CASE("a secret set that was in use is known with its serial and signer while a release may come back with it") {
  const Scratch scratch;
  Store store = scratch.open();
  must(store.put_secret_set({site(), "aaaa", 1, 5, "anna", "key of anna"}));
  auto release = new_release("one");
  release.secrets = "aaaa";
  must(store.commit_live(site(), release, false, 10));
  must(store.put_secret_set({site(), "bbbb", 2, 6, "bert", "key of bert"}));
  must(store.put_secret_set({site(), "cccc", 3, 7, "bert", "key of bert"}));
  must(store.forget_old_releases(site()));
  const auto sets = must(store.used_sets(site()));
  REQUIRE(sets.size() == 2); // with "bbbb" none was live
  CHECK(sets[0].sha256 == "aaaa");
  CHECK(sets[0].signer_key == "key of anna");
  CHECK(sets[0].serial == 1);
  CHECK(must(store.used_set(site(), "cccc"))->serial == 3);
  CHECK_FALSE(must(store.used_set(site(), "bbbb")));
}

TEST_CASE("what all sites have is read at once: what was withdrawn, sets in use with what is remembered of them, serials") {
  const Scratch scratch;
  Store store = scratch.open();
  must(store.withdraw({site("shop"), "sum", "1", 7, "who", "why", 1}));
  must(store.withdraw({site(), "sum", "1", 7, "who", "why", 2}));
  const auto withdrawn = must(store.withdrawn());
  REQUIRE(withdrawn.size() == 2);
  CHECK(withdrawn[0].site == site("shop"));
  CHECK(withdrawn[1].serial == 7);
  must(store.put_secret_set({site(), "aaaa", 1, 5, "anna", "key of anna"}));
  must(store.put_secret_set({site(), "bbbb", 2, 6, "bert", "key of bert", "uid:0 root"}));
  must(store.put_secret_set({site("shop"), "cccc", 3, 6, "bert", ""}));
  sqlite3* db = nullptr;
  REQUIRE(sqlite3_open(scratch.file().c_str(), &db) == SQLITE_OK);
  CHECK(sqlite3_exec(db, "DELETE FROM used_sets WHERE sha256 = 'cccc'", nullptr, nullptr,
            nullptr) == SQLITE_OK);
  sqlite3_close(db);
  const auto sets = must(store.sets_in_use());
  REQUIRE(sets.size() == 2);
  CHECK(sets[0].sha256 == "bbbb");
  CHECK(sets[0].signer_key == "key of bert");
  CHECK(sets[0].kept_by == "uid:0 root");
  CHECK(sets[1].sha256 == "cccc");
  CHECK(sets[1].serial == 0);
  CHECK(sets[1].signer.empty());
  must(store.raise_serial(site(), "floor", 4));
  CHECK(must(store.serials("floor")) == std::map<std::string, uint64_t>{{"blog", 4}});
}

TEST_CASE("each change of a site's releases is counted, and none of another's") {
  const Scratch scratch;
  Store store = scratch.open();
  const auto counted = [&](auto&& change) {
    const auto own = store.releases_written(site()), other = store.releases_written(site("shop"));
    change();
    CHECK(store.releases_written(site("shop")) == other);
    return store.releases_written(site()) - own;
  };
  CHECK(counted([] {}) == 0);
  CHECK(counted([&] { must(store.put_release(new_release("one"))); }) > 0);
  CHECK(counted([&] { must(store.commit_live(site(), new_release("one"), false, 1)); }) > 0);
  CHECK(counted([&] { must(store.delete_site(site())); }) > 0);
}
