// Back to a release that is still there.
#include "rollout/host.hpp"

using namespace chillbox;
using namespace chillbox::test;
using store::JobState;
using store::ReleaseState;

namespace {

// 1.0.0 and 2.0.0 were good, 2.0.0 is live.
struct TwoReleases : LiveHost {
  TwoReleases() {
    REQUIRE(deploy("2.0.0").state == JobState::done);
    forget();
  }
};

} // namespace

TEST_CASE("a rollback without a version goes to the last good release") {
  TwoReleases host;
  const auto job = host.rollback();
  INFO(job.message);
  REQUIRE(job.state == JobState::done);
  CHECK(job.release == "1.0.0-1");
  CHECK(job.message == "1.0.0 is live (release 1.0.0-1, slot a)");
  CHECK(disagreement(host, "1.0.0") == "");
  CHECK(host.row().previous_good == "2.0.0-2");
  CHECK(host.runner.count("build") == 0);
}

TEST_CASE("[fault-1115] a second rollback without a version goes forward again, and says so") {
  TwoReleases host;
  const auto back = host.rollback();
  REQUIRE(back.state == JobState::done);
  const auto forward = host.rollback();
  CHECK(forward.release == "2.0.0-2");
  const std::string note = "2.0.0 is newer than 1.0.0: this goes forward; "
                           "`chillboxctl rollback blog VERSION` goes further back";
  CHECK(host.told(forward.id, note));
  CHECK_FALSE(host.told(back.id, "is newer than"));
}

TEST_CASE("[fault-1011] a rollback to what is live starts a site that was stopped") {
  TwoReleases host;
  REQUIRE(host.run(host.queue(store::JobKind::stop)).state == JobState::done);
  const auto job = host.rollback("2.0.0");
  INFO(job.message);
  CHECK(job.state == JobState::done);
  CHECK_FALSE(host.row().stopped);
  CHECK(disagreement(host, "2.0.0") == "");
}

TEST_CASE("a rollback to a version, or to a release by its id, and forward again") {
  TwoReleases host;
  REQUIRE(host.deploy("3.0.0").state == JobState::done);
  CHECK(host.rollback("1.0.0").state == JobState::done);
  CHECK(disagreement(host, "1.0.0") == "");
  CHECK(host.rollback("3.0.0-3").state == JobState::done);
  CHECK(disagreement(host, "3.0.0") == "");
}

TEST_CASE("a rollback to an unknown version is not found, and what there is is listed") {
  TwoReleases host;
  const auto job = host.rollback("9.9.9");
  CHECK(job.code == Code::not_found);
  CHECK(exit_code(*job.code) == 3);
  CHECK(job.message ==
      "select: no good release '9.9.9' of 'blog': there are 1.0.0 (1.0.0-1); 2.0.0 stays live");
  CHECK(disagreement(host, "2.0.0") == "");
}

TEST_CASE("a rollback with nothing to go back to is not found") {
  LiveHost host;
  const auto job = host.rollback();
  CHECK(job.code == Code::not_found);
  CHECK(job.message.find("there is no other good release") != std::string::npos);
  CHECK(host.rollback("", "nosite").code == Code::not_found);
}

TEST_CASE("a rollback to what is live changes nothing") {
  TwoReleases host;
  const auto job = host.rollback("2.0.0");
  CHECK(job.state == JobState::done);
  CHECK(job.message == "already live: 2.0.0 (release 2.0.0-2)");
  CHECK(host.disk.changes().empty());
}

TEST_CASE("a failed release is never the target of a rollback") {
  TwoReleases host;
  host.runner.app("3.0.0").status = 500;
  const auto failed = host.deploy("3.0.0");
  CHECK(host.rollback("3.0.0").code == Code::not_found);
  CHECK(host.rollback(failed.release).code == Code::not_found);
  CHECK(host.rollback().release == "1.0.0-1");
}

TEST_CASE("while the old slot is warm a rollback starts and stops nothing and asks NGINX nothing") {
  LiveHost host;
  const auto job = host.queue_deploy({.version = "2.0.0"});
  rollout::JobControl control;
  control.cut_watch(); // as the rollback does that waits behind it
  rollout::run_job(host.context(), job.id, control);
  REQUIRE(host.ask() == "2.0.0");
  host.forget();
  std::string at_switch;
  host.changed = [&](const std::string& id) {
    if (host.look(id).step == "switch")
      at_switch = join(host.runner.commands(), ", ");
  };
  const auto back = host.rollback();
  INFO(back.message);
  CHECK(back.state == JobState::done);
  CHECK(host.told(back.id, "its slot is still warm"));
  CHECK(at_switch.find("start ") == std::string::npos);
  CHECK(at_switch.find("stop ") == std::string::npos);
  CHECK(at_switch.find("nginx") == std::string::npos);
  CHECK(disagreement(host, "1.0.0") == "");
}

TEST_CASE("[fault-117] a release that was changed on disk is no target") {
  TwoReleases host;
  std::ofstream(host.paths.releases(site()) + "/1.0.0-1/app/app.py", std::ios::app)
      << "import evil\n";
  const auto job = host.rollback();
  CHECK(job.code == Code::corrupt);
  CHECK(job.message.find("release 1.0.0-1 was changed on disk since it was built") !=
      std::string::npos);
  CHECK(disagreement(host, "2.0.0") == "");
}

TEST_CASE("[fault-117] a release of files only is looked at as well") {
  Host host;
  host.unlock();
  const Order docs{.slug = "docs",
      .services = R"([{"name":"pages","lang":"static"}])",
      .files = {{"pages/index.html", "one"}}};
  Order newer = docs;
  newer.version = "2.0.0";
  REQUIRE(host.deploy(docs).state == JobState::done);
  REQUIRE(host.deploy(newer).state == JobState::done);
  std::ofstream(host.paths.releases(site("docs")) + "/1.0.0-1/pages/index.html") << "changed";
  CHECK(host.rollback("", "docs").code == Code::corrupt);
  CHECK(host.live("docs").version == "2.0.0");
}

TEST_CASE("[fault-117] a release whose directory is gone is no target") {
  TwoReleases host;
  std::filesystem::remove_all(host.paths.releases(site()) + "/1.0.0-1");
  const auto job = host.rollback();
  CHECK(job.code == Code::corrupt);
  CHECK(disagreement(host, "2.0.0") == "");
}

TEST_CASE("[fault-118] a rollback that is not healthy itself leaves the live release, and the target is still good") {
  TwoReleases host;
  host.runner.app("1.0.0").status = 500;
  const auto job = host.rollback();
  INFO(job.message);
  CHECK(job.code == Code::unhealthy);
  CHECK(job.message.ends_with("; 2.0.0 stays live"));
  CHECK(disagreement(host, "2.0.0") == "");
  host.runner.app("1.0.0").status = 200;
  CHECK(host.rollback().state == JobState::done);
}

TEST_CASE("[fault-118] a rollback does not watch: there is nothing better to go back to, so nothing goes round in a loop") {
  TwoReleases host;
  host.runner.app("1.0.0").respawns = 1;
  const auto job = host.rollback();
  CHECK(job.state == JobState::done);
  CHECK_FALSE(host.told(job.id, "watch"));
  CHECK(disagreement(host, "1.0.0") == "");
}

TEST_CASE("a rollback brings the NGINX text of its release back") {
  LiveHost host;
  const std::string first = host.nginx_text();
  REQUIRE(host.deploy(Order{.version = "2.0.0", .domain = "www.example"}).state == JobState::done);
  REQUIRE(host.nginx_text() != first);
  REQUIRE(host.rollback().state == JobState::done);
  CHECK(host.nginx_text() == first);
  CHECK(must(host.store().host_owner("blog.example", site("shop"))) == "blog");
}

TEST_CASE("a restart goes to the other slot with overlap, and the release stays") {
  LiveHost host;
  std::vector<std::string> seen;
  host.runner.before = [&](const std::string& command) {
    seen.push_back(cat(command, " while ", host.ask(), " answers"));
  };
  const auto job = host.run(host.queue(store::JobKind::restart));
  INFO(job.message);
  REQUIRE(job.state == JobState::done);
  CHECK(job.release == "1.0.0-1");
  CHECK(host.live().slot == Slot::b);
  CHECK(disagreement(host, "1.0.0") == "");
  CHECK(std::ranges::find(seen, "stop chillbox.blog.app.a while 1.0.0 answers") != seen.end());
  CHECK(host.row().previous_good.empty());
}

TEST_CASE("a restart that is not healthy leaves the running copy, and the row as it was") {
  LiveHost host;
  const auto before = host.live();
  host.runner.app("1.0.0").says = "boom\n";
  host.runner.app("1.0.0").exits = true; // the copy that runs goes on
  const auto job = host.run(host.queue(store::JobKind::restart));
  INFO(job.message);
  CHECK(job.code == Code::unhealthy);
  CHECK(host.live().slot == before.slot);
  CHECK(host.live().state == ReleaseState::good);
  CHECK(disagreement(host, "1.0.0") == "");
  CHECK(host.told(job.id, "log boom"));
}

TEST_CASE("a restart of a site that has no release is not found") {
  Host host;
  const auto job = host.run(host.queue(store::JobKind::restart, "nosite"));
  CHECK(job.code == Code::not_found);
}

TEST_CASE("a rollback that is asked for while a watch does it goes no second step back") {
  LiveHost host;
  REQUIRE(host.deploy("1.5.0").state == JobState::done);
  host.runner.app("2.0.0").respawns = 1;
  REQUIRE(host.deploy("2.0.0").code == Code::rolled_back);
  auto asked = host.queue(store::JobKind::rollback);
  asked.previous = "2.0.0-3"; // was live then
  must(host.store().update_job(asked));
  const auto job = host.run(asked);
  CHECK(job.state == JobState::done);
  CHECK(job.message == "rolled back already: 1.5.0 is live again");
  CHECK(disagreement(host, "1.5.0") == "");
}

TEST_CASE("a release that nobody watched is unproven, and good once a watch of it ended well") {
  LiveHost host;
  host.options.no_watch = true;
  REQUIRE(host.deploy("2.0.0").state == JobState::done);
  CHECK(host.live().state == ReleaseState::unproven);
  CHECK(host.live().message == "warning: unproven: not watched, as requested");
  host.options.no_watch = false;
  REQUIRE(host.run(host.queue(store::JobKind::restart)).state == JobState::done);
  CHECK(host.live().state == ReleaseState::good);
  CHECK(host.live().message.empty());
}

TEST_CASE("where the site or the host wants no watch a release is good at once") {
  LiveHost host;
  REQUIRE(
      host.deploy(Order{.version = "2.0.0", .members = R"("watch":0,)"}).state == JobState::done);
  CHECK(host.live().state == ReleaseState::good);
}

TEST_CASE("only unproven releases are left: a rollback goes to one, and says so") {
  LiveHost host;
  host.options.no_watch = true;
  REQUIRE(host.deploy("2.0.0").state == JobState::done);
  REQUIRE(host.deploy("3.0.0").state == JobState::done);
  CHECK(host.row().previous_good == "1.0.0-1");
  must(host.store().withdraw({site(), host.release("1.0.0-1").sha256, "1.0.0", 1, "root", "", 1}));
  CHECK(host.row().previous_good == "2.0.0-2");
  const auto job = host.rollback();
  CHECK(job.state == JobState::done);
  CHECK(host.told(job.id, "the watch of 2.0.0 did not end, but there is no good release"));
  CHECK(host.live().version == "2.0.0");
}
