#include "scratch.hpp"

#include <set>
#include <tuple>

using namespace chillbox;
using namespace chillbox::store;

TEST_CASE("what a job became is written as one, and read back the same") {
  const Scratch scratch;
  Job job = new_job("j1", JobKind::rollback);
  {
    Store store = scratch.open();
    must(store.add_job(job));
    job.state = JobState::waiting_unlock;
    job.step = "unseal";
    job.release = "1.2.3-4";
    job.previous = "1.2.2-3";
    job.version = "1.2.2";
    job.started_ms = 6'000;
    job.code = Code::sealed;
    job.message = "waits for unlock";
    must(store.update_job(job));
  }
  Store store = scratch.open();
  const Job read = *must(store.job("j1"));
  CHECK(read.kind == JobKind::rollback);
  CHECK(read.state == JobState::waiting_unlock);
  CHECK(read.step == "unseal");
  CHECK(read.release == "1.2.3-4");
  CHECK(read.previous == "1.2.2-3");
  CHECK(read.version == "1.2.2");
  CHECK(read.started_ms == 6'000);
  CHECK(read.code == Code::sealed);
  CHECK(read.message == "waits for unlock");
}

TEST_CASE("every kind and state of a job comes back as it went in") {
  const Scratch scratch;
  Store store = scratch.open();
  for (int kind = 0; kind <= static_cast<int>(JobKind::remove); ++kind)
    for (int state = 0; state <= static_cast<int>(JobState::cancelled); ++state) {
      Job job = new_job(
          cat("j", kind, "-", state), static_cast<JobKind>(kind), cat("s", kind, "-", state));
      job.state = static_cast<JobState>(state);
      must(store.add_job(job));
      const Job read = *must(store.job(job.id));
      CHECK(read.kind == job.kind);
      CHECK(read.state == job.state);
    }
}

TEST_CASE("unfinished jobs come oldest first, lists of jobs newest first") {
  const Scratch scratch;
  Store store = scratch.open();
  for (const char* id : {"b", "a", "c"})
    must(store.add_job(new_job(id, JobKind::restart, id[0] == 'a' ? "shop" : "blog")));
  const auto open = must(store.unfinished());
  REQUIRE(open.size() == 3);
  CHECK((open[0].id == "b" && open[1].id == "a" && open[2].id == "c"));
  const auto all = must(store.jobs("", 2));
  REQUIRE(all.size() == 2);
  CHECK((all[0].id == "c" && all[1].id == "a"));
  const auto blog = must(store.jobs("blog", 10));
  REQUIRE(blog.size() == 2);
  CHECK((blog[0].id == "c" && blog[1].id == "b"));
}

TEST_CASE("ids of jobs are 16 hex digits, never twice the same, and grow with the time") {
  std::set<std::string> ids;
  for (int i = 0; i < 1000; ++i)
    ids.insert(new_job_id(1'700'000'000'000));
  CHECK(ids.size() == 1000);
  for (const auto& id : ids) {
    CHECK(id.size() == 16);
    CHECK(id.find_first_not_of("0123456789abcdef") == std::string::npos);
  }
  CHECK(new_job_id(1'700'000'000'001) > *ids.rbegin());
  CHECK(new_job_id(1'699'999'999'999) < *ids.begin());
}

TEST_CASE("[fault-120] the end of a job is in the audit trail with it, once: what comes too late is not") {
  const Scratch scratch;
  Store store = scratch.open();
  must(store.add_job(new_job("j1")));
  Job job = *must(store.job("j1"));
  job.state = JobState::running;
  must(store.record(job, {}));
  CHECK(must(store.audit_entries(10)).empty());
  job.state = JobState::failed;
  job.code = Code::unhealthy;
  job.message = "it crashes";
  job.finished_ms = 9;
  must(store.record(job, {{0, 9, "check", EventKind::end, "it crashes"}}));
  CHECK(store.record(job, {}).error().code == Code::conflict);
  const auto trail = must(store.audit_entries(10));
  REQUIRE(trail.size() == 1);
  CHECK((trail[0].text == "it crashes (--no-watch)" && trail[0].outcome == "unhealthy" &&
      trail[0].actor == job.actor && trail[0].time_ms == 9));
}

TEST_CASE("[fault-998] every end is in the audit trail: of a job that never ran, and of one that a newer one put out of the way") {
  const Scratch scratch;
  Store store = scratch.open();
  const auto ask = [&](const std::string& id, JobKind kind) {
    Job job = new_job(id, kind);
    job.actor = "uid:0 root";
    must(store.add_job(job));
  };
  ask("j1", JobKind::deploy);
  ask("j2", JobKind::deploy);
  auto trail = must(store.audit_entries(10));
  REQUIRE(trail.size() == 1);
  CHECK(trail[0].text == "superseded by the newer deploy j2 (--no-watch)");
  CHECK((trail[0].verb == "deploy" && trail[0].outcome == "busy" && trail[0].site == "blog" &&
      trail[0].actor == "uid:0 root"));
  ask("j3", JobKind::rollback);
  trail = must(store.audit_entries(10));
  REQUIRE(trail.size() == 2);
  CHECK(trail[0].text.starts_with("cancelled by the rollback j3"));
  Job job = *must(store.job("j3"));
  job.state = JobState::cancelled;
  job.code = Code::interrupted;
  job.message = "the site was removed by j4";
  job.finished_ms = 9;
  must(store.finish_job(job, job.message));
  trail = must(store.audit_entries(10));
  REQUIRE(trail.size() == 3);
  CHECK((trail[0].verb == "rollback" && trail[0].outcome == "interrupted"));
}

TEST_CASE("a webhook key that announces without end pushes nothing out of the audit trail [attack-W45]") {
  const Scratch scratch;
  Store store = scratch.open();
  const auto announce = [&](const std::string& id, const std::string& actor) {
    Job job = new_job(id);
    job.actor = actor;
    must(store.add_job(job));
  };
  announce("j1", "webhook:ci");
  announce("j2", "webhook:ci");
  announce("j3", "webhook:other");
  CHECK(must(store.audit_entries(10)).empty());
  announce("j4", "uid:0 root");
  must(store.supersede_older(*must(store.job("j4")), 9)); // once for each of a person's
  announce("j5", "webhook:ci");
  announce("j6", "webhook:ci");
  CHECK(must(store.audit_entries(10)).size() == 2);
}

TEST_CASE("a job's end and its last event are there together, and it is not unfinished any more") {
  const Scratch scratch;
  {
    Store store = scratch.open();
    must(store.add_job(new_job("j1")));
    Job job = *must(store.job("j1"));
    must(store.record(
        job, {{0, 1, "accept", EventKind::begin, ""}, {0, 2, "accept", EventKind::done, "ok"}}));
    job.state = JobState::failed;
    job.step = "check";
    job.code = Code::unhealthy;
    job.finished_ms = 9'000;
    must(store.finish_job(job, "did not become healthy"));
  }
  Store store = scratch.open();
  CHECK(must(store.unfinished()).empty());
  CHECK(must(store.job("j1"))->code == Code::unhealthy);
  const auto events = must(store.events("j1", 1));
  REQUIRE(events.size() == 2);
  CHECK(events[0].number == 2);
  CHECK(events[1].number == 3);
  CHECK(events[1].kind == EventKind::end);
  CHECK(events[1].step == "check");
  CHECK(events[1].time_ms == 9'000);
  CHECK(events[1].text == "did not become healthy");
  CHECK(must(store.events("j1", 0, 1)).size() == 1);
}

TEST_CASE("a job that has ended cannot be brought back or ended again") {
  const Scratch scratch;
  Store store = scratch.open();
  must(store.add_job(new_job("old")));
  Job old = *must(store.job("old"));
  must(store.add_job(new_job("new")));
  old.state = JobState::running;
  const auto update = store.update_job(old);
  REQUIRE_FALSE(update);
  CHECK(update.error().code == Code::conflict);
  CHECK(update.error().message == "job old has already ended: superseded");
  old.state = JobState::done;
  CHECK(store.finish_job(old, "live").error().code == Code::conflict);
  CHECK(must(store.job("old"))->state == JobState::superseded);
  CHECK(must(store.events("old", 0)).size() == 1);
}

TEST_CASE("an end must be an end, and a job that is not there is not found") {
  const Scratch scratch;
  Store store = scratch.open();
  must(store.add_job(new_job("j1")));
  CHECK(store.finish_job(new_job("j1"), "").error().code == Code::invalid);
  CHECK(store.update_job(new_job("j2")).error().code == Code::not_found);
  CHECK(store.record(new_job("j2"), {{0, 1, "", EventKind::info, ""}}).error().code ==
      Code::not_found);
  CHECK_FALSE(must(store.job("j2")));
  CHECK(must(store.events("j2", 0)).empty());
}

TEST_CASE("a number that SQLite cannot hold is refused, not wrapped") {
  const Scratch scratch;
  Store store = scratch.open();
  Job job = new_job("j1");
  job.size = UINT64_MAX;
  CHECK(store.add_job(job).error().code == Code::invalid);
  CHECK_FALSE(must(store.job("j1")));
}

TEST_CASE("text with NUL, quotes and bytes that are not UTF-8 is kept as it is") {
  const Scratch scratch;
  Store store = scratch.open();
  Job job = new_job("j1");
  job.message = std::string("a\0b'\"\xff;--", 9);
  must(store.add_job(job));
  CHECK(must(store.job("j1"))->message == job.message);
}

TEST_CASE("[fault-844] a period of a history is of times, both ends included, whatever order they were written in") {
  const Scratch scratch;
  Store store = scratch.open();
  // The clock was set back before the third.
  for (const auto& [id, ms, of] : {std::tuple("j1", 5'000, "blog"), std::tuple("j2", 9'000, "shop"),
           std::tuple("j3", 7'000, "blog")}) {
    Job job = new_job(id, JobKind::deploy, of);
    job.created_ms = ms;
    must(store.add_job(job));
  }
  const auto ids = [](const std::vector<Job>& jobs) {
    std::string all;
    for (const auto& job : jobs)
      all += job.id;
    return all;
  };
  CHECK(ids(must(store.jobs("", 20))) == "j3j2j1");
  CHECK(ids(must(store.jobs("", 20, {.since_ms = 1}))) == "j2j3j1");
  CHECK(ids(must(store.jobs("", 20, {.since_ms = 5'001}))) == "j2j3");
  CHECK(ids(must(store.jobs("", 20, {.since_ms = 5'000, .until_ms = 7'000}))) == "j3j1");
  CHECK(ids(must(store.jobs("", 1, {.until_ms = 7'000}))) == "j3");
  CHECK(ids(must(store.jobs("blog", 20, {.until_ms = 9'000}))) == "j3j1");
}
