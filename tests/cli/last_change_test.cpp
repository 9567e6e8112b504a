#include "catch.hpp"

#include "cli/core/last_change.hpp"

#include <algorithm>

using namespace chillbox;
using namespace chillbox::cli;
using control::Job;
using control::JobKind;

namespace {

Job job(const std::string& id, JobKind kind, const std::string& previous = "r1",
    const std::string& release = "r1") {
  Job one{.id = id, .kind = kind, .site = *SiteName::parse("hello")};
  one.actor = "uid:0 root";
  one.state = control::JobState::done;
  one.previous = previous;
  one.release = release;
  return one;
}
Job of_service(Job one, const std::string& service) {
  one.service = service;
  return one;
}

// In the order in which they happened: the last change as "ID", or "ID starts SERVICE,SERVICE".
std::string last(std::vector<Job> jobs) {
  std::ranges::reverse(jobs);
  const auto change = last_change(jobs);
  if (!change)
    return "none";
  std::string text = change->job.id;
  for (const auto& service : change->started)
    text += " starts " + (service.empty() ? "all" : service);
  return text;
}

const Job k_first = job("first", JobKind::deploy, "", "r1");

} // namespace

TEST_CASE("[fault-1096] a start of what ran, and a second stop, changed nothing") {
  const auto start = job("start", JobKind::start), stop = job("stop", JobKind::stop);
  CHECK(last({}) == "none");
  CHECK(last({start}) == "none"); // what was before is not known
  CHECK(last({k_first, start}) == "first");
  CHECK(last({k_first, stop}) == "stop");
  CHECK(last({k_first, stop, job("again", JobKind::stop)}) == "stop");
  CHECK(last({k_first, stop, start}) == "start starts all");
  CHECK(last({k_first, stop, start, job("again", JobKind::start)}) == "start starts all");
  CHECK(last({k_first, stop, job("restart", JobKind::restart)}) == "restart starts all");
  CHECK(last({k_first, job("restart", JobKind::restart)}) == "first");
}

TEST_CASE("[fault-1096] a start after one service was stopped started that one") {
  const auto worker = of_service(job("stop", JobKind::stop), "worker"),
             web = of_service(job("stop2", JobKind::stop), "web");
  const auto start = of_service(job("start", JobKind::start), "worker");
  CHECK(last({k_first, worker}) == "stop");
  CHECK(last({k_first, worker, start}) == "start starts worker");
  CHECK(last({k_first, worker, web, job("start", JobKind::start)}) ==
      "start starts web starts worker");
  CHECK(last({k_first, worker, job("deploy", JobKind::deploy, "r1", "r2"), start}) == "deploy");
}

TEST_CASE("[fault-1096] a deploy or a rollback of what is live changed nothing, but may have started the site") {
  const auto two = job("two", JobKind::deploy, "r1", "r2");
  for (const auto kind : {JobKind::deploy, JobKind::rollback}) {
    const auto again = job("again", kind, "r2", "r2");
    CHECK(last({k_first, two, again}) == "two");
    CHECK(
        last({k_first, two, job("stop", JobKind::stop, "r2", "r2"), again}) == "again starts all");
  }
  auto with_data = job("data", JobKind::rollback, "r2", "r2");
  with_data.options.with_data = true;
  CHECK(last({k_first, two, with_data}) == "data");
  CHECK(last({k_first, two, job("restore", JobKind::restore, "r2", "r2")}) == "restore");
}

TEST_CASE("[fault-1096] secrets that were in use, a watch that held, failed jobs and those of another host changed nothing") {
  auto secrets = job("secrets", JobKind::secrets);
  secrets.step = "obtain";
  CHECK(last({k_first, secrets}) == "first");
  secrets.step = "retire";
  CHECK(last({k_first, secrets}) == "secrets");
  CHECK(last({k_first, job("watch", JobKind::watch)}) == "first");
  CHECK(last({k_first, job("watch", JobKind::watch, "r2", "r1")}) == "watch");
  auto failed = job("failed", JobKind::stop);
  failed.state = control::JobState::failed;
  CHECK(last({k_first, failed}) == "first");
  auto imported = job("imported", JobKind::stop);
  imported.actor = "person:kim on web2";
  CHECK(last({k_first, imported}) == "first");
  CHECK(last({k_first, job("ping", JobKind::ping)}) == "first");
}
