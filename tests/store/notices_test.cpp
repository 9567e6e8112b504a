// Notices and the outbox: what is told is in the store with what it tells of, once, and bounded.
#include "store/notices.hpp"

#include "scratch.hpp"
#include "store/store_internal.hpp"

#include <algorithm>
#include <set>

using namespace chillbox;
using namespace chillbox::store;

namespace {

constexpr int64_t k_minute = 60'000, k_hour = 60 * k_minute, k_gather = 30'000;

struct Outbox {
  Scratch scratch;
  Store store = scratch.open();
  Notices notices{store};
  int64_t now = 1'800'000'000'000;
  Outbox() { must(store.state().db.script("PRAGMA synchronous = OFF")); } // it is not about power
  std::vector<Notices::Recipient> targets{{"ops", [](const Notice&) { return true; }}};

  void raise(std::string_view event, const std::string& site = "blog",
      const std::string& subject = "web", const std::string& text = "it ended") {
    must(notices.raise(
        {.event = event, .site = site, .subject = subject, .text = text, .time_ms = now}));
  }
  // What is sent now, each message as "WHAT EVENT/SITE/SUBJECT,..+MORE".
  std::vector<OutboxMessage> due() {
    must(notices.fan_out(targets, k_gather, now));
    return must(notices.due(
        [](const std::string&, const std::vector<Told>& told, uint64_t more) {
          std::string body;
          for (const auto& one : told)
            body += cat(body.empty() ? "" : ",", one.what, " ", one.notice.event, "/",
                one.notice.site, "/", one.notice.subject, "*", one.notice.count);
          return more == 0 ? body : cat(body, "+", more);
        },
        now));
  }
  std::vector<std::string> send() {
    std::vector<std::string> bodies;
    for (const auto& message : due()) {
      bodies.push_back(message.body);
      must(notices.sent(message, now));
    }
    return bodies;
  }
  std::vector<std::string> after(int64_t ms) {
    now += ms;
    return send();
  }
  std::string state_of(std::string_view event) {
    for (const auto& notice : must(notices.list(1'000)).notices)
      if (notice.event == event)
        return notice.state;
    return "none";
  }
};

using Bodies = std::vector<std::string>;

Job ended(JobState state, std::optional<Code> code, const std::string& message, int64_t at) {
  auto job = new_job("0123456789abcdef");
  job.state = state;
  job.code = code;
  job.message = message;
  job.finished_ms = at;
  return job;
}

} // namespace

TEST_CASE("[fault-1257] of two long crontab lines that begin alike, the one that is well does not end the notice of the other") {
  Outbox o;
  const std::string begin = "*/5 * * * * " + std::string(120, 'x');
  CronRun bad{.site = must(SiteName::parse("blog")),
      .release = "1.0.0-1",
      .line = begin + " send",
      .started_ms = o.now},
      good = bad;
  good.line = begin + " clean";
  for (CronRun* run : {&bad, &good}) {
    run->id = must(o.store.begin_cron_run(*run));
    run->state = run == &bad ? CronState::failed : CronState::done;
    run->code = run == &bad ? 1 : 0;
    run->ended_ms = o.now;
    must(o.store.end_cron_run(*run));
  }
  CHECK(o.state_of("cron.failed") == "open");
  must(o.notices.keep_cron(bad.site, {bad.line}, o.now));
  CHECK(o.state_of("cron.failed") == "open");
  must(o.notices.keep_cron(bad.site, {good.line}, o.now));
  CHECK(o.state_of("cron.failed") == "resolved");
}

TEST_CASE("[fault-1251] what to do about a certificate, of a site's wildcards or the host's own, is a command that takes it") {
  Outbox o;
  o.raise("cert.failed", "blog", "blog.wildcard");
  o.raise("cert.expiring", "", "_host");
  const auto list = must(o.notices.list(10)).notices;
  CHECK(list.at(0).advice == "see `chillboxctl tls _host`");
  CHECK(list.at(1).advice == "see `chillboxctl tls blog`");
}

TEST_CASE("the end of a job and its notice are one transaction, and the next good deploy ends it") {
  Outbox o;
  must(o.store.add_job(new_job("0123456789abcdef")));
  must(o.store.record(ended(JobState::failed, Code::unhealthy, "health: no", o.now), {}));
  auto list = must(o.notices.list(10)).notices;
  REQUIRE(list.size() == 1);
  CHECK(list[0].event == "deploy.failed");
  CHECK(list[0].site == "blog");
  CHECK(list[0].text == "deploy of 1.2.3: health: no");
  CHECK(list[0].severity == "error");
  CHECK(list[0].advice == "see `chillboxctl jobs blog`");
  CHECK(o.store.record(ended(JobState::failed, Code::unhealthy, "again", o.now), {}).error().code ==
      Code::conflict);
  CHECK(must(o.notices.list(10)).notices[0].count == 1); // nothing of a transaction that failed

  must(o.store.add_job(new_job("1123456789abcdef")));
  auto good = ended(JobState::done, std::nullopt, "live", o.now);
  good.id = "1123456789abcdef";
  must(o.store.record(good, {}));
  CHECK(o.state_of("deploy.failed") == "resolved");
}

TEST_CASE("which ends of jobs, runs and unlocks are told of") {
  Outbox o;
  const auto end = [&](JobKind kind, JobState state, std::optional<Code> code) {
    const std::string id = new_job_id(o.now);
    must(o.store.add_job(new_job(id, kind)));
    auto job = ended(state, code, "why", o.now);
    job.id = id;
    job.kind = kind;
    must(o.store.record(job, {}));
  };
  end(JobKind::deploy, JobState::failed, Code::busy); // a hold is no failure
  end(JobKind::deploy, JobState::cancelled, Code::busy);
  end(JobKind::stop, JobState::failed, Code::failure);
  CHECK(must(o.notices.list(10)).notices.empty());
  end(JobKind::deploy, JobState::failed, Code::rolled_back);
  CHECK(o.state_of("deploy.rolled_back") == "open");

  CronRun run{.site = site(), .release = "1-1", .line = "* * * * * false", .started_ms = o.now};
  run.id = must(o.store.begin_cron_run(run));
  run.state = CronState::failed;
  run.ended_ms = o.now;
  run.code = 3;
  must(o.store.end_cron_run(run));
  CHECK(o.state_of("cron.failed") == "open");
  run.id = must(o.store.begin_cron_run(run));
  run.state = CronState::done;
  run.code = 0;
  must(o.store.end_cron_run(run));
  CHECK(o.state_of("cron.failed") == "resolved");

  must(o.store.set_attempts(1000, {2, o.now}));
  CHECK(o.state_of("unlock.refused") == "none");
  must(o.store.set_attempts(1000, {3, o.now}));
  must(o.store.set_attempts(1000, {4, o.now + 1}));
  CHECK(o.state_of("unlock.refused") == "once");
  must(o.store.audit({0, o.now, "uid:0 root", "trust_add", "", "deployer 'kim'", "ok"}));
  CHECK(o.state_of("trust.changed") == "once");
}

TEST_CASE("a burst is one message, an open one is told again after a day, an end once [fault-692]") {
  Outbox o;
  for (int i = 0; i < 40; ++i) {
    o.raise("service.gave_up", cat("site", i % 4), "web");
    CHECK(o.send().empty());
    o.now += 500;
  }
  o.now += k_gather;
  const auto first = o.send();
  REQUIRE(first.size() == 1);
  CHECK(first[0] ==
      "open service.gave_up/site0/web*10,open service.gave_up/site1/web*10,"
      "open service.gave_up/site2/web*10,open service.gave_up/site3/web*10");
  CHECK(o.after(23 * k_hour).empty());
  CHECK(o.after(k_hour).empty()); // it gathers
  CHECK(o.after(k_gather).at(0).starts_with("still service.gave_up/site0/web*10,"));
  must(o.notices.resolve("service.gave_up", "site0", std::nullopt, o.now));
  CHECK(o.send().empty());
  CHECK(o.after(k_gather) == Bodies{"resolved service.gave_up/site0/web*10"});
  must(o.notices.resolve("service.gave_up", "site0", std::nullopt, o.now));
  CHECK(o.after(k_hour).empty());
}

TEST_CASE("a thousand crashes in an hour are one message, one a day, and one at the end [fault-684]") {
  Outbox o;
  Bodies told;
  const auto pass = [&](int64_t ms) {
    o.now += ms;
    must(o.notices.calm(o.now));
    for (auto& body : o.send())
      told.push_back(std::move(body));
  };
  for (int i = 0; i < 1'000; ++i) {
    o.raise("service.crashed");
    pass(3'600);
  }
  CHECK(told.size() == 1);
  CHECK(o.state_of("service.crashed") == "open");
  for (int i = 0; i < 31; ++i)
    pass(10'000); // five minutes without a crash, and the gathering
  REQUIRE(told.size() == 1);
  pass(k_gather);
  REQUIRE(told.size() == 2);
  CHECK(told[1] == "resolved service.crashed/blog/web*1000");
  for (int hour = 0; hour < 48; ++hour)
    pass(k_hour);
  CHECK(told.size() == 2);
}

TEST_CASE("one that crashes for two days is told of once a day [fault-684]") {
  Outbox o;
  Bodies told;
  for (int i = 0; i < 2 * 24 * 30; ++i) { // each two minutes, the longest pause
    o.raise("service.crashed");
    must(o.notices.calm(o.now));
    for (auto& body : o.after(2 * k_minute))
      told.push_back(std::move(body));
  }
  REQUIRE(told.size() == 2);
  CHECK(told[0].starts_with("open "));
  CHECK(told[1].starts_with("still "));
}

TEST_CASE("a target gets at most twenty messages an hour, and the rest in the next [fault-692]") {
  Outbox o;
  size_t sent = 0;
  for (int i = 0; i < 60; ++i) { // each of them a burst of its own
    o.raise("memory.oom", cat("site", i), "web");
    sent += o.send().size();
    sent += o.after(40'000).size();
  }
  CHECK(sent == k_messages_an_hour);
  const auto rest = o.after(k_hour);
  REQUIRE(rest.size() == 1);
  CHECK(std::ranges::count(rest[0], ',') == 39);
}

TEST_CASE("what a message says and its id never change, and it is sent until it is taken [fault-685]") {
  Outbox o;
  o.raise("service.gave_up");
  CHECK(o.due().empty());
  o.now += k_gather;
  const auto first = o.due();
  REQUIRE(first.size() == 1);
  CHECK(first[0].id.starts_with("msg_"));
  o.raise("service.gave_up"); // counts, but not there
  { // a daemon that is killed between the write and the send: the store is all there is
    Store next = o.scratch.open();
    const auto again = must(Notices(next).due({}, o.now));
    REQUIRE(again.size() == 1);
    CHECK(again[0].id == first[0].id);
    CHECK(again[0].body == first[0].body);
  }
  must(o.notices.failed(first[0], "answered 500", o.now + 5'000, o.now));
  CHECK(o.due().empty());
  o.now += 5'000;
  const auto second = o.due();
  REQUIRE(second.size() == 1);
  CHECK(second[0].id == first[0].id);
  CHECK(second[0].attempt == 1);
  must(o.notices.sent(second[0], o.now));
  CHECK(o.after(k_hour).empty());
}

TEST_CASE("what is given up stays, is told to the others, and can be sent again [fault-680]") {
  Outbox o;
  o.targets.push_back({"boss", [](const Notice& n) { return n.subject != "boss"; }});
  o.targets[0].wants = [](const Notice& n) { return n.subject != "ops"; };
  o.raise("service.gave_up");
  (void)o.send();
  o.now += k_gather;
  for (const auto& message : o.due()) {
    if (message.target == "ops")
      must(o.notices.failed(message, "answered 500", std::nullopt, o.now));
    else
      must(o.notices.sent(message, o.now));
  }
  CHECK(o.send().empty());
  CHECK(o.after(k_gather) == Bodies{"open notify.exhausted//ops*1"});
  CHECK(must(o.notices.counts("ops")).exhausted == 1);
  CHECK(must(o.notices.retry("ops", o.now)) == 1);
  CHECK(o.send() == Bodies{"open service.gave_up/blog/web*1"});
}

TEST_CASE("a disabled target gets nothing, loses nothing, and goes on with retry [fault-681]") {
  Outbox o;
  o.raise("service.gave_up");
  must(o.notices.disable("ops", "digest", "it answered 410", o.now));
  (void)o.send();
  CHECK(o.after(k_hour).empty());
  REQUIRE(must(o.notices.targets()).size() == 1);
  CHECK(must(o.notices.targets())[0].disabled == "it answered 410");
  (void)must(o.notices.retry("ops", o.now));
  CHECK(o.send().size() == 1);
}

TEST_CASE("a clock that is set moves nothing: no storm, and nothing waits for a year [fault-686]") {
  constexpr int64_t k_year = 365 * 24 * k_hour;
  for (const int64_t set : {k_year, -k_year}) {
    Outbox o;
    o.raise("service.gave_up");
    (void)o.send();
    (void)o.after(k_gather);
    o.raise("service.gave_up", "shop");
    (void)o.send();
    o.now += k_gather;
    const auto waiting = o.due();
    REQUIRE(waiting.size() == 1);
    must(o.notices.failed(waiting[0], "answered 500", o.now + 30 * k_minute, o.now));
    o.now += set;
    must(o.notices.shift(set));
    CHECK(o.send().empty());
    CHECK(o.after(29 * k_minute).empty());
    CHECK(o.after(2 * k_minute).size() == 1);
    CHECK(o.after(20 * k_hour).empty()); // the day is still a day
    // It was set while no daemon ran.
    o.raise("service.gave_up", "wiki");
    (void)o.send();
    o.now -= k_year;
    must(o.notices.clamp(o.now));
    CHECK(o.send().size() == 1);
  }
}

TEST_CASE("a hundred thousand notices: a thousand are kept, the least go first, and it is said [fault-690]") {
  Outbox o;
  for (int i = 0; i < 1'100; ++i)
    o.raise("service.gave_up", cat("site", i));
  for (int i = 0; i < 1'200; ++i)
    o.raise("site.notice", "blog", "", cat("text ", i));
  const auto list = must(o.notices.list(10'000));
  CHECK(std::ranges::count(list.notices, "open", &Notice::state) == k_notices_open);
  CHECK(list.dropped == 100);
  (void)o.send();
  o.now += k_gather;
  const auto message = o.due();
  REQUIRE(message.size() == 1);
  CHECK(std::ranges::count(message[0].body, ',') == k_notices_open - 1);
  CHECK(message[0].body.find("site.notice") == std::string::npos);
  CHECK(message[0].body.find("+") != std::string::npos);
  must(o.notices.sent(message[0], o.now));
  o.raise("memory.oom");
  CHECK(must(o.notices.list(10'000)).notices.size() <= 2 * k_notices_open + 1);
}

TEST_CASE("a state that is looked at is open as long as it is so") {
  Outbox o;
  const auto low = [&](const std::string& path) {
    return Happening{
        .event = "disk.low", .site = {}, .subject = path, .text = "1 MB", .time_ms = o.now};
  };
  must(o.notices.set("disk.low", {low("/"), low("/srv")}, o.now));
  const uint64_t changed = o.notices.changed();
  must(o.notices.set("disk.low", {low("/"), low("/srv")}, o.now));
  CHECK(o.notices.changed() == changed);
  must(o.notices.set("disk.low", {low("/srv")}, o.now));
  auto list = must(o.notices.list(10)).notices;
  REQUIRE(list.size() == 2);
  CHECK(list[0].subject == "/srv");
  CHECK(list[0].state == "open");
  CHECK(list[1].state == "resolved");
  CHECK(o.notices.raise({.event = "no.such", .site = {}, .subject = {}, .text = {}}).error().code ==
      Code::invalid);
}

TEST_CASE("who was not told until now hears what is open, and not what is over") {
  Outbox o;
  o.raise("service.gave_up");
  o.raise("memory.oom");
  must(o.notices.forget_untold());
  (void)o.send();
  CHECK(o.after(k_gather) == Bodies{"open service.gave_up/blog/web*1"});
  must(o.notices.forget("ops"));
  CHECK(must(o.notices.targets()).empty());
}
