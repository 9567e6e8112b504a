// The lists of steps: what is written elsewhere is what runs, and what an earlier version recorded
// is understood.
#include "rollout/host.hpp"

#include "rollout/data_exchange.hpp"
#include "rollout/steps.hpp"

#include <fstream>
#include <set>
#include <sstream>

using namespace chillbox;
using namespace chillbox::test;
using rollout::Step;
using store::JobKind;
using store::JobState;

namespace {

constexpr JobKind k_kinds[] = {JobKind::deploy, JobKind::secrets, JobKind::restart,
    JobKind::rollback, JobKind::start, JobKind::stop, JobKind::remove, JobKind::restore};

std::string file(const std::string& path) {
  std::ostringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

std::string list_of(rollout::Steps steps) {
  std::vector<std::string> names;
  for (const auto* step : steps)
    names.emplace_back(step->name);
  return join(names, " ");
}

rollout::Steps plan_with_data() {
  store::Job job{.kind = JobKind::rollback, .site = site()};
  job.options.with_data = true;
  return rollout::steps_of(job);
}

} // namespace

TEST_CASE("DESIGN.md has the steps of each kind of job, and says what each of them does") {
  const std::string design = file("agent/DESIGN.md");
  for (const auto kind : k_kinds) {
    const auto steps = rollout::steps_of(kind);
    if (steps.size() == 1)
      continue; // it is what its name says
    std::string line(store::name(kind));
    line.resize(10, ' ');
    CHECK(design.find(cat("\n", line, list_of(steps), "\n")) != std::string::npos);
    for (const auto* step : steps)
      CHECK(design.find(cat("| ", step->name, " | ")) != std::string::npos);
  }
}

TEST_CASE("DESIGN.md has the steps of a rollback with the data, each with its row") {
  const std::string design = file("agent/DESIGN.md");
  CHECK(design.find(cat("\nwith-data ", list_of(plan_with_data()), "\n")) != std::string::npos);
  std::set<std::string_view> names;
  auto phase = Step::Phase::before_commit;
  for (const auto* step : plan_with_data()) {
    CHECK(design.find(cat("| ", step->name, " | ")) != std::string::npos);
    CHECK(names.insert(step->name).second);
    CHECK(step->phase >= phase);
    phase = step->phase;
  }
}

TEST_CASE("the test of a real deploy expects the steps of a deploy") {
  CHECK(file("bats/host-deploy.bats")
            .find(cat("\nSTEPS='", list_of(rollout::steps_of(JobKind::deploy)), "'\n")) !=
      std::string::npos);
}

TEST_CASE("no step can be taken for another one, also by its earlier name") {
  for (const auto kind : k_kinds) {
    std::set<std::string_view> names;
    for (const auto* step : rollout::steps_of(kind))
      for (const auto name : {step->name, step->old_name})
        CHECK((name.empty() || names.insert(name).second));
  }
}

TEST_CASE("a job continues after its commit or is undone, and never both") {
  for (const auto kind : k_kinds) {
    auto phase = Step::Phase::before_commit;
    for (const auto* step : rollout::steps_of(kind)) {
      CHECK(step->phase >= phase);
      phase = step->phase;
    }
  }
}

TEST_CASE("[fault-120] a job that an earlier version left in a step of another name is recovered") {
  const auto before = GENERATE(as<std::string>(), "handover", "restage", "target");
  Host host;
  host.unlock();
  REQUIRE(host.deploy(Order{.version = "1.0.0"}).state == JobState::done);
  REQUIRE(host.deploy(Order{.version = "2.0.0"}).state == JobState::done);
  auto job = host.queue(JobKind::rollback);
  job.state = JobState::running;
  job.step = before;
  job.started_ms = 1;
  job.previous = host.live().id;
  for (const auto& release : must(host.store().releases(site())))
    if (release.version == "1.0.0")
      job.release = release.id;
  REQUIRE(host.store().update_job(job));
  host.restart();
  host.unlock();
  const auto ended = host.run(job);
  INFO(ended.message);
  CHECK(ended.state == JobState::done);
  std::string undone;
  for (const auto& event : must(host.store().events(job.id, 0)))
    if (event.kind == store::EventKind::undo)
      undone += event.step;
  CHECK(undone == before);
  CHECK(disagreement(host, "1.0.0") == "");
}
