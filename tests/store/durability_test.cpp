#include "faulty_vfs.hpp"
#include "scratch.hpp"

#include "base/unsynced.hpp"
#include "store/store_internal.hpp"

#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>

using namespace chillbox;
using namespace chillbox::store;

namespace {

// Accepts batches of two until one is refused or `most` are in; returns how many were acknowledged.
int accept_until_refused(Store& store, int most, Error& refusal) {
  for (int i = 0; i < most; ++i) {
    const auto answers = store.accept({delivery(cat("a", i), "b", cat("a", i), "one"),
                                          delivery(cat("b", i), "b", cat("b", i), "two")},
        1'000, 6'000);
    if (!answers) {
      refusal = answers.error();
      return i;
    }
  }
  return most;
}

// Every acknowledged pair is there; of the others none is there in half.
void check_pairs(Store& store, int acknowledged, int most) {
  for (int i = 0; i < most; ++i) {
    const bool a = must(store.job(cat("a", i))).has_value();
    const bool b = must(store.job(cat("b", i))).has_value();
    CHECK(a == b);
    if (i < acknowledged)
      CHECK(a);
  }
}

[[noreturn]] void write_for_ever(const std::string& file, int round, int out) {
  auto store = Store::open(file, 1);
  if (!store)
    _exit(2);
  for (int i = 0;; ++i) {
    std::vector<Intake> batch;
    for (int k = 0; k < 4; ++k)
      batch.push_back(delivery(
          cat("m", round, "-", i, "-", k), "b", cat("j", round, "-", i, "-", k), cat("s", k)));
    if (!store->accept(batch, 1'000'000, 6'000))
      _exit(3);
    if (::write(out, &i, sizeof i) != sizeof i) // only now is it acknowledged
      _exit(4);
  }
}

} // namespace

TEST_CASE("accept returns only after the log was synced") {
  FaultyVfs vfs;
  const Scratch scratch;
  Store store = scratch.open();
  vfs.heal();
  accept_one(store, delivery("m1", "b", "j1"));
  const auto& trace = vfs.trace();
  REQUIRE(trace.size() >= 2);
  CHECK(trace.front() == "write state.db-wal");
  CHECK(trace.back() == "sync state.db-wal");
}

TEST_CASE("[fault-514] syncs that could not be turned on again are, before anything else is written") {
  const Scratch scratch;
  (void)scratch.open();
  Db db = must(Db::open(scratch.file()));
  const auto level = [&] { return must(db.number("PRAGMA synchronous")); };
  must(db.script("PRAGMA synchronous = FULL"));
  const Unsynced unsynced;
  {
    std::optional<Relaxed> relaxed(db);
    const Txn txn = must(Txn::begin(db));
    relaxed.reset(); // SQLite refuses it within a transaction
    CHECK(level() == 1);
  }
  CHECK(level() == 2);
}

TEST_CASE("[fault-20] a full disk is no_space with the file's name, never an accepted job, and all goes on when there is room") {
  FaultyVfs vfs;
  const Scratch scratch;
  Store store = scratch.open();
  accept_one(store, delivery("m1", "b", "j1"));
  vfs.fail_after(0);
  const auto refused = store.accept({delivery("m2", "b", "j2")}, 1'000, 6'000);
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == Code::no_space);
  INFO(refused.error().message);
  CHECK(refused.error().message.find(scratch.file()) != std::string::npos);
  vfs.heal();
  CHECK_FALSE(must(store.job("j2")));
  CHECK(accept_one(store, delivery("m1", "b", "x")).verdict == IntakeVerdict::repeated);
  CHECK(accept_one(store, delivery("m2", "b", "j2")).verdict == IntakeVerdict::accepted);
}

TEST_CASE("[fault-91] a sync that fails is a failure, and what was acknowledged before is there after it") {
  FaultyVfs vfs;
  const Scratch scratch;
  {
    Store store = scratch.open();
    accept_one(store, delivery("m1", "b", "j1"));
    vfs.heal();
    accept_one(store, delivery("m2", "b", "j2"));
    const auto operations = static_cast<int>(vfs.trace().size());
    vfs.fail_after(operations - 1); // the same again, up to its sync
    const auto refused = store.accept({delivery("m3", "b", "j3")}, 1'000, 6'000);
    REQUIRE_FALSE(refused);
    CHECK(refused.error().code == Code::failure);
    vfs.heal();
  }
  Store store = scratch.open();
  CHECK(must(store.job("j1")));
  CHECK(must(store.job("j2")));
}

TEST_CASE("[fault-88] whichever write or sync fails, what was acknowledged is there and nothing is there in half") {
  FaultyVfs vfs;
  const int most = 12;
  int failures = 0;
  for (int healthy = 0; healthy < 200; healthy += 3) {
    const Scratch scratch;
    int acknowledged = 0;
    {
      Store store = scratch.open();
      Error refusal{Code::failure, ""};
      vfs.fail_after(healthy);
      acknowledged = accept_until_refused(store, most, refusal);
      failures += vfs.failed() ? 1 : 0;
      vfs.heal();
      check_pairs(store, acknowledged, most); // the open store goes on
    }
    Store store = scratch.open();
    check_pairs(store, acknowledged, most);
  }
  CHECK(failures > 10);
}

TEST_CASE("[fault-120] kill -9 in the middle of writing loses nothing that was acknowledged") {
  const Scratch scratch;
  scratch.open();
  for (int round = 0; round < 4; ++round) {
    int ends[2];
    REQUIRE(::pipe(ends) == 0);
    const pid_t child = ::fork(); // no store is open here
    if (child == 0)
      write_for_ever(scratch.file(), round, ends[1]);
    ::close(ends[1]);
    int last = -1;
    while (last < 60 + 37 * round && ::read(ends[0], &last, sizeof last) == sizeof last) {}
    ::kill(child, SIGKILL);
    while (::read(ends[0], &last, sizeof last) == sizeof last) { // acknowledged before it died
    }
    ::close(ends[0]);
    int status = 0;
    REQUIRE(::waitpid(child, &status, 0) == child);
    REQUIRE(WIFSIGNALED(status));
    REQUIRE(last >= 60);
    Store store = scratch.open();
    for (int i = 0; i <= last + 1; ++i) {
      int there = 0;
      for (int k = 0; k < 4; ++k)
        there += must(store.job(cat("j", round, "-", i, "-", k))) ? 1 : 0;
      CHECK((there == 4 || (there == 0 && i > last)));
    }
  }
}

TEST_CASE("[fault-993] an end that a full disk does not take is known at once and written later, once") {
  FaultyVfs disk;
  const Scratch scratch;
  Store store = scratch.open();
  must(store.add_job(new_job("j1")));
  Job job = *must(store.job("j1"));
  job.state = JobState::running;
  must(store.record(job, {{0, 1, "check", EventKind::begin, ""}}));
  job.state = JobState::failed;
  job.code = Code::unhealthy;
  job.message = "it crashes";
  job.finished_ms = 9;
  disk.fail_after(0);
  CHECK(store.record(job, {{0, 9, "check", EventKind::end, "it crashes"}}).error().code ==
      Code::no_space);
  CHECK(store.has_unwritten_ends());
  CHECK_FALSE(store.write_ends());
  const auto known = [&] {
    CHECK(must(store.job("j1"))->state == JobState::failed);
    CHECK(must(store.jobs("", 1)).at(0).message == "it crashes");
    CHECK(must(store.jobs("blog", 1)).at(0).finished_ms == 9);
    CHECK(must(store.unfinished()).empty());
    const auto events = must(store.events("j1", 1));
    REQUIRE(events.size() == 1);
    CHECK(events[0].number == 2);
    CHECK(events[0].text == "it crashes");
    CHECK(must(store.events("j1", 2)).empty());
    CHECK(must(store.events("j1", 0, 1)).size() == 1);
  };
  known();
  disk.heal();
  must(store.write_ends());
  CHECK_FALSE(store.has_unwritten_ends());
  must(store.write_ends());
  known();
  CHECK(must(store.audit_entries(10)).size() == 1);
  // What has ended otherwise meanwhile is not kept for ever.
  CHECK(store.record(job, {}).error().code == Code::conflict);
  CHECK_FALSE(store.has_unwritten_ends());
}
