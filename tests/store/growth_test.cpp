// Nothing that a host asks its database for reads more because more is kept: on a filled store each
// statement's own counters are looked at, as SQLite counts them.
#include "scratch.hpp"

#include <sqlite3.h>

#include <map>

using namespace chillbox;
using namespace chillbox::store;

namespace {

sqlite3* g_newest = nullptr; // the connection that was opened last

int note_connection(sqlite3* db, char**, const sqlite3_api_routines*) {
  g_newest = db;
  return SQLITE_OK;
}

// The connection of a store, which it gives to nobody.
struct Opened {
  explicit Opened(const Scratch& scratch) : store((watch(), scratch.open())), db(g_newest) {
    sqlite3_cancel_auto_extension(entry());
  }
  static void (*entry())() { return reinterpret_cast<void (*)()>(note_connection); }
  static void watch() { sqlite3_auto_extension(entry()); }
  Store store;
  sqlite3* db;
};

// `scale` times what a host of 20 sites keeps.
void fill(sqlite3* db, int scale) {
  const std::string text = cat(R"sql(
BEGIN;
CREATE TEMP TABLE n AS WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c WHERE i < 500 * )sql",
      scale, R"sql() SELECT i FROM c;
INSERT OR REPLACE INTO sites SELECT 'site' || (i % 20), 'r' || (i % 20), '', 0, '{}' FROM n;
INSERT INTO releases(site, id, version, serial, sha256, secrets, state, slot, digest, nginx, last_log, signer, created_ms, live_ms, message)
  SELECT 'site' || (i % 20), 'r' || i, '1.0.' || i, i, iif(i > 40, 'gone', 'good') || i, '', iif(i > 40, 'removed', 'good'), 'a', 'd', '', '', 'anna', i, i, '' FROM n;
INSERT INTO jobs(open, id, kind, site, version, sha256, size, service, actor, options, state, step, release, previous, created_ms, started_ms, finished_ms, message, source, number)
  SELECT 0, 'job' || i, 'deploy', 'site' || (i % 20), '1.0.' || i, 'sum' || i, 1, '', 'webhook:' || (i % 5), '', 'done', '', '', '', i, i, i, '', 'webhook:' || (i % 5), i FROM n;
INSERT INTO events SELECT (SELECT seq FROM jobs WHERE id = 'job' || i), 1, i, '', 'log', 'text' FROM n;
INSERT INTO deliveries SELECT 'sender' || (i % 5), i, 'msg' || i, 'body' || i, 0, 'job' || i, i FROM n;
INSERT INTO cron_runs(site, release, line, actor, state, started_ms, ended_ms, code, count, text)
  SELECT 'site' || (i % 20), 'r', 'line', 'cron', 'done', i, i, 0, 1, '' FROM n;
INSERT INTO audit SELECT i, i, 'anna', 'restart', 'site' || (i % 20), '', '', x'00' FROM n;
DROP TABLE n;
COMMIT;)sql");
  char* error = nullptr;
  if (sqlite3_exec(db, text.c_str(), nullptr, nullptr, &error) != SQLITE_OK)
    FAIL(error);
}

// What status, sites, a webhook, a deploy, a rollback and the pruning after them ask for.
void use(Store& store) {
  const SiteName one = site("site3");
  (void)must(store.sites());
  (void)must(store.site(one));
  (void)must(store.release(one, "r3"));
  (void)must(store.unfinished());
  (void)must(store.jobs("", 20));
  (void)must(store.jobs("site3", 20));
  (void)must(store.jobs("absent", 20));
  (void)must(store.job("job7"));
  (void)must(store.events("job7", 0));
  (void)must(store.needed_artifacts());
  (void)must(store.announced_by("sum9"));
  (void)must(store.newest_releases(one, "r3", 20));
  (void)must(store.kept_releases(one));
  (void)must(store.present_releases(one));
  (void)must(store.hold(one));
  (void)must(store.attempts(0));
  (void)must(store.audit_entries(20));
  (void)must(store.used_sets(one));
  (void)must(store.used_set(one, "absent"));
  (void)must(store.secret_set(one));
  (void)must(store.withdrawn(one));
  (void)must(store.withdrawn());
  (void)must(store.sets_in_use());
  (void)must(store.serials("secrets-floor"));
  (void)must(store.assets(one));
  (void)must(store.host_owner("blog.example", one));
  (void)must(store.last_cron_run(one, "line"));
  (void)must(store.runs(one, control::RunKind::cron, 20));
  (void)must(store.open_cron_runs());
  for (const control::Period period :
      {control::Period{.since_ms = 1}, control::Period{.until_ms = 400}}) {
    (void)must(store.jobs("", 20, period));
    (void)must(store.jobs("site3", 20, period));
    (void)must(store.runs(one, control::RunKind::cron, 20, period));
    (void)must(store.audit_entries(20, period));
  }
  (void)must(store.cron_run(7));
  (void)accept_one(store, delivery("id", std::string(64, 'e'), "new", "site3"));
  Job job = *must(store.job("new"));
  job.state = JobState::running;
  must(store.record(
      job, {{.number = 0, .time_ms = 1, .step = "s", .kind = EventKind::log, .text = "t"}}));
  must(store.claim_hosts(one, {"blog.example"}));
  Release live = new_release("1.0.0-1");
  live.site = one;
  must(store.put_release(live));
  must(store.commit_live(one, live, false, 100));
  must(store.finish_job(
      [&] {
        job.state = JobState::done;
        job.finished_ms = 9;
        return job;
      }(),
      "done"));
  must(store.forget_old_releases(one));
}

// Steps of SQLite's virtual machine since the last time, by statement.
std::map<std::string, int64_t> costs(sqlite3* db) {
  std::map<std::string, int64_t> all;
  for (sqlite3_stmt* s = sqlite3_next_stmt(db, nullptr); s != nullptr; s = sqlite3_next_stmt(db, s))
    all[sqlite3_sql(s)] += sqlite3_stmt_status(s, SQLITE_STMTSTATUS_VM_STEP, 1);
  return all;
}

std::map<std::string, int64_t> costs_at(int scale) {
  const Scratch scratch;
  Opened opened(scratch);
  fill(opened.db, scale);
  must(opened.store.forget_old_releases(site("site3"))); // what no host keeps
  (void)costs(opened.db);
  use(opened.store);
  return costs(opened.db);
}

} // namespace

TEST_CASE("no statement of a deploy, a webhook or a look at the host costs more because more is kept") {
  const auto few = costs_at(2);
  const auto many = costs_at(20);
  REQUIRE(few.size() > 30);
  for (const auto& [sql, cost] : many) {
    INFO(sql);
    const auto before = few.find(sql);
    REQUIRE(before != few.end());
    CHECK(cost <= before->second + 50);
  }
}

TEST_CASE("a long history of removed releases goes lot by lot, oldest first, and no statement has all of it") {
  const Scratch scratch;
  Opened opened(scratch);
  fill(opened.db, 100); // 2,500 of each site
  const auto left = [&] { return must(opened.store.newest_releases(site("site3"), "", 10'000)); };
  const size_t before = left().size();
  const std::string newest = left().front().id;
  must(opened.store.forget_old_releases(site("site3")));
  CHECK(before - left().size() == 1'000);
  must(opened.store.forget_old_releases(site("site3")));
  must(opened.store.forget_old_releases(site("site3")));
  CHECK(left().size() == 50 + must(opened.store.present_releases(site("site3"))).size());
  CHECK(left().front().id == newest);
}
