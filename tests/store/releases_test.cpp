#include "base/text.hpp"
#include "scratch.hpp"

using namespace chillbox;
using namespace chillbox::store;

TEST_CASE("a release is read back as it was put, and putting it again changes it in its place") {
  const Scratch scratch;
  {
    Store store = scratch.open();
    must(store.put_release(new_release("1.0.0-1")));
    must(store.put_release(new_release("1.1.0-2")));
    Release first = new_release("1.0.0-1");
    first.state = ReleaseState::failed;
    first.last_log = "Traceback\nImportError\n";
    must(store.put_release(first));
  }
  Store store = scratch.open();
  const auto all = must(store.releases(site()));
  REQUIRE(all.size() == 2);
  CHECK(all[0].id == "1.1.0-2");
  CHECK(all[1].id == "1.0.0-1");
  CHECK(all[1].state == ReleaseState::failed);
  CHECK(all[1].last_log == "Traceback\nImportError\n");
  const Release read = *must(store.release(site(), "1.1.0-2"));
  CHECK(read.serial == 7);
  CHECK(read.nginx == "server {}\n");
  CHECK(read.signer == "anna");
  CHECK(read.slot == Slot::a);
}

TEST_CASE("release numbers only grow, each site its own, also after the site was removed") {
  const Scratch scratch;
  Store store = scratch.open();
  CHECK(must(store.next_release_number(site())) == 1);
  CHECK(must(store.next_release_number(site())) == 2);
  CHECK(must(store.next_release_number(site("shop"))) == 1);
  must(store.delete_site(site()));
  CHECK(must(store.next_release_number(site())) == 3);
}

TEST_CASE("the switch makes a release live and good, and the old one the place to go back to") {
  const Scratch scratch;
  {
    Store store = scratch.open();
    must(store.put_site({.site = site(),
        .live = "",
        .previous_good = "",
        .stopped = false,
        .ports = "{\"api\":1}"}));
    must(store.commit_live(site(), new_release("1.0.0-1"), false, 100));
    must(store.commit_live(site(), new_release("1.1.0-2"), false, 200));
  }
  Store store = scratch.open();
  const SiteRow row = *must(store.site(site()));
  CHECK(row.live == "1.1.0-2");
  CHECK(row.previous_good == "1.0.0-1");
  CHECK(row.ports == "{\"api\":1}");
  const Release live = *must(store.release(site(), "1.1.0-2"));
  CHECK(live.state == ReleaseState::good);
  CHECK(live.live_ms == 200);
}

TEST_CASE("[fault-120] what is live has its serial installed with the switch, and an older one that becomes live again lowers nothing") {
  const Scratch scratch;
  Store store = scratch.open();
  Release newer = new_release("1.1.0-2"), older = new_release("1.0.0-1");
  newer.serial = 12;
  older.serial = 11;
  must(store.commit_live(site(), newer, false, 100));
  CHECK(must(store.serial(site(), "site")) == 12);
  must(store.commit_live(site(), older, false, 200));
  CHECK(must(store.serial(site(), "site")) == 12);
}

TEST_CASE("a switch back from a release that failed does not leave that one as the place to go back to") {
  const Scratch scratch;
  Store store = scratch.open();
  for (int i = 1; i <= 3; ++i)
    must(store.commit_live(site(), new_release(cat("1.0.0-", i)), false, 100 * i));
  must(store.commit_live(site(), *must(store.release(site(), "1.0.0-2")), true, 400));
  const SiteRow row = *must(store.site(site()));
  CHECK(row.live == "1.0.0-2");
  CHECK(row.previous_good == "1.0.0-1");
  CHECK(must(store.release(site(), "1.0.0-3"))->state == ReleaseState::failed);
}

TEST_CASE("the first release that fails leaves nothing to go back to; the same release again changes nothing of that") {
  const Scratch scratch;
  Store store = scratch.open();
  must(store.commit_live(site(), new_release("1.0.0-1"), false, 100));
  CHECK(must(store.site(site()))->previous_good.empty());
  must(store.commit_live(site(), new_release("1.0.0-2"), true, 200));
  CHECK(must(store.site(site()))->previous_good.empty());
  must(store.commit_live(site(), new_release("1.0.0-2"), false, 300));
  CHECK(must(store.site(site()))->previous_good.empty());
}

TEST_CASE("[fault-70] a host name belongs to one site, and who wants it too is told whose it is") {
  const Scratch scratch;
  Store store = scratch.open();
  must(store.claim_hosts(site(), {"example.org", "www.example.org", "example.org"}));
  const auto second = store.claim_hosts(site("shop"), {"shop.example.org", "www.example.org"});
  REQUIRE_FALSE(second);
  CHECK(second.error().code == Code::conflict);
  CHECK(second.error().message == "host 'www.example.org' belongs to site 'blog'");
  CHECK_FALSE(must(store.host_owner("shop.example.org", site()))); // nothing of the refused claim
  CHECK(must(store.host_owner("example.org", site("shop"))) == "blog");
  CHECK_FALSE(must(store.host_owner("example.org", site())));
  must(store.claim_hosts(site(), {"example.org"}));
  must(store.claim_hosts(site("shop"), {"www.example.org"}));
}

TEST_CASE("sites are listed by name, and a removed one takes its rows along but not its serials and jobs") {
  const Scratch scratch;
  Store store = scratch.open();
  must(store.commit_live(site("shop"), Release(new_release("9.0.0-1")), false, 1));
  must(store.commit_live(site(), new_release("1.0.0-1"), false, 1));
  must(store.claim_hosts(site(), {"example.org"}));
  must(store.raise_serial(site(), "site", 42));
  must(store.put_secret_set(
      {.site = site(), .sha256 = "x", .serial = 3, .received_ms = 9, .signer = "anna"}));
  must(store.add_job(new_job("j1")));
  const auto both = must(store.sites());
  REQUIRE(both.size() == 2);
  CHECK(both[0].site == site());
  must(store.delete_site(site()));
  CHECK_FALSE(must(store.site(site())));
  CHECK(must(store.releases(site())).empty());
  CHECK_FALSE(must(store.secret_set(site())));
  CHECK_FALSE(must(store.host_owner("example.org", site("shop"))));
  CHECK(must(store.serial(site(), "site")) == 42);
  CHECK(must(store.serial(site(), "secrets")) == 3);
  CHECK(must(store.job("j1")));
}

TEST_CASE("a serial only grows, also over a restart, and those of secrets are their own") {
  const Scratch scratch;
  {
    Store store = scratch.open();
    CHECK(must(store.serial(site(), "site")) == 0);
    must(store.raise_serial(site(), "site", 42));
    must(store.raise_serial(site(), "site", 41));
    must(store.put_secret_set(
        {.site = site(), .sha256 = "x", .serial = 5, .received_ms = 9, .signer = "anna"}));
  }
  Store store = scratch.open();
  CHECK(must(store.serial(site(), "site")) == 42);
  CHECK(must(store.serial(site(), "secrets")) == 5);
  const SecretSet set = *must(store.secret_set(site()));
  CHECK(set.sha256 == "x");
  CHECK(set.signer == "anna");
  CHECK(set.received_ms == 9);
}

TEST_CASE("the newest releases are so many, and the live one however old it is") {
  const Scratch scratch;
  Store store = scratch.open();
  for (const char* version : {"1.0.0-1", "1.0.1-2", "1.0.2-3", "1.0.3-4"}) {
    Release release = new_release(version);
    release.nginx = "a text of kilobytes";
    must(store.put_release(release));
  }
  const auto ids = [&](const std::string& live, size_t limit) {
    std::vector<std::string> all;
    for (const auto& release : must(store.newest_releases(site(), live, limit))) {
      CHECK(release.nginx.empty());
      all.push_back(release.id);
    }
    return all;
  };
  CHECK(ids("", 2) == std::vector<std::string>{"1.0.3-4", "1.0.2-3"});
  CHECK(ids("1.0.0-1", 1) == std::vector<std::string>{"1.0.3-4", "1.0.0-1"});
  CHECK(ids("1.0.3-4", 9).size() == 4);
  CHECK(ids("", 0).empty());
}

TEST_CASE("the kept releases are those that can be live, newest first, each whole") {
  const Scratch scratch;
  Store store = scratch.open();
  constexpr ReleaseState k_states[] = {ReleaseState::good, ReleaseState::failed,
      ReleaseState::unproven, ReleaseState::removed, ReleaseState::staged};
  for (size_t i = 0; i < std::size(k_states); ++i) {
    Release release = new_release(cat("1.0.", i, "-", i + 1));
    release.state = k_states[i];
    must(store.put_release(release));
  }
  const auto kept = must(store.kept_releases(site()));
  REQUIRE(kept.size() == 2);
  CHECK(kept[0].id == "1.0.2-3");
  CHECK(kept[1].id == "1.0.0-1");
  CHECK(kept[1].nginx == "server {}\n");
  CHECK(must(store.kept_releases(site("shop"))).empty());
  const auto present = must(store.present_releases(site()));
  REQUIRE(present.size() == 4);
  CHECK(present[0].id == "1.0.4-5"); // staged
  CHECK(present[1].id == "1.0.2-3");
  CHECK(present[2].id == "1.0.1-2");
  CHECK(present[3].id == "1.0.0-1");
  CHECK(present[3].nginx.empty());
}
