#include "scratch.hpp"

#include <sqlite3.h>

#include <thread>

using namespace chillbox;
using namespace chillbox::store;

TEST_CASE("an accepted webhook is a queued job, and still there after the file is opened again") {
  const Scratch scratch;
  {
    Store store = scratch.open();
    const auto answer = accept_one(store, delivery("msg_1", "body1", "j1"));
    CHECK(answer.verdict == IntakeVerdict::accepted);
    CHECK(answer.job == "j1");
  }
  Store store = scratch.open();
  const auto job = must(store.job("j1"));
  REQUIRE(job);
  CHECK(job->state == JobState::queued);
  CHECK(job->kind == JobKind::deploy);
  CHECK(job->site == site());
  CHECK(job->size == 4096);
  CHECK(job->actor == "webhook:ci");
  CHECK(job->created_ms == 5'000);
  CHECK_FALSE(job->code);
}

TEST_CASE("[fault-11] the same delivery again is answered with the first job, also after a restart, and nothing new is queued") {
  const Scratch scratch;
  {
    Store store = scratch.open();
    accept_one(store, delivery("msg_1", "body1", "j1"));
    const auto again = accept_one(store, delivery("msg_1", "body1", "j2"));
    CHECK(again.verdict == IntakeVerdict::repeated);
    CHECK(again.job == "j1");
  }
  Store store = scratch.open();
  const auto again = accept_one(store, delivery("msg_1", "body1", "j3"));
  CHECK(again.verdict == IntakeVerdict::repeated);
  CHECK(again.job == "j1");
  CHECK(must(store.unfinished()).size() == 1);
}

TEST_CASE("[fault-11] a delivery repeated within one batch is one job") {
  const Scratch scratch;
  Store store = scratch.open();
  const auto answers = must(store.accept(
      {delivery("msg_1", "body1", "j1"), delivery("msg_1", "body1", "j2")}, 1'000, 6'000));
  REQUIRE(answers.size() == 2);
  CHECK(answers[0].verdict == IntakeVerdict::accepted);
  CHECK(answers[1].verdict == IntakeVerdict::repeated);
  CHECK(answers[1].job == "j1");
}

TEST_CASE("[fault-12] the same id with another body is a conflict") {
  const Scratch scratch;
  Store store = scratch.open();
  accept_one(store, delivery("msg_1", "body1", "j1"));
  CHECK(accept_one(store, delivery("msg_1", "body2", "j2")).verdict == IntakeVerdict::conflict);
  CHECK_FALSE(must(store.job("j2")));
}

TEST_CASE("ids of different senders have nothing to do with each other") {
  const Scratch scratch;
  Store store = scratch.open();
  accept_one(store, delivery("msg_1", "body1", "j1"));
  Intake other = delivery("msg_1", "body2", "j2");
  other.sender = "laptop";
  CHECK(accept_one(store, other).verdict == IntakeVerdict::accepted);
}

TEST_CASE("[fault-13] where the id is not signed, a new id with a body that was seen is the same delivery") {
  const Scratch scratch;
  Store store = scratch.open();
  Intake first = delivery("guid-1", "body1", "j1");
  first.by_body = true;
  accept_one(store, first);
  Intake replay = delivery("guid-2", "body1", "j2");
  replay.by_body = true;
  const auto answer = accept_one(store, replay);
  CHECK(answer.verdict == IntakeVerdict::repeated);
  CHECK(answer.job == "j1");
  replay.by_body = false;
  replay.job = new_job("j3");
  CHECK(accept_one(store, replay).verdict ==
      IntakeVerdict::accepted); // a signed id counts for itself
}

TEST_CASE("[fault-19] a full queue takes no more, remembers nothing of what it refused, and goes on when a job has ended") {
  const Scratch scratch;
  Store store = scratch.open();
  const auto answers =
      must(store.accept({delivery("m1", "b", "j1", "one"), delivery("m2", "b", "j2", "two"),
                            delivery("m3", "b", "j3", "three")},
          2, 6'000));
  CHECK(answers[0].verdict == IntakeVerdict::accepted);
  CHECK(answers[1].verdict == IntakeVerdict::accepted);
  CHECK(answers[2].verdict == IntakeVerdict::full);
  CHECK(accept_one(store, delivery("m1", "b", "j1"), 2).verdict ==
      IntakeVerdict::repeated); // full or not
  Job done = *must(store.job("j1"));
  done.state = JobState::done;
  must(store.finish_job(done, "live"));
  CHECK(
      accept_one(store, delivery("m3", "b", "j3", "three"), 2).verdict == IntakeVerdict::accepted);
}

TEST_CASE("[fault-101] a newer deploy ends the queued and waiting ones of its site, saying so, and leaves other sites and running ones alone") {
  const Scratch scratch;
  Store store = scratch.open();
  must(store.add_job(new_job("other", JobKind::deploy, "shop")));
  must(store.add_job(new_job("restart", JobKind::restart)));
  must(store.add_job(new_job("running")));
  Job running = *must(store.job("running"));
  running.state = JobState::running;
  must(store.update_job(running));
  for (const auto state : {JobState::queued, JobState::waiting_upload, JobState::waiting_unlock}) {
    const std::string id(name(state));
    must(store.add_job(new_job(id)));
    Job old = *must(store.job(id));
    old.state = state;
    must(store.update_job(old));
    const auto answer = accept_one(store, delivery("m" + id, "b", "after-" + id));
    CHECK(answer.superseded == std::vector<std::string>{id});
    const Job ended = *must(store.job(id));
    CHECK(ended.state == JobState::superseded);
    CHECK(ended.code == Code::busy);
    CHECK(ended.finished_ms == 6'000);
    CHECK(ended.message == "superseded by the newer deploy after-" + id);
    const auto events = must(store.events(id, 0));
    REQUIRE(events.size() == 1);
    CHECK(events.back().kind == EventKind::end);
    CHECK(events.back().text == ended.message);
  }
  for (const char* id : {"other", "restart"})
    CHECK(must(store.job(id))->state == JobState::queued);
  CHECK(must(store.job("running"))->state == JobState::running);
}

TEST_CASE("a deploy that is announced supersedes its own sender's, once it is verified also those of others that are older [attack-W51]") {
  const Scratch scratch;
  Store store = scratch.open();
  const auto from = [&](const std::string& id, const std::string& actor) {
    Job job = new_job(id);
    job.actor = actor;
    std::vector<std::string> superseded;
    must(store.add_job(job, &superseded));
    return superseded;
  };
  CHECK(from("anna1", "webhook:anna").empty());
  CHECK(from("stolen", "webhook:ci").empty());
  CHECK(from("root", "uid:0 root").empty());
  CHECK(from("anna2", "webhook:anna") == std::vector<std::string>{"anna1"});
  CHECK(must(store.job("stolen"))->state == JobState::queued);
  CHECK(must(store.supersede_older(*must(store.job("root")), 7'000)) ==
      std::vector<std::string>{"stolen"});
  CHECK(must(store.job("stolen"))->message == "superseded by the newer deploy root");
  CHECK(must(store.supersede_older(*must(store.job("root")), 7'000)).empty());
  CHECK(must(store.job("root"))->state == JobState::queued);
  CHECK(must(store.job("anna2"))->state == JobState::queued);
}

TEST_CASE("[fault-101] of several deploys of one site in one batch the last one stays") {
  const Scratch scratch;
  Store store = scratch.open();
  const auto answers = must(store.accept(
      {delivery("m1", "b1", "j1"), delivery("m2", "b2", "j2"), delivery("m3", "b3", "j3")}, 2,
      6'000));
  CHECK(answers[2].verdict ==
      IntakeVerdict::accepted); // what is superseded takes no room in the queue
  const auto open = must(store.unfinished());
  REQUIRE(open.size() == 1);
  CHECK(open.front().id == "j3");
}

TEST_CASE("a rollback cancels what is queued for its site; a restart does not") {
  const Scratch scratch;
  Store store = scratch.open();
  must(store.add_job(new_job("deploy")));
  must(store.add_job(new_job("restart", JobKind::restart)));
  CHECK(must(store.job("deploy"))->state == JobState::queued);
  std::vector<std::string> superseded;
  must(store.add_job(new_job("rollback", JobKind::rollback), &superseded));
  CHECK(superseded == std::vector<std::string>{"deploy"});
  CHECK(must(store.job("deploy"))->state == JobState::cancelled);
  CHECK(must(store.job("deploy"))->message == "cancelled by the rollback rollback");
}

namespace {

// Deliveries "old1", "old2", ... of the jobs "job1", ... that came at this time, as many as
// accept() would have stored.
void fill_memory(const Scratch& scratch, int64_t count, int64_t time_ms) {
  sqlite3* db = nullptr;
  REQUIRE(sqlite3_open(scratch.file().c_str(), &db) == SQLITE_OK);
  const std::string sql =
      cat("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ", count,
          ") INSERT INTO deliveries SELECT 'ci', i, 'old' || i, '", std::string(64, 'b'),
          "', 0, 'job' || i, ", time_ms, " FROM n");
  CHECK(sqlite3_exec(db, sql.c_str(), nullptr, nullptr, nullptr) == SQLITE_OK);
  sqlite3_close(db);
}

IntakeVerdict repeat(Store& store, int64_t which, int64_t now_ms) {
  return must(store.accept({delivery(cat("old", which), std::string(64, 'b'), cat("again", which))},
                  1'000'000, now_ms))
      .front()
      .verdict;
}

constexpr int64_t k_came = 1'800'000'000'000;
constexpr int64_t k_window = 660'000; // twice the tolerance of 300 s, and a minute

} // namespace

TEST_CASE("[fault-11] the newest 200,000 deliveries are remembered, and more are no more: those that cannot come again go, oldest first") {
  const Scratch scratch;
  Store store = scratch.open();
  fill_memory(scratch, 203'000, k_came);
  const int64_t later = k_came + k_window + 1;
  for (int i = 0; i < 10; ++i)
    must(store.accept({delivery(cat("new", i), "b", cat("n", i))}, 1'000, later));
  CHECK(repeat(store, 203'000, later) == IntakeVerdict::repeated);
  CHECK(repeat(store, 4'500, later) == IntakeVerdict::repeated);
  CHECK(repeat(store, 1, later) == IntakeVerdict::accepted); // forgotten
  CHECK(repeat(store, 2'000, later) == IntakeVerdict::accepted);
}

TEST_CASE("[fault-11] what could still be replayed is never forgotten, however many came; a clock that was wrong keeps nothing") {
  const Scratch scratch;
  Store store = scratch.open();
  fill_memory(scratch, 250'000, k_came);
  for (int i = 0; i < 10; ++i)
    must(store.accept({delivery(cat("new", i), "b", cat("n", i))}, 1'000, k_came + k_window));
  CHECK(repeat(store, 1, k_came + k_window) == IntakeVerdict::repeated);
  CHECK(repeat(store, 1, k_came - k_window - 1) ==
      IntakeVerdict::repeated); // the clock was set back: their time is no time
  CHECK(repeat(store, 1, k_came - k_window - 1) == IntakeVerdict::accepted);
}

TEST_CASE("[fault-11] with a million deliveries that could be replayed no new one is taken, known ones are answered, and it goes on by itself") {
  const Scratch scratch;
  Store store = scratch.open();
  fill_memory(scratch, 1'000'000, k_came);
  const auto verdict = [&](const std::string& id, int64_t now_ms) {
    return must(store.accept({delivery(id, "b", id)}, 1'000, now_ms)).front().verdict;
  };
  CHECK(verdict("n1", k_came + 1'000) == IntakeVerdict::flooded);
  CHECK(repeat(store, 1, k_came + 1'000) == IntakeVerdict::repeated);
  CHECK(repeat(store, 1'000'000, k_came + 1'000) == IntakeVerdict::repeated);
  CHECK(verdict("n1", k_came + k_window) == IntakeVerdict::flooded);
  CHECK(verdict("n1", k_came + k_window + 1) == IntakeVerdict::flooded); // and room was made
  CHECK(verdict("n1", k_came + k_window + 1) == IntakeVerdict::accepted);
  const auto megabytes = std::filesystem::file_size(scratch.file()) >> 20;
  INFO(megabytes << " MB");
  CHECK(megabytes < 256); // the most that it costs
}

TEST_CASE("one sender's deliveries push out nothing of another's, nor keep his from being taken [attack-C10]") {
  const Scratch scratch;
  Store store = scratch.open();
  Intake quiet = delivery("push-1", "body of a push", "of-quiet");
  quiet.sender = "quiet";
  quiet.by_body = true; // GitHub's have no time, so that they can come again at any
  quiet.job.actor = "webhook:quiet";
  must(store.accept({quiet}, 1'000, k_came));
  fill_memory(scratch, 1'000'000, k_came);
  CHECK(
      must(store.accept({delivery("more", "b", "more")}, 1'000, k_came + 1'000)).front().verdict ==
      IntakeVerdict::flooded);
  Intake other = delivery("push-2", "another", "of-quiet-2", "shop");
  other.sender = "quiet";
  other.job.actor = "webhook:quiet";
  CHECK(must(store.accept({other}, 1'000, k_came + 1'000)).front().verdict ==
      IntakeVerdict::accepted);
  for (int i = 0; i < 20; ++i) // long after, when all of them may go
    must(store.accept({delivery(cat("new", i), "b", cat("n", i), cat("site", i))}, 1'000,
        k_came + 10 * k_window));
  quiet.id = "push-3";
  quiet.job = new_job("replayed");
  CHECK(must(store.accept({quiet}, 1'000, k_came + 10 * k_window)).front().verdict ==
      IntakeVerdict::repeated);
}

TEST_CASE("one sender's jobs fill nobody else's queue and push out nobody else's history, pings not even his own [attack-C10]") {
  const Scratch scratch;
  Store store = scratch.open();
  Job own = new_job("own", JobKind::restart);
  own.state = JobState::done;
  must(store.add_job(own)); // of "ci"
  Job others = new_job("others", JobKind::restart);
  others.actor = "uid:0 root";
  others.state = JobState::done;
  must(store.add_job(others));
  std::vector<Intake> batch;
  for (int i = 0; i < 13'000; ++i) {
    Intake ping = delivery(cat("ping", i), "b", cat("p", i));
    ping.job.kind = JobKind::ping;
    ping.job.state = JobState::done;
    batch.push_back(ping);
  }
  must(store.accept(batch, 10, 6'000));
  CHECK(must(store.job("own")));
  CHECK(must(store.job("others")));
  CHECK(must(store.jobs("", 100'000)).size() == 1'002);
  batch.clear();
  for (int i = 0; i < 11'500; ++i)
    batch.push_back(delivery(cat("m", i), "b", cat("j", i)));
  must(store.accept(batch, 10, 6'000));
  CHECK_FALSE(must(store.job("own")));
  CHECK(must(store.job("others")));
  for (int i = 0; i < 10; ++i)
    must(store.accept({delivery(cat("q", i), "b", cat("q", i), cat("site", i))}, 10, 6'000));
  CHECK(accept_one(store, delivery("full", "b", "full", "one"), 10).verdict == IntakeVerdict::full);
  Intake other = delivery("free", "b", "free", "two");
  other.sender = "laptop";
  other.job.actor = "webhook:laptop";
  CHECK(accept_one(store, other, 10).verdict == IntakeVerdict::accepted);
}

TEST_CASE("a batch is all or nothing") {
  const Scratch scratch;
  Store store = scratch.open();
  must(store.add_job(new_job("taken")));
  const auto answers =
      store.accept({delivery("m1", "b", "j1"), delivery("m2", "b", "taken")}, 1'000, 6'000);
  REQUIRE_FALSE(answers);
  CHECK(answers.error().code == Code::conflict);
  CHECK_FALSE(must(store.job("j1")));
  CHECK(accept_one(store, delivery("m1", "b", "j1")).verdict == IntakeVerdict::accepted);
}

TEST_CASE("many threads may accept at once: each delivery becomes one job") {
  const Scratch scratch;
  Store store = scratch.open();
  std::vector<std::thread> threads;
  for (int t = 0; t < 8; ++t)
    threads.emplace_back([&, t] {
      for (int i = 0; i < 25; ++i)
        (void)store.accept(
            {delivery(cat("m", i), "b", cat("j", t, "-", i), cat("site", i))}, 1'000, 6'000);
    });
  for (auto& thread : threads)
    thread.join();
  CHECK(must(store.unfinished()).size() == 25);
}

TEST_CASE("ended jobs over the bound go, oldest first, with their events; open ones and the newest stay") {
  const Scratch scratch;
  Store store = scratch.open();
  must(store.add_job(new_job("open", JobKind::restart, "shop")));
  std::vector<Intake> batch;
  for (int i = 0; i < 11'500; ++i) // each supersedes the one before
    batch.push_back(delivery(cat("m", i), "b", cat("j", i)));
  must(store.accept(batch, 1'000, 6'000));
  CHECK(must(store.job("open")));
  CHECK_FALSE(must(store.job("j0")));
  CHECK(must(store.events("j0", 0)).empty());
  CHECK(must(store.job("j11499")));
  CHECK(must(store.jobs("blog", 100'000)).size() == 10'000);
}
