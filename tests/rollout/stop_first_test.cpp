// Services that must not run twice: the old copy has stopped before the new one starts, and comes
// back when that one does not hold.
#include "rollout/host.hpp"

using namespace chillbox;
using namespace chillbox::test;
using store::JobKind;
using store::JobState;

namespace {

const std::string k_stop_services = R"([{"name":"app","lang":"python","health":{"deadline":"2s"}},
  {"name":"db","lang":"python","strategy":"stop-first","health":{"deadline":"2s"},"release_command":"/usr/bin/migrate"}])";

Order order(const std::string& version) {
  return {.version = version,
      .services = k_stop_services,
      .files = {{"app/app.py", version}, {"db/db.py", version}}};
}

// 1.0.0 is live; `twice` remembers whether two copies of db ever ran side by side.
struct PairHost : Host {
  PairHost() {
    unlock();
    REQUIRE(deploy(order("1.0.0")).state == JobState::done);
    runner.forget();
    runner.before = [this](const std::string&) { look_for_two(); };
  }
  ~PairHost() { CHECK_FALSE(twice); }
  void look_for_two() { twice |= !slot("a").empty() && !slot("b").empty(); }
  std::string slot(
      const std::string& slot, const std::string& service = "db") { // the release that runs there
    return context().slots.release_in(
        {site(), ServiceName::parse(service).value(), parse_slot(slot)});
  }
  ptrdiff_t at(const std::string& command) {
    const auto all = runner.commands();
    const auto it = std::ranges::find(all, command);
    REQUIRE(it != all.end());
    return it - all.begin();
  }
  bool twice = false;
};

} // namespace

TEST_CASE("a service with stop-first never runs twice; all others are up by then, and all switch together") {
  PairHost host;
  const auto job = host.deploy(order("2.0.0"));
  INFO(job.message);
  REQUIRE(job.state == JobState::done);
  CHECK(disagreement(host, "2.0.0") == "");
  CHECK(host.ask("blog", "db") == "2.0.0");
  CHECK(host.at("start chillbox.blog.app.b") < host.at("stop chillbox.blog.db.a"));
  CHECK(host.at("stop chillbox.blog.db.a") <
      host.at("migrate")); // whoever uses the data is gone by then
  CHECK(host.at("migrate") < host.at("start chillbox.blog.db.b"));
  CHECK(host.at("start chillbox.blog.db.b") < host.at("stop chillbox.blog.app.a"));
}

TEST_CASE("the gap is measured, told and kept with the job, and there is none without stop-first") {
  PairHost host;
  host.runner.before = [&](const std::string& command) {
    if (command == "start chillbox.blog.db.b")
      host.clock.sleep(os::Millis{700});
  };
  const auto job = host.deploy(order("2.0.0"));
  CHECK(job.gap_ms >= 700);
  CHECK(job.gap_ms < 60'000);
  CHECK(host.told(job.id, cat("info db away for ", job.gap_ms, " ms (stop-first)")));
  CHECK(LiveHost().deploy("2.0.0").gap_ms == 0);
}

TEST_CASE("a first release with stop-first has nothing to stop, and starts with the others") {
  Host host;
  host.unlock();
  const auto job = host.deploy(order("1.0.0"));
  REQUIRE(job.state == JobState::done);
  CHECK(job.gap_ms == 0);
  CHECK(host.runner.count("stop") == 0);
  CHECK(host.runner.count("migrate") == 1);
}

TEST_CASE("when the new copy does not hold, the old one is started again before anything switched, and its lines are the new one's") {
  PairHost host;
  host.runner.app("1.0.0").says = "the old one starts\n";
  host.runner.app("2.0.0").says = "the new one fails\n";
  host.changed = [&](const std::string& id) {
    if (host.look(id).step == "stop-first")
      host.runner.app("2.0.0").exits = true;
  };
  const auto job = host.deploy(order("2.0.0"));
  INFO(job.message);
  CHECK(job.code == Code::unhealthy);
  CHECK(job.message.find("stop-first: service 'db' keeps crashing on start") == 0);
  CHECK(job.message.ends_with("; 1.0.0 stays live"));
  CHECK(disagreement(host, "1.0.0") == "");
  CHECK(host.ask("blog", "db") == "1.0.0");
  CHECK(host.slot("b") == "");
  CHECK(host.release(job.release).last_log.find("the old one starts") == std::string::npos);
  CHECK(host.release(job.release).last_log.find("the new one fails") != std::string::npos);
  CHECK(host.told(job.id, "db away for"));
}

TEST_CASE("a release_command of stop-first that fails leaves the old copy running again") {
  PairHost host;
  host.runner.app("2.0.0").release_command_error = "column exists";
  const auto job = host.deploy(order("2.0.0"));
  CHECK(
      job.message.find(
          "stop-first: service 'db': release_command '/usr/bin/migrate' ended with code 3: its last line: column exists") ==
      0);
  CHECK(disagreement(host, "1.0.0") == "");
  CHECK(host.ask("blog", "db") == "1.0.0");
}

TEST_CASE("what fails before the handover does not stop the old copy") {
  PairHost host;
  host.runner.app("2.0.0").status = 500;
  CHECK(host.deploy(order("2.0.0")).code == Code::unhealthy);
  CHECK(host.runner.count("stop chillbox.blog.db") == 0);
  host.runner.app("3.0.0");
  host.runner.nginx_error = "unknown directive";
  auto other = order("3.0.0");
  other.domain = "www.example";
  CHECK(host.deploy(other).state == JobState::failed);
  CHECK(host.runner.count("stop chillbox.blog.db") == 0);
}

TEST_CASE("rolled back in its watch, the new copy stops before the old one starts") {
  PairHost host;
  host.changed = [&](const std::string& id) {
    if (host.look(id).step == "watch")
      host.runner.app("2.0.0").status = 503;
  };
  auto o = order("2.0.0");
  o.members = R"("watch":"10m",)";
  const auto job = host.deploy(o);
  INFO(job.message);
  CHECK(job.code == Code::rolled_back);
  CHECK(disagreement(host, "1.0.0") == "");
  CHECK(host.ask("blog", "db") == "1.0.0");
  CHECK(host.at("stop chillbox.blog.db.b") < host.at("start chillbox.blog.db.a"));
}

TEST_CASE("restart, rollback and new secrets hand over likewise") {
  PairHost host;
  REQUIRE(host.deploy(order("2.0.0")).state == JobState::done);
  const auto restarted = host.run(host.queue(JobKind::restart));
  CHECK(restarted.state == JobState::done);
  CHECK(host.ask("blog", "db") == "2.0.0");
  const auto back = host.rollback();
  INFO(back.message);
  CHECK(back.state == JobState::done);
  CHECK(host.ask("blog", "db") == "1.0.0");
  CHECK(disagreement(host, "1.0.0") == "");
}

TEST_CASE("workers with stop-first: every old process is gone before the first new one starts") {
  Host host;
  host.unlock();
  host.handler("python-worker", R"({"listens":"no","build":true})");
  const auto with = [](const std::string& version, int count) {
    return Order{.version = version,
        .members = cat(
            R"("workers":[{"name":"mail","lang":"python-worker","run-cmd":"/bin/send","strategy":"stop-first","count":)",
            count, "}],"),
        .files = {{"app/app.py", ""}, {"mail/send.py", ""}}};
  };
  REQUIRE(host.deploy(with("1.0.0", 3)).state == JobState::done);
  host.runner.forget();
  REQUIRE(host.deploy(with("2.0.0", 2)).state == JobState::done);
  std::vector<std::string> ours;
  for (const auto& command : host.runner.commands())
    if (command.find(".mail.") != std::string::npos)
      ours.push_back(command);
  CHECK(join(ours, ", ") ==
      "stop chillbox.blog.mail.a1, stop chillbox.blog.mail.a2, stop chillbox.blog.mail.a3, "
      "start chillbox.blog.mail.b1, start chillbox.blog.mail.b2");
}

TEST_CASE("[fault-120] a daemon that dies anywhere in a job with a handover ends it after its restart, and nothing ever runs twice") {
  const auto kind = GENERATE(JobKind::deploy, JobKind::restart, JobKind::rollback);
  const bool machine = GENERATE(false, true);
  PairHost host;
  REQUIRE(host.deploy(order("2.0.0")).state == JobState::done);
  const uint64_t changes = [&] { // of one whole job
    host.disk.forget();
    REQUIRE(host.run(host.queue(JobKind::restart)).state == JobState::done);
    return host.disk.changes().size();
  }();
  int n = 0;
  for (uint64_t cut = 1; cut < changes + 20; cut += 2) {
    const std::string version = cat("3.0.", ++n);
    const auto before = host.live().version;
    const auto job = kind == JobKind::deploy ? host.queue_deploy(order(version)) : host.queue(kind);
    bool died = false;
    host.disk.cut_power_at(cut);
    try {
      host.run(job);
    } catch (const PowerCut&) {
      died = true;
    }
    host.disk.cut_power_at(0);
    INFO(
        store::name(kind) << ", cut before change " << cut << (machine ? " with the machine" : ""));
    machine ? host.reboot() : host.restart();
    host.unlock();
    must(rollout::bring_up(host.context(), site(), true));
    host.look_for_two();
    REQUIRE_FALSE(host.twice);
    const auto ended = host.run(job);
    INFO(ended.message);
    CHECK(ended.state == JobState::done);
    CHECK(disagreement(host,
              kind == JobKind::deploy        ? version
                  : kind == JobKind::restart ? before
                                             : host.live().version) == "");
    CHECK(host.ask("blog", "db") == host.live().version);
    if (!died)
      break;
  }
}
