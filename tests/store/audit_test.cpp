#include "scratch.hpp"

#include "store/sql.hpp"

#include <atomic>
#include <map>
#include <thread>

using namespace chillbox;
using namespace chillbox::store;

namespace {

AuditEntry entry(const std::string& text) {
  return {.number = 0,
      .time_ms = 77,
      .actor = "uid:0 root",
      .verb = "rollback",
      .site = "blog",
      .text = text,
      .outcome = "ok"};
}

void change(const Scratch& scratch, std::string_view sql) {
  Db db = must(Db::open(scratch.file()));
  must(db.script(sql));
}

} // namespace

TEST_CASE("audit entries are numbered, newest first, and fit together over a restart") {
  const Scratch scratch;
  must(scratch.open().audit(entry("one")));
  Store store = scratch.open();
  must(store.audit(entry("two")));
  const auto entries = must(store.audit_entries(10));
  REQUIRE(entries.size() == 2);
  CHECK(entries[0].number == 2);
  CHECK(entries[0].text == "two");
  CHECK(entries[1].actor == "uid:0 root");
  CHECK(entries[1].outcome == "ok");
  CHECK(must(store.audit_entries(1)).size() == 1);
  must(store.verify_audit());
}

TEST_CASE("an audit trail that was changed, cut or added to is corrupt, and the first entry that does not fit is named") {
  const std::map<std::string, std::string> changes{
      {"UPDATE audit SET outcome = 'denied' WHERE number = 2", "entry 2 "},
      {"UPDATE audit SET text = 'tw', outcome = 'ook' WHERE number = 2", "entry 2 "},
      {"DELETE FROM audit WHERE number = 1", "entry 2 "},
      {"DELETE FROM audit WHERE number = 2", "entry 3 "},
      {"DELETE FROM audit WHERE number = 3", "entry 3 is missing"},
      {"DELETE FROM audit", "entry 1 is missing"},
      {"INSERT INTO audit SELECT 4, time_ms, actor, verb, site, text, outcome, hash FROM audit WHERE number = 3",
          "entry 4 "},
  };
  for (const auto& [sql, named] : changes) {
    const Scratch scratch;
    {
      Store store = scratch.open();
      for (const char* text : {"one", "two", "three"})
        must(store.audit(entry(text)));
      must(store.verify_audit());
    }
    change(scratch, sql);
    const auto verdict = scratch.open().verify_audit();
    INFO(sql);
    REQUIRE_FALSE(verdict);
    CHECK(verdict.error().code == Code::corrupt);
    INFO(verdict.error().message);
    CHECK(verdict.error().message.find(named) != std::string::npos);
  }
}

TEST_CASE("an audit trail whose oldest entries were forgotten fits together from where it says that it begins, and from nowhere else") {
  const Scratch scratch;
  {
    Store store = scratch.open();
    for (const char* text : {"one", "two", "three"})
      must(store.audit(entry(text)));
  }
  change(
      scratch, "DELETE FROM audit WHERE number = 1; INSERT INTO meta VALUES('audit_first', '2')");
  must(scratch.open().verify_audit());
  change(scratch, "UPDATE meta SET value = '3' WHERE key = 'audit_first'"); // 2 is still there
  CHECK_FALSE(scratch.open().verify_audit());
  change(scratch,
      "UPDATE meta SET value = '2' WHERE key = 'audit_first'; DELETE FROM audit WHERE number = 2");
  CHECK_FALSE(scratch.open().verify_audit());
}

TEST_CASE("the trail is verified while others write to it, which waits for no more than a lot") {
  const Scratch scratch;
  Store store = scratch.open();
  for (int i = 0; i < 2'500; ++i)
    must(store.audit(entry("one of many")));
  std::atomic<bool> over = false;
  std::thread writer([&] {
    while (!over)
      must(store.audit(entry("meanwhile")));
  });
  for (int i = 0; i < 5; ++i)
    CHECK(must(store.verify_audit()).entries >= 2'500);
  over = true;
  writer.join();
}

TEST_CASE("a trail that root wrote anew does not have the head that was kept elsewhere [attack-D6]") {
  const Scratch scratch;
  std::string kept;
  {
    Store store = scratch.open();
    for (const char* text : {"one", "two"})
      must(store.audit(entry(text)));
    const auto head = must(store.verify_audit());
    CHECK(head.entries == 2);
    CHECK(head.number == 2);
    kept = head.text();
    must(store.audit(entry("three")));
    CHECK(must(store.verify_audit(kept)).number == 3);
    CHECK(store.verify_audit("2").error().code == Code::invalid);
    CHECK(store.verify_audit("9:00").error().code == Code::corrupt);
  }
  change(scratch, "DELETE FROM audit; DELETE FROM sqlite_sequence WHERE name = 'audit'");
  Store store = scratch.open();
  for (const char* text : {"one", "another", "three"})
    must(store.audit(entry(text)));
  must(store.verify_audit()); // by itself it says nothing
  const auto verdict = store.verify_audit(kept);
  REQUIRE_FALSE(verdict);
  CHECK(verdict.error().code == Code::corrupt);
  CHECK(verdict.error().message.find("audit entry 2 is not the one of the head that was kept") !=
      std::string::npos);
}

TEST_CASE("audit entries over the bound are forgotten, oldest first") {
  const Scratch scratch;
  must(scratch.open().audit(entry("first")));
  change(scratch,
      "WITH RECURSIVE n(i) AS (SELECT 2 UNION ALL SELECT i + 1 FROM n WHERE i < 101500)"
      " INSERT INTO audit SELECT i, 1, 'a', 'v', 's', 't', 'ok', zeroblob(32) FROM n");
  Store store = scratch.open();
  must(store.audit(entry("newest")));
  const auto kept = must(store.audit_entries(200'000));
  REQUIRE(kept.size() == 100'000);
  CHECK(kept.front().text == "newest");
  CHECK(kept.back().number == 1'502);
}

TEST_CASE("the host's secret is made once and stays") {
  const Scratch scratch;
  const std::string secret = must(scratch.open().host_secret());
  CHECK(secret.size() == 64);
  CHECK(must(scratch.open().host_secret()) == secret);
  const Scratch other;
  CHECK(must(other.open().host_secret()) != secret);
}

TEST_CASE("[fault-75] failed unlock attempts are counted for each user, over a restart [attack-D7]") {
  const Scratch scratch;
  CHECK(must(scratch.open().attempts(7)).failures == 0);
  must(scratch.open().set_attempts(7, {3, 123'456}));
  const auto read = must(scratch.open().attempts(7));
  CHECK(read.failures == 3);
  CHECK(read.last_ms == 123'456);
  CHECK(must(scratch.open().attempts(0)).failures == 0); // another user's
  must(scratch.open().set_attempts(8, {1, 5}));
  CHECK(must(scratch.open().unlock_failures()) == 4);
  must(scratch.open().set_attempts(7, {}));
  CHECK(must(scratch.open().attempts(7)).failures == 0);
  CHECK(must(scratch.open().attempts(8)).failures == 1);
}

TEST_CASE("meta values are absent, set and set anew") {
  const Scratch scratch;
  Store store = scratch.open();
  CHECK_FALSE(must(store.meta("boot")));
  must(store.set_meta("boot", "1"));
  must(store.set_meta("boot", "2"));
  CHECK(must(store.meta("boot")) == "2");
  must(store.set_meta("boot", ""));
  CHECK_FALSE(must(store.meta("boot")));
}

TEST_CASE("a look at what is newer begins where the last one ended, unless somebody else wrote to the file") {
  const Scratch scratch;
  using Look = Store::AuditLook;
  Store store = scratch.open();
  const auto add = [&](int n) {
    for (int i = 0; i < n; ++i)
      must(store.audit({0, i, "uid:0 root", "hold", "blog", "why", "ok"}));
  };
  add(20);
  CHECK(must(store.verify_audit("", Look::newer)).entries == 20); // nothing was looked at before
  add(5);
  CHECK(must(store.verify_audit("", Look::newer)).entries == 25);
  {
    Db other = must(Db::open(scratch.file()));
    must(other.run("UPDATE audit SET text = 'other' WHERE number = 3"));
  }
  CHECK(store.verify_audit("", Look::newer).error().code == Code::corrupt);
  CHECK(store.verify_audit().error().code == Code::corrupt);
}
