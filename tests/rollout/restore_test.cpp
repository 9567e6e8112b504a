// A restore of a site's data from a backup: what it does, and that whatever goes wrong the data are
// those of before or those of the backup, and the site serves.
#include "rollout/host.hpp"

#include "rollout/data_exchange.hpp"
#include "rollout/snapshots.hpp"
#include "rollout/steps.hpp"

using namespace chillbox;
using namespace chillbox::test;
using store::JobKind;
using store::JobState;

namespace {

// 1.0.0 is live, and its data are "one"; those of the backup are "saved".
struct RestoreHost : Host {
  RestoreHost() {
    unlock();
    REQUIRE(deploy("1.0.0").state == JobState::done);
    write(data + "/app/text", "one");
  }
  // What the backups do for it; a daemon that begins again has them again.
  void arm() {
    context().backups = {
        .find = [](const SiteName& of, const std::string&) -> Result<control::Backup> {
          return control::Backup{.site = of, .serial = 7, .release = "1.0.0-1", .files = 1};
        },
        .put_back = [this](const control::Backup&, const std::string& tree,
                        const os::User&) -> Result<std::vector<std::string>> {
          if (!why.message.empty())
            return std::unexpected(why);
          for (const char* dir : {"/blog", "/blog/data", "/blog/data/app"})
            must(disk.make_dir(tree + dir, 0700, {}));
          write(tree + "/blog/data/app/text", "saved");
          write(tree + "/blog/manifest.json", "{}");
          return std::vector<std::string>{"data/app/a.db: it was damaged"};
        }};
  }
  store::Job ask() {
    Sent backup;
    backup.sha256 = std::string(64, 'a');
    return queue(JobKind::restore, "blog", "", backup);
  }
  store::Job restore() {
    arm();
    return run(ask());
  }
  std::vector<rollout::Snapshot> snapshots() {
    return must(rollout::snapshots_of(context(), site()));
  }
  std::string now() { return text(data + "/app/text"); }
  std::string kept(uint64_t number) {
    return text(cat(rollout::snapshot_data(paths, site(), number), "/app/text"));
  }
  bool clean() { // nothing in the place of a snapshot that is none
    return must(disk.list(rollout::snapshots_dir(paths, site()))).size() == snapshots().size();
  }
  std::string data = paths.data(site());
  Error why{Code::failure, ""};
};

} // namespace

TEST_CASE("a restore puts the data of the backup in their place, and what they were is a snapshot") {
  RestoreHost host;
  const auto job = host.restore();
  INFO(job.message);
  REQUIRE(job.state == JobState::done);
  CHECK(host.now() == "saved");
  CHECK(disagreement(host, "1.0.0") == "");
  CHECK(
      job.message.find("the data are restored; what they were is snapshot 1") != std::string::npos);
  CHECK(job.message.find("warning: data/app/a.db: it was damaged") != std::string::npos);
  CHECK(host.told(job.id, "the site away for "));
  const auto all = host.snapshots();
  REQUIRE(all.size() == 1);
  CHECK(all[0].kind == "restore");
  CHECK(all[0].release == "1.0.0-1");
  CHECK(host.kept(1) == "one");
  CHECK(host.clean());
  SECTION("and back, with the way that every snapshot has") {
    host.options.with_data = true;
    const auto back = host.rollback("1.0.0");
    INFO(back.message);
    REQUIRE(back.state == JobState::done);
    CHECK(host.now() == "one");
    CHECK(host.kept(1) == "saved");
  }
}

TEST_CASE("a restore whose backup is not there, not whole, not ours or too large changes nothing, and nothing stops [fault-760]") {
  RestoreHost host;
  for (const Code code : {Code::not_found, Code::corrupt, Code::denied, Code::preflight,
           Code::unreachable, Code::no_space}) {
    host.why = {code, "the backup is not as it should be"};
    host.runner.forget();
    const auto job = host.restore();
    CHECK(job.state == JobState::failed);
    CHECK(job.code == code);
    CHECK(job.message.find("fetch: the backup is not as it should be") != std::string::npos);
    CHECK(host.now() == "one");
    CHECK(host.runner.count("stop ") == 0);
    CHECK(host.clean());
    CHECK(disagreement(host, "1.0.0") == "");
  }
}

TEST_CASE("a restore that the host's lock overtook waits for the unlock, and nothing has changed meanwhile [fault-761]") {
  RestoreHost host;
  SECTION("before anything was fetched") {
    host.restart();
  }
  SECTION("while it was unpacked") {
    host.why = {Code::sealed, "the host was locked meanwhile"};
  }
  auto job = host.restore();
  INFO(job.message);
  REQUIRE(job.state == JobState::waiting_unlock);
  CHECK(host.now() == "one");
  CHECK(host.clean());
  CHECK(host.runner.count("stop ") == 0);
  host.why = {Code::failure, ""};
  host.unlock();
  job = host.run(job);
  INFO(job.message);
  REQUIRE(job.state == JobState::done);
  CHECK(host.now() == "saved");
  CHECK(host.kept(1) == "one");
}

TEST_CASE("a release that does not come up with the restored data: they are exchanged back, and it serves [fault-762]") {
  RestoreHost host;
  host.runner.before = [&](const std::string&) {
    host.runner.app("1.0.0").status = host.now() == "saved" ? 500 : 200;
  };
  const auto job = host.restore();
  INFO(job.message);
  CHECK(job.state == JobState::failed);
  CHECK(host.now() == "one");
  CHECK(host.clean());
  CHECK_FALSE(rollout::data_moves(host.context(), site()));
}

TEST_CASE("a daemon that dies in any step of a restore: the data are whole, and it ends restored [fault-763]") {
  const bool behind = GENERATE(false, true), machine = GENERATE(false, true);
  for (const auto* step : rollout::steps_of(JobKind::restore)) {
    INFO("step " << step->name << (behind ? ", behind it" : ", before it")
                 << (machine ? ", with the machine" : ""));
    RestoreHost host;
    host.arm();
    const auto job = host.ask();
    rollout::JobControl control;
    host.changed = [&](const std::string& id) {
      if (host.look(id).step != step->name || host.look(id).state != JobState::running)
        return;
      if (!behind)
        throw PowerCut();
      control.stop();
    };
    try {
      rollout::run_job(host.context(), job.id, control);
    } catch (const PowerCut&) {}
    host.changed = nullptr;
    machine ? host.reboot() : host.restart();
    host.unlock();
    host.arm();
    must(rollout::bring_up(host.context(), site(), true));
    const std::string whole = host.now();
    CHECK((whole == "one" || whole == "saved"));
    const auto ended = host.run(job);
    INFO(ended.message);
    CHECK(ended.state == JobState::done);
    CHECK(host.now() == "saved");
    CHECK(disagreement(host, "1.0.0") == "");
    REQUIRE(host.snapshots().size() == 1);
    CHECK(host.kept(host.snapshots()[0].number) == "one");
    CHECK(host.clean());
    CHECK_FALSE(rollout::data_moves(host.context(), site()));
  }
}
