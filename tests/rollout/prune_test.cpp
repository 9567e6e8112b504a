// What keeps a host in order: pruning, holds, and the files from which a lost store is made again.
#include "rollout/engine_host.hpp"
#include "rollout/manifest.hpp"
#include "rollout/snapshots.hpp"

using namespace chillbox;
using namespace chillbox::test;
using store::JobState;
using store::ReleaseState;

namespace {

std::vector<std::string> artifacts(Host& host) {
  std::vector<std::string> names;
  for (const auto& name : must(host.disk.list(host.paths.artifacts())))
    if (name.ends_with(".age"))
      names.push_back(name.substr(0, 64));
  return names;
}

// The daemon after its store is gone, as it starts.
std::vector<std::string> start_with_an_empty_store(Host& host) {
  host.daemon.reset();
  for (const char* suffix : {"", "-wal", "-shm"})
    std::filesystem::remove(host.paths.database() + suffix);
  host.begin();
  return rollout::restore_from_manifests(host.disk, host.paths, host.store(), host.clock.wall_ms());
}

} // namespace

TEST_CASE("what is pruned is told, and a dry run only tells") {
  LiveHost host;
  for (const char* version : {"1.1.0", "1.2.0"})
    REQUIRE(host.deploy(Order{.version = version, .members = R"("keep_releases":3,)"}).state ==
        JobState::done);
  REQUIRE(host.releases_on_disk().size() == 3);
  must(os::real_disk().write(host.paths.releases(site()) + "/1.2.0-3/blog.site.json",
      site_json({.version = "1.2.0", .members = R"("keep_releases":1,)"}), 0600));
  const auto dry = must(rollout::prune_site(host.context(), site(), true));
  CHECK(dry.paths == std::vector<std::string>{host.paths.releases(site()) + "/1.0.0-1"});
  CHECK(dry.bytes > 0);
  CHECK(host.releases_on_disk().size() == 3);
  CHECK(host.release("1.0.0-1").state == ReleaseState::good);
  CHECK(must(rollout::prune_site(host.context(), site())).paths == dry.paths);
  CHECK(host.releases_on_disk() ==
      std::vector<std::string>{
          "1.1.0-2", "1.2.0-3"}); // the live one and the one before, whatever is kept
  CHECK(host.release("1.0.0-1").state == ReleaseState::removed);
  CHECK(must(rollout::prune_site(host.context(), site())).paths.empty());
}

TEST_CASE("[fault-1094] a dry run counts the artifacts of the releases that would go, and no other") {
  LiveHost host;
  const auto order = [](const std::string& version, int keep) {
    return Order{.version = version, .members = cat("\"keep_releases\":", keep, ",")};
  };
  for (const char* version : {"1.1.0", "1.2.0"})
    REQUIRE(host.deploy(order(version, 3)).state == JobState::done);
  must(os::real_disk().write(
      host.paths.releases(site()) + "/1.2.0-3/blog.site.json", site_json(order("1.2.0", 1)), 0600));
  const auto artifact = host.paths.artifact(must(Digest::parse(host.release("1.0.0-1").sha256)));
  const uint64_t before = artifacts(host).size();
  const auto dry = rollout::what_would_go(host.context(), site());
  CHECK(std::ranges::find(dry.paths, artifact) != dry.paths.end());
  CHECK(artifacts(host).size() == before);
  auto gone = must(rollout::prune_site(host.context(), site())).paths;
  std::ranges::move(must(rollout::prune_artifacts(host.context())).paths, std::back_inserter(gone));
  CHECK(gone == dry.paths);
  CHECK(artifacts(host).size() == before - 1);
}

TEST_CASE("[fault-990] what a job that has not ended makes, goes to or came from is not pruned") {
  LiveHost host;
  for (const char* version : {"1.1.0", "1.2.0", "1.3.0"})
    REQUIRE(host.deploy(Order{.version = version, .members = R"("keep_releases":4,)"}).state ==
        JobState::done);
  must(os::real_disk().write(host.paths.releases(site()) + "/1.3.0-4/blog.site.json",
      site_json({.version = "1.3.0", .members = R"("keep_releases":1,)"}), 0600));
  host.runner.app("2.0.0").building = [&](const os::Command&) {
    auto back = host.queue(store::JobKind::restart); // any job that names one
    back.release = "1.1.0-2";
    back.previous = "1.0.0-1";
    must(host.store().update_job(back));
    for (const bool dry_run : {true, false})
      CHECK(must(rollout::prune_site(host.context(), site(), dry_run)).paths.empty());
    back.state = JobState::cancelled;
    must(host.store().finish_job(back, ""));
  };
  const auto job = host.deploy("2.0.0");
  INFO(job.message);
  CHECK(job.state == JobState::done);
  CHECK(disagreement(host, "2.0.0") == "");
}

TEST_CASE("[fault-991] data that change places, and a snapshot that a job is making, are not pruned") {
  LiveHost host;
  const std::string dir = rollout::snapshots_dir(host.paths, site());
  std::filesystem::create_directories(dir + "/7/data");
  auto job = host.queue(store::JobKind::restore);
  job.state = JobState::running;
  must(host.store().update_job(job));
  CHECK(must(rollout::prune_site(host.context(), site())).paths.empty());
  job.state = JobState::failed;
  must(host.store().finish_job(job, ""));
  // The live data, after a way back that failed.
  host.write(dir + "/exchange.json", R"({"job":"j","number":7,"live":1,"other":2})");
  CHECK(must(rollout::prune_site(host.context(), site())).paths.empty());
  host.write(dir + "/exchange.json", "{");
  CHECK_FALSE(rollout::prune_site(host.context(), site()));
  std::filesystem::remove(dir + "/exchange.json");
  CHECK(must(rollout::prune_site(host.context(), site())).paths ==
      std::vector<std::string>{dir + "/7"});
}

TEST_CASE("pruning has no part in a deploy: one that cannot remove what is old still ends well") {
  LiveHost host;
  REQUIRE(host.deploy("1.1.0").state == JobState::done);
  REQUIRE(host.deploy("1.2.0").state == JobState::done);
  const Sent sent = host.laptop.pack({.version = "1.3.0"});
  host.upload(sent);
  const auto job = host.queue(store::JobKind::deploy, "blog", "1.3.0", sent);
  rollout::JobControl control;
  rollout::run_job(host.context(), job.id, control);
  CHECK(host.look(job.id).state == JobState::done);
  CHECK(host.releases_on_disk().size() == 4); // still
  rollout::prune_after_job(host.context(), site());
  CHECK(host.releases_on_disk().size() == 3);
}

TEST_CASE("artifacts of what was superseded or failed go, the newest three that were refused stay") {
  LiveHost host;
  const std::string live = host.live().sha256;
  for (int i = 0; i < 5; ++i)
    CHECK(host.deploy(Order{.version = cat("2.0.", i), .signed_version = "9.9.9"}).state ==
        JobState::failed);
  CHECK(artifacts(host).size() == 4);
  const Sent waiting = host.laptop.pack({.version = "3.0.0"});
  std::filesystem::copy_file(
      waiting.file, host.paths.artifact(Digest::parse(waiting.sha256).value()));
  host.run(host.queue(store::JobKind::deploy, "blog", "3.0.0", waiting)); // without its signature
  CHECK(must(rollout::unproven_artifacts(host.context())).bytes > waiting.size);
  host.queue(store::JobKind::deploy, "blog", "3.0.1",
      host.laptop.pack({.version = "3.0.1"})); // supersedes it
  (void)must(rollout::prune_artifacts(host.context()));
  const auto left = artifacts(host);
  CHECK(left.size() == 4);
  CHECK(std::ranges::find(left, live) != left.end());
  CHECK(std::ranges::find(left, waiting.sha256) == left.end());
}

TEST_CASE("[fault-512] what a job is about to need is not pruned between its upload and the job's row") {
  LiveHost host;
  const Sent sent = host.laptop.pack({.version = "2.0.0"});
  host.upload(sent);
  const auto is_there = [&] {
    return host.disk.exists(host.paths.artifact(Digest::parse(sent.sha256).value()));
  };
  {
    const rollout::ArtifactHolds::Hold hold(host.context().artifact_holds, sent.sha256);
    (void)must(rollout::prune_artifacts(host.context()));
    CHECK(is_there());
  }
  (void)must(rollout::prune_artifacts(host.context()));
  CHECK_FALSE(is_there());
}

TEST_CASE("a daemon that dies after a job's end and before it pruned leaves no ciphertext of a secret that was replaced: the next start removes it") {
  EngineHost host;
  host.unlock();
  REQUIRE(host.deploy("1.0.0").state == JobState::done);
  rollout::JobControl control;
  std::string last;
  for (const char* text : {"one", "two", "three"}) {
    const Sent sent = host.laptop.pack_secrets("blog", {{"app/app.cfg", text}});
    host.upload(sent);
    const auto job = host.queue(store::JobKind::secrets, "blog", "", sent);
    rollout::run_job(host.context(), job.id, control); // and nothing after its end
    REQUIRE(host.look(job.id).state == JobState::done);
    last = sent.sha256;
  }
  REQUIRE(must(host.disk.list(host.paths.secret_sets())).size() == 3);
  host.restart_daemon();
  REQUIRE(host.idle());
  CHECK(must(host.disk.list(host.paths.secret_sets())) ==
      std::vector<std::string>{cat("blog-", last, ".age")});
  CHECK(artifacts(host) == std::vector<std::string>{host.live().sha256});
}

TEST_CASE("of a site without a release only the newest secret set stays") {
  Host host;
  host.unlock();
  REQUIRE(host.secrets({{"app/app.cfg", "one"}}).state == JobState::done);
  const auto job = host.secrets({{"app/app.cfg", "two"}});
  REQUIRE(job.state == JobState::done);
  CHECK(must(host.disk.list(host.paths.secret_sets())) ==
      std::vector<std::string>{cat("blog-", job.sha256, ".age")});
  CHECK(artifacts(host).empty());
}

TEST_CASE("a program that never stops talking does not fill the history [attack-Y2]") {
  LiveHost host;
  host.runner.app("2.0.0").building = [](const os::Command& c) {
    for (int i = 0; i < 1000; ++i)
      c.on_line(std::string(1000, 'x'));
  };
  const auto job = host.deploy("2.0.0");
  CHECK(job.state == JobState::done);
  size_t bytes = 0;
  for (const auto& line : host.events(job.id))
    bytes += line.size();
  CHECK(bytes < 300 * 1024);
  CHECK(host.told(job.id, "more output follows and is not kept"));
}

TEST_CASE("a hold refuses deploys and secrets with who, when and why, and nothing else") {
  LiveHost host;
  REQUIRE(host.deploy("1.1.0").state == JobState::done);
  must(host.store().put_hold({{"uid:0 root", "the database moves", host.clock.wall_ms()}, site()}));
  const auto job = host.deploy("2.0.0");
  INFO(job.message);
  CHECK(job.code == Code::busy);
  CHECK(exit_code(*job.code) == 7);
  CHECK(
      job.message.find("'blog' is held by uid:0 root since 2027-01-15T08:0") != std::string::npos);
  CHECK(job.message.find(": the database moves; `chillboxctl release-hold blog` ends the hold") !=
      std::string::npos);
  CHECK(host.secrets({{"app/app.cfg", "x"}}).code == Code::busy);
  CHECK(host.deploy(Order{.slug = "shop", .version = "1.0.0"}).state == JobState::done);
  CHECK(host.rollback().state == JobState::done);
  CHECK(host.run(host.queue(store::JobKind::restart)).state == JobState::done);
  host.reboot();
  host.unlock();
  CHECK(must(host.store().hold(site()))->why == "the database moves");
  CHECK(must(host.store().delete_hold(site())));
  CHECK_FALSE(must(host.store().delete_hold(site())));
  CHECK(host.deploy("2.0.0").state == JobState::done);
}

TEST_CASE("a deploy that waits since before the hold is refused when it goes on") {
  LiveHost host;
  const Sent sent = host.laptop.pack({.version = "2.0.0"});
  auto job = host.run(host.queue(store::JobKind::deploy, "blog", "2.0.0", sent));
  REQUIRE(job.state == JobState::waiting_upload);
  must(host.store().put_hold({{"uid:0 root", "not now", host.clock.wall_ms()}, site()}));
  host.upload(sent);
  job = host.run(job);
  CHECK(job.code == Code::busy);
  CHECK(disagreement(host, "1.0.0") == "");
}

TEST_CASE("[fault-1101] a hold that begins while a deploy builds: it does not switch, whoever asked for it; a rollback by hand does") {
  LiveHost host;
  REQUIRE(host.deploy("1.1.0").state == JobState::done);
  std::string when;
  host.changed = [&](const std::string& id) {
    if (host.look(id).step == when && !must(host.store().hold(site())))
      must(host.store().put_hold({{"uid:0 root", "not now", host.clock.wall_ms()}, site()}));
  };
  for (const std::string step : {"build", "check", "switch"}) {
    when = step;
    const auto job = host.deploy(Order{.version = cat("2.0.0-", step)});
    INFO(step << ": " << job.message);
    CHECK(job.code == Code::busy);
    CHECK(disagreement(host, "1.1.0") == "");
    must(host.store().delete_hold(site()));
  }
  when = "replace-secrets";
  CHECK(host.secrets({{"app/app.cfg", "x"}}).code == Code::busy);
  must(host.store().delete_hold(site()));
  when = "start";
  CHECK(host.rollback().state == JobState::done);
  CHECK(disagreement(host, "1.0.0") == "");
}

TEST_CASE("[fault-1002] two that write a site's file at once: the newer state stays in it") {
  LiveHost host;
  const std::string file = host.paths.site(site()) + "/state.json";
  std::atomic<int> writers{0};
  Door door;
  host.disk.before_write = [&] {
    if (writers++ == 0)
      door.stand();
  };
  must(host.store().put_hold({{"uid:0 root", "older", 1}, site()}));
  std::thread job([&] { must(rollout::write_manifest(host.context(), site())); });
  REQUIRE(door.wait_for_somebody());
  must(host.store().put_hold({{"uid:0 root", "newer", 1}, site()}));
  std::thread verb([&] { must(rollout::write_manifest(host.context(), site())); });
  std::this_thread::sleep_for(os::Millis{200}); // it writes now, if it may
  door.open();
  job.join();
  verb.join();
  host.disk.before_write = nullptr;
  CHECK(host.text(file).find("newer") != std::string::npos);
}

TEST_CASE("[fault-94] a store that is lost is made again from the releases on disk") {
  LiveHost host;
  REQUIRE(host.secrets({{"app/app.cfg", "x"}}).state == JobState::done);
  REQUIRE(host.deploy("1.1.0").state == JobState::done);
  REQUIRE(host.deploy(Order{.slug = "shop", .version = "5.0.0"}).state == JobState::done);
  must(host.store().put_hold({{"uid:0 root", "why", 1}, site("shop")}));
  must(rollout::write_manifest(host.context(), site("shop")));
  const auto row = host.row(), shop = host.row("shop");
  const auto live = host.live();
  const auto serial = must(host.store().serial(site(), "site"));
  const auto set = must(host.store().secret_set(site()));
  host.forget();

  const auto told = start_with_an_empty_store(host);
  REQUIRE(told.size() == 2);
  CHECK(told[0].find("site 'blog' was restored as ") == 0);
  CHECK(told[0].find("1.1.0 is live, 2 releases") != std::string::npos);
  CHECK(host.row().live == row.live);
  CHECK(host.row().previous_good == "1.0.0-1");
  CHECK(host.row().ports == row.ports);
  CHECK(host.live().digest == live.digest);
  CHECK(host.live().slot == live.slot);
  CHECK(host.live().nginx == live.nginx);
  CHECK(must(host.store().serial(site(), "site")) == serial);
  CHECK(must(host.store().secret_set(site()))->sha256 == set->sha256);
  CHECK(must(host.store().host_owner("blog.example", site("shop"))) == "blog");
  CHECK(must(host.store().hold(site("shop")))->why == "why");
  CHECK(host.row("shop").live == shop.live);
  CHECK(rollout::restore_from_manifests(host.disk, host.paths, host.store(), 1).empty()); // once

  must(rollout::bring_up(host.context(), site(), false));
  CHECK(disagreement(host, "1.1.0") == "");
  CHECK(host.runner.count("start ") == 0); // what ran goes on
  host.unlock();
  CHECK(host.deploy(Order{.version = "1.0.5", .serial = 1}).code ==
      Code::denied); // freshness is not forgotten
  CHECK(host.deploy("1.2.0").state == JobState::done);
  CHECK(host.row().live == "1.2.0-3"); // no number twice
  CHECK(host.rollback("1.0.0").state == JobState::done);
}

TEST_CASE("[fault-94] a store that lost its last transactions is older than the disk, and is put right") {
  LiveHost host;
  host.daemon.reset(); // its log is in the file now
  std::filesystem::copy_file(host.paths.database(), host.ground.path + "/old.db");
  host.begin();
  host.unlock();
  REQUIRE(host.deploy("1.1.0").state == JobState::done);
  host.daemon.reset();
  std::filesystem::copy_file(host.ground.path + "/old.db", host.paths.database(),
      std::filesystem::copy_options::overwrite_existing);
  host.begin();
  REQUIRE(host.row().live == "1.0.0-1");
  const auto told =
      rollout::restore_from_manifests(host.disk, host.paths, host.store(), host.clock.wall_ms());
  REQUIRE(told.size() == 1);
  CHECK(host.row().live == "1.1.0-2");
  must(rollout::bring_up(host.context(), site(), false));
  CHECK(disagreement(host, "1.1.0") == "");
}

TEST_CASE("[fault-1015] a store that is made again has the sites that a boot refused to start, which have no link to their files") {
  LiveHost host;
  const std::string key = host.text(host.paths.trusted() + "/anna.pub");
  std::filesystem::remove(host.paths.trusted() + "/anna.pub");
  host.reboot();
  REQUIRE_FALSE(rollout::bring_up(host.context(), site(), false));
  REQUIRE_FALSE(host.disk.exists(host.paths.current(site())));
  CHECK(start_with_an_empty_store(host).size() == 1);
  CHECK(host.row().live == "1.0.0-1");
  host.write(host.paths.trusted() + "/anna.pub", key);
  must(rollout::bring_up(host.context(), site(), false));
  CHECK(disagreement(host, "1.0.0") == "");
}

TEST_CASE("[fault-94] a store that is lost between a switch and the end of its job: live is where `current` points") {
  LiveHost host;
  const Sent sent = host.laptop.pack({.version = "1.1.0"});
  host.upload(sent);
  const auto job = host.queue(store::JobKind::deploy, "blog", "1.1.0", sent);
  rollout::JobControl control;
  rollout::run_job(host.context(), job.id, control); // and nothing behind its end
  const auto told = start_with_an_empty_store(host);
  REQUIRE(told.size() == 1);
  CHECK(host.row().live == "1.1.0-2");
  CHECK(host.row().previous_good == "1.0.0-1");
  must(rollout::bring_up(host.context(), site(), false));
  CHECK(host.ask() == "1.1.0");
}

TEST_CASE("a site whose file cannot be read is named, and the others are put back") {
  LiveHost host;
  REQUIRE(host.deploy(Order{.slug = "shop", .version = "5.0.0"}).state == JobState::done);
  host.write(host.paths.site(site()) + "/state.json", "{");
  const auto told = start_with_an_empty_store(host);
  REQUIRE(told.size() == 2);
  CHECK(told[0].find("site 'blog' is on the disk but not in the store: ") == 0);
  CHECK(told[0].ends_with(": deploy it again"));
  CHECK(host.row("shop").live == "5.0.0-1");
  host.unlock();
  CHECK(host.deploy("1.0.1").state == JobState::done);
}
