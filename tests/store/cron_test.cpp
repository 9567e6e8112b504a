#include "scratch.hpp"
#include "store/totals.hpp"

using namespace chillbox;
using namespace chillbox::store;

namespace {

CronRun run_of(const std::string& line, int64_t at, const std::string& name = "blog") {
  return {.site = site(name), .release = "1.0.0-1", .line = line, .started_ms = at};
}

CronRun skip_of(const std::string& line, int64_t at, const std::string& why) {
  auto run = run_of(line, at);
  run.state = CronState::skipped;
  run.ended_ms = at;
  run.text = why;
  return run;
}

} // namespace

TEST_CASE("a run is open until it has ended, and read back with its end") {
  const Scratch scratch;
  uint64_t id = 0;
  {
    Store store = scratch.open();
    id = must(store.begin_cron_run(run_of("* * * * * a", 100)));
    REQUIRE(must(store.open_cron_runs()).size() == 1);
    auto run = *must(store.cron_run(id));
    CHECK(run.state == CronState::running);
    CHECK_FALSE(run.code);
    run.state = CronState::failed;
    run.ended_ms = 200;
    run.code = 3;
    run.text = "last words";
    must(store.end_cron_run(run));
  }
  Store store = scratch.open();
  CHECK(must(store.open_cron_runs()).empty());
  const auto last = *must(store.last_cron_run(site(), "* * * * * a"));
  CHECK(last.id == id);
  CHECK(last.state == CronState::failed);
  CHECK(last.code == 3);
  CHECK(last.text == "last words");
  CHECK(last.ended_ms == 200);
  CHECK_FALSE(must(store.last_cron_run(site(), "* * * * * b")));
  CHECK(must(store.begin_cron_run(run_of("* * * * * a", 300))) > id);
}

TEST_CASE("an entry that is skipped for the same reason again is counted, not repeated") {
  const Scratch scratch;
  Store store = scratch.open();
  must(store.skip_cron_run(skip_of("a", 100, "sealed")));
  must(store.skip_cron_run(skip_of("b", 100, "sealed")));
  must(store.skip_cron_run(skip_of("a", 200, "sealed")));
  must(store.skip_cron_run(skip_of("a", 300, "runs already")));
  must(store.skip_cron_run(skip_of("a", 400, "sealed")));
  const auto runs = must(store.runs(site(), control::RunKind::cron, 10));
  REQUIRE(runs.size() == 4);
  CHECK(runs[3].count == 2);
  CHECK(runs[3].started_ms == 100);
  CHECK(runs[3].ended_ms == 200);
  CHECK(runs[0].count == 1);
}

TEST_CASE("the newest 100 runs of each entry are kept, and a frequent entry does not push out a rare one") {
  const Scratch scratch;
  Store store = scratch.open();
  auto rare = run_of("rare", 1);
  rare.id = must(store.begin_cron_run(rare));
  rare.ended_ms = 2;
  must(store.end_cron_run(rare));
  for (int i = 0; i < 150; ++i) {
    auto run = run_of("often", 10 + i);
    run.id = must(store.begin_cron_run(run));
    run.ended_ms = run.started_ms + 1;
    must(store.end_cron_run(run));
  }
  const auto runs = must(store.runs(site(), control::RunKind::cron, 1000));
  CHECK(runs.size() == 101);
  CHECK(runs.back().line == "rare");
  CHECK(must(store.runs(site("shop"), control::RunKind::cron, 10)).empty());
  must(store.delete_site(site()));
  CHECK(must(store.runs(site(), control::RunKind::cron, 10)).empty());
}

TEST_CASE("[fault-709] what ended of a site is counted for as long as the site is there, whatever history forgets") {
  const Scratch scratch;
  Store store = scratch.open();
  must(store.skip_cron_run(skip_of("a", 100, "sealed"))); // no such site: a stranger may name many
  CHECK(must(read_totals(store)).empty());
  must(store.put_site({.site = site(), .live = {}, .previous_good = {}, .ports = {}}));
  const auto end_run = [&](CronState state, int64_t ms) {
    auto run = run_of("a", 1'000);
    run.id = must(store.begin_cron_run(run));
    run.state = state;
    run.ended_ms = 1'000 + ms;
    must(store.end_cron_run(run));
  };
  for (int i = 0; i < 150; ++i)
    end_run(CronState::done, 2);
  end_run(CronState::failed, -5); // the clock was set back
  must(store.skip_cron_run(skip_of("a", 100, "sealed")));
  must(store.skip_cron_run(skip_of("a", 200, "sealed")));
  Job job{.id = new_job_id(1), .kind = JobKind::deploy, .site = site()};
  must(store.add_job(job));
  job.state = JobState::failed;
  job.code = Code::rolled_back;
  job.started_ms = 100;
  job.finished_ms = 350;
  must(store.finish_job(job, "over"));
  const auto find = [&](std::string_view what, std::string_view kind, std::string_view result) {
    for (const auto& total : must(read_totals(store)))
      if (total.site == "blog" && total.what == what && total.kind == kind &&
          total.result == result)
        return std::pair(total.number, total.ms);
    return std::pair<uint64_t, uint64_t>();
  };
  CHECK(must(store.runs(site(), control::RunKind::cron, 1'000)).size() < 150);
  CHECK(find("run", "cron", "done") == std::pair<uint64_t, uint64_t>(150, 300));
  CHECK(find("run", "cron", "failed") == std::pair<uint64_t, uint64_t>(1, 0));
  CHECK(find("run", "cron", "skipped") == std::pair<uint64_t, uint64_t>(2, 0));
  CHECK(find("job", "deploy", "rolled_back") == std::pair<uint64_t, uint64_t>(1, 250));
  must(store.delete_site(site()));
  CHECK(must(read_totals(store)).empty());
}
