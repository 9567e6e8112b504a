// Snapshots of a site's data, and a rollback that takes them along.
#include "rollout/host.hpp"

#include "rollout/data_exchange.hpp"
#include "rollout/snapshots.hpp"
#include "rollout/steps.hpp"

#include <sqlite3.h>
#include <sys/stat.h>

using namespace chillbox;
using namespace chillbox::test;
using store::JobKind;
using store::JobState;

namespace {

const std::string k_data_services =
    R"([{"name":"app","lang":"python","release_command":"/usr/bin/migrate","health":{"deadline":"2s"}}])";

// 1.0.0 is live, and its data are "one". Each release_command of 2.0.0 makes them "two".
struct DataHost : Host {
  DataHost() {
    unlock();
    REQUIRE(deploy_with("1.0.0").state == JobState::done);
    write(data + "/app/text", "one");
    runner.before = [this](const std::string& command) {
      if (command == "migrate")
        write(data + "/app/text", "two");
    };
  }
  store::Job deploy_with(const std::string& version) {
    return deploy(Order{.version = version, .services = k_data_services});
  }
  store::Job back(const std::string& version = "") {
    options.with_data = true;
    const auto job = rollback(version);
    options = {};
    return job;
  }
  std::vector<rollout::Snapshot> snapshots() {
    return must(rollout::snapshots_of(context(), site()));
  }
  std::string kept(uint64_t number, const std::string& file = "app/text") {
    return text(cat(rollout::snapshot_data(paths, site(), number), "/", file));
  }
  std::string now() { return text(data + "/app/text"); }
  std::string data = paths.data(site());
};

rollout::Steps with_data() {
  store::Job job{.kind = JobKind::rollback, .site = site()};
  job.options.with_data = true;
  return rollout::steps_of(job);
}

void exec(sqlite3* db, const char* sql) {
  REQUIRE(sqlite3_exec(db, sql, nullptr, nullptr, nullptr) == SQLITE_OK);
}

std::string first_value(const std::string& file, const char* sql) {
  sqlite3* db = nullptr;
  REQUIRE(sqlite3_open(file.c_str(), &db) == SQLITE_OK);
  std::string value;
  const auto keep = [](void* to, int, char** values, char**) {
    *static_cast<std::string*>(to) = values[0];
    return 0;
  };
  if (sqlite3_exec(db, sql, keep, &value, nullptr) != SQLITE_OK)
    value = sqlite3_errmsg(db);
  sqlite3_close(db);
  return value;
}

} // namespace

TEST_CASE("the data are kept right before the release_command, once, and the history says so") {
  DataHost host;
  const auto job = host.deploy_with("2.0.0");
  INFO(job.message);
  REQUIRE(job.state == JobState::done);
  CHECK(host.now() == "two");
  const auto all = host.snapshots();
  REQUIRE(all.size() == 1);
  CHECK(all[0].number == 1);
  CHECK(all[0].release == "1.0.0-1");
  CHECK(all[0].before == "2.0.0-2");
  CHECK(all[0].job == job.id);
  CHECK(host.kept(1) == "one");
  CHECK(host.told(job.id, "snapshot 1 of the data: 2 entries, 3 B"));
}

TEST_CASE("a release without a release_command keeps nothing, nor does the first one") {
  Host host;
  host.unlock();
  REQUIRE(host.deploy("1.0.0").state == JobState::done);
  REQUIRE(host.deploy("2.0.0").state == JobState::done);
  CHECK(must(rollout::snapshots_of(host.context(), site())).empty());
  CHECK_FALSE(host.disk.exists(host.paths.state() + "/snapshots"));
}

TEST_CASE("a failed deploy leaves its snapshot: the release_command ran") {
  DataHost host;
  host.runner.app("2.0.0").status = 500;
  REQUIRE(host.deploy_with("2.0.0").state == JobState::failed);
  REQUIRE(host.snapshots().size() == 1);
  CHECK(host.now() == "two");
  const auto job = host.back("1.0.0"); // which is live
  INFO(job.message);
  REQUIRE(job.state == JobState::done);
  CHECK(host.now() == "one");
  CHECK(disagreement(host, "1.0.0") == "");
}

TEST_CASE("[fault-660] hostile data: nothing is followed, what is no file is left out, holes take no room") {
  DataHost host;
  const std::string app = host.data + "/app/";
  std::filesystem::create_symlink("/etc/shadow", app + "link");
  REQUIRE(::mkfifo((app + "fifo").c_str(), 0600) == 0);
  std::filesystem::create_hard_link(app + "text", app + "hard");
  host.write(app + "line\nbreak", "odd");
  host.write(app + "sparse", "x");
  REQUIRE(::truncate((app + "sparse").c_str(), off_t{1} << 40) == 0);
  const auto job = host.deploy_with("2.0.0");
  INFO(job.message);
  REQUIRE(job.state == JobState::done);
  const std::string copy = rollout::snapshot_data(host.paths, site(), 1) + "/app/";
  CHECK(host.link(copy + "link") == "/etc/shadow");
  CHECK_FALSE(host.disk.exists(copy + "fifo"));
  CHECK(host.told(job.id, "snapshot: 'app/fifo' is left out: it is no file"));
  CHECK(host.text(copy + "hard") == "one");
  CHECK(host.text(copy + "line\nbreak") == "odd");
  CHECK(host.disk.size(copy + "sparse") == uint64_t{1} << 40);
  struct stat st{};
  REQUIRE(::stat((copy + "sparse").c_str(), &st) == 0);
  CHECK(st.st_blocks < 64);
}

TEST_CASE("[fault-661] a SQLite database is copied between two transactions, with its WAL in it") {
  DataHost host;
  const std::string file = host.data + "/app/app.db";
  sqlite3* writer = nullptr;
  REQUIRE(sqlite3_open(file.c_str(), &writer) == SQLITE_OK);
  exec(writer, "PRAGMA journal_mode=WAL; CREATE TABLE t(n); INSERT INTO t VALUES (1)");
  exec(writer, "BEGIN; INSERT INTO t VALUES (2)"); // never committed
  const auto job = host.deploy_with("2.0.0");
  sqlite3_close(writer);
  INFO(job.message);
  REQUIRE(job.state == JobState::done);
  const std::string copy = rollout::snapshot_data(host.paths, site(), 1) + "/app/app.db";
  CHECK_FALSE(host.disk.exists(copy + "-wal"));
  CHECK_FALSE(host.disk.exists(copy + "-shm"));
  CHECK(first_value(copy, "PRAGMA integrity_check") == "ok");
  CHECK(first_value(copy, "SELECT group_concat(n) FROM t") == "1");
  CHECK(first_value(copy, "PRAGMA journal_mode") == "wal");
}

TEST_CASE("[fault-662] a damaged database is kept as it is, and said") {
  DataHost host;
  host.write(host.data + "/app/app.db",
      cat(std::string_view("SQLite format 3\0", 16), std::string(5000, 'x')));
  const auto job = host.deploy_with("2.0.0");
  REQUIRE(job.state == JobState::done);
  CHECK(job.message.find("warning: source damaged: app/app.db") != std::string::npos);
  CHECK(host.kept(1, "app/app.db").size() == 5016);
}

TEST_CASE("[fault-663] more data than are copied: the deploy continues without a snapshot, and says so") {
  DataHost host;
  host.write(host.data + "/app/big.db", std::string_view("SQLite format 3\0", 16));
  REQUIRE(::truncate((host.data + "/app/big.db").c_str(), off_t{2} << 30) == 0);
  const auto job = host.deploy_with("2.0.0");
  INFO(job.message);
  CHECK(job.state == JobState::done);
  CHECK(
      job.message.find("warning: no snapshot of the data: more than 1.1 GB") != std::string::npos);
  CHECK(must(host.disk.list(rollout::snapshots_dir(host.paths, site()))).empty());
}

TEST_CASE("[fault-663] folders too deep for a walk: the deploy goes on without a snapshot, and none is left") {
  DataHost host;
  std::string deep = host.data + "/app";
  for (int i = 0; i < 70; ++i)
    std::filesystem::create_directory(deep += "/d");
  const auto job = host.deploy_with("2.0.0");
  REQUIRE(job.state == JobState::done);
  CHECK(job.message.find("warning: no snapshot of the data: ") != std::string::npos);
  CHECK(job.message.find("levels deep") != std::string::npos);
  CHECK(must(host.disk.list(rollout::snapshots_dir(host.paths, site()))).empty());
}

TEST_CASE("a rollback with the data brings them back, and what they were stays as a snapshot") {
  DataHost host;
  REQUIRE(host.deploy_with("2.0.0").state == JobState::done);
  host.write(host.data + "/app/text", "two, and more");
  const auto loss = must(rollout::data_loss(host.context(), site(), ""));
  CHECK(loss.release == "1.0.0-1");
  CHECK(loss.snapshot.number == 1);
  const auto job = host.back();
  INFO(job.message);
  REQUIRE(job.state == JobState::done);
  CHECK(host.now() == "one");
  CHECK(disagreement(host, "1.0.0") == "");
  CHECK(host.told(job.id, "the site stops; its data go back to snapshot 1, taken before 2.0.0-2"));
  CHECK(host.told(job.id, "what the data were until now is snapshot 1"));
  CHECK(host.told(job.id, "the site away for "));
  const auto all = host.snapshots();
  REQUIRE(all.size() == 1);
  CHECK(all[0].kind == "rollback");
  CHECK(all[0].release == "2.0.0-2");
  CHECK(host.kept(1) == "two, and more");
  CHECK_FALSE(rollout::data_moves(host.context(), site()));
  SECTION("and forward again") {
    const auto forward = host.back("2.0.0");
    INFO(forward.message);
    REQUIRE(forward.state == JobState::done);
    CHECK(host.now() == "two, and more");
    CHECK(host.kept(1) == "one");
    CHECK(disagreement(host, "2.0.0") == "");
  }
}

TEST_CASE("[fault-1098] data that cannot be looked at are no reason to refuse the way back") {
  DataHost host;
  REQUIRE(host.deploy_with("2.0.0").state == JobState::done);
  std::string deep = host.data + "/app";
  for (int i = 0; i < 70; ++i)
    std::filesystem::create_directory(deep += "/d");
  const auto loss = must(rollout::data_loss(host.context(), site(), ""));
  CHECK(loss.snapshot.number == 1);
  CHECK(loss.unknown.find("levels deep") != std::string::npos);
  CHECK(host.back().state == JobState::done);
  CHECK(host.now() == "one");
  CHECK(must(rollout::data_loss(host.context(), site(), "2.0.0")).unknown.empty());
}

// 2.0.0 and 3.0.0 are good, 4.0.0 failed: snapshots 1 to 3 are of 1.0.0, 2.0.0 and 3.0.0. Then
// 3.0.0 works on, and a rollback puts what it wrote under the oldest number.
TEST_CASE("[fault-1090] the newest snapshot is the one with the newest data, whichever its number") {
  DataHost host;
  for (const char* version : {"2.0.0", "3.0.0"}) {
    host.clock.move(std::chrono::hours{1});
    REQUIRE(host.deploy_with(version).state == JobState::done);
  }
  host.runner.app("4.0.0").status = 500;
  host.clock.move(std::chrono::hours{1});
  REQUIRE(host.deploy_with("4.0.0").state == JobState::failed);
  host.write(host.data + "/app/text", "a week of 3.0.0");
  host.clock.move(std::chrono::hours{24 * 7});
  REQUIRE(host.back("1.0.0").state == JobState::done);
  CHECK(host.now() == "one");
  CHECK(host.snapshots().front().number == 1);
  CHECK(must(rollout::data_loss(host.context(), site(), "3.0.0")).snapshot.number == 1);
  SECTION("the same command with the other version goes forward again") {
    const auto forward = host.back("3.0.0");
    INFO(forward.message);
    REQUIRE(forward.state == JobState::done);
    CHECK(host.now() == "a week of 3.0.0");
  }
  SECTION("the oldest data are pruned first") {
    host.config.keep_releases = 2;
    host.restart();
    host.unlock();
    host.clock.move(std::chrono::hours{1});
    REQUIRE(host.deploy_with("5.0.0").state == JobState::done);
    REQUIRE(host.snapshots().size() == 2);
    CHECK(host.kept(1) == "a week of 3.0.0");
    CHECK(host.kept(4) == "one");
  }
}

TEST_CASE("[fault-664] a rollback with the data to a release that has no snapshot changes nothing") {
  DataHost host;
  REQUIRE(host.deploy("2.0.0").state == JobState::done);
  host.runner.forget();
  const auto job = host.back();
  CHECK(job.code == Code::not_found);
  CHECK(job.message.find("stop: there is no snapshot of the data of 1.0.0-1") != std::string::npos);
  CHECK(disagreement(host, "2.0.0") == "");
  CHECK(host.runner.count("stop ") == 0);
}

TEST_CASE("[fault-665] a rollback with the data whose release does not come up: the data are what they were, and the old release serves") {
  DataHost host;
  REQUIRE(host.deploy_with("2.0.0").state == JobState::done);
  host.runner.app("1.0.0").status = 500;
  const auto job = host.back();
  INFO(job.message);
  CHECK(job.state == JobState::failed);
  CHECK(host.now() == "two");
  CHECK(host.kept(1) == "one");
  CHECK(disagreement(host, "2.0.0") == "");
  CHECK_FALSE(rollout::data_moves(host.context(), site()));
}

TEST_CASE("[fault-666] a daemon that dies in any step of a rollback with the data: they are whole, and those of what is live") {
  const bool behind = GENERATE(false, true), machine = GENERATE(false, true);
  DataHost host;
  REQUIRE(host.deploy_with("2.0.0").state == JobState::done);
  std::string live = "two";
  for (const auto* step : with_data()) {
    INFO("step " << step->name << (behind ? ", behind it" : ", before it")
                 << (machine ? ", with the machine" : ""));
    host.options.with_data = true;
    const auto job = host.queue(JobKind::rollback);
    host.options = {};
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
    must(rollout::bring_up(host.context(), site(), true));
    // What serves now has the data that belong to it, whichever that is.
    CHECK(host.now() == (host.ask() == "1.0.0" ? "one" : "two"));
    const auto ended = host.run(job);
    INFO(ended.message);
    CHECK(ended.state == JobState::done);
    live = live == "two" ? "one" : "two";
    CHECK(host.now() == live);
    CHECK(disagreement(host, live == "one" ? "1.0.0" : "2.0.0") == "");
    CHECK(host.snapshots().size() == 1);
    CHECK_FALSE(rollout::data_moves(host.context(), site()));
  }
}

TEST_CASE("[fault-667] somebody moved the data in the middle: nothing is started with what is there") {
  DataHost host;
  REQUIRE(host.deploy_with("2.0.0").state == JobState::done);
  host.options.with_data = true;
  const auto job = host.queue(JobKind::rollback);
  rollout::JobControl control;
  host.changed = [&](const std::string& id) {
    if (host.look(id).step == "start")
      throw PowerCut();
  };
  try {
    rollout::run_job(host.context(), job.id, control);
  } catch (const PowerCut&) {}
  host.changed = nullptr;
  host.reboot();
  std::filesystem::rename(host.data, host.data + ".away");
  std::filesystem::create_directory(host.data);
  host.unlock();
  const auto up = rollout::bring_up(host.context(), site(), true);
  REQUIRE_FALSE(up);
  CHECK(up.error().message.find("somebody moved them. Put the right data at") != std::string::npos);
  CHECK(host.ask() == "nobody");
}

TEST_CASE("[fault-668] what was not written to its end is no snapshot, and goes") {
  DataHost host;
  std::filesystem::create_directories(rollout::snapshot_data(host.paths, site(), 7));
  CHECK(host.snapshots().empty());
  REQUIRE(host.deploy_with("2.0.0").state == JobState::done);
  REQUIRE(host.snapshots().size() == 1);
  CHECK(host.snapshots()[0].number == 8);
  CHECK_FALSE(host.disk.exists(cat(rollout::snapshots_dir(host.paths, site()), "/7")));
}

TEST_CASE("[fault-669] a power cut before the copy is on the disk leaves no snapshot") {
  DataHost host;
  const auto job = host.queue_deploy(Order{.version = "2.0.0", .services = k_data_services});
  rollout::JobControl control;
  rollout::run_job(host.context(), job.id, control); // and nobody prunes
  REQUIRE(host.snapshots().size() == 1);
  host.reboot(); // what is in memory is gone
  CHECK(host.snapshots().empty());
  host.unlock();
  rollout::prune_after_job(host.context(), site());
  CHECK(must(host.disk.list(rollout::snapshots_dir(host.paths, site()))).empty());
}

TEST_CASE("a snapshot goes with the release whose data it has, and with the site") {
  DataHost host;
  host.config.keep_releases = 1;
  host.restart();
  host.unlock();
  for (int n = 2; n <= 5; ++n)
    REQUIRE(host.deploy_with(cat(n, ".0.0")).state == JobState::done);
  const auto all = host.snapshots();
  REQUIRE(all.size() == 1);
  CHECK(all[0].release == "4.0.0-4");
  REQUIRE(host.run(host.queue(JobKind::remove)).state == JobState::done);
  CHECK_FALSE(host.disk.exists(rollout::snapshots_dir(host.paths, site())));
  CHECK(host.now() == "two"); // the data stay
}

TEST_CASE("a deploy that begins again after a crash keeps its first snapshot: the release_command may have run") {
  DataHost host;
  const auto job = host.queue_deploy(Order{.version = "2.0.0", .services = k_data_services});
  rollout::JobControl control;
  host.changed = [&](const std::string& id) {
    if (host.look(id).step == "start")
      throw PowerCut();
  };
  try {
    rollout::run_job(host.context(), job.id, control);
  } catch (const PowerCut&) {}
  host.changed = nullptr;
  host.restart();
  host.unlock();
  REQUIRE(host.run(job).state == JobState::done);
  REQUIRE(host.snapshots().size() == 1);
  CHECK(host.kept(1) == "one");
}

TEST_CASE("[data] of chillboxd.toml: no snapshots, only small ones, or none without one [fault-771]") {
  DataHost host;
  SECTION("off") {
    host.config.snapshots = "off";
    host.restart();
    host.unlock();
    REQUIRE(host.deploy_with("2.0.0").state == JobState::done);
    CHECK(host.snapshots().empty());
  }
  SECTION("at most") {
    host.config.snapshot_max = 1 << 20;
    host.restart();
    host.unlock();
    host.write(host.data + "/app/big", std::string(2 << 20, 'x'));
    const auto job = host.deploy_with("2.0.0");
    CHECK(job.state == JobState::done);
    CHECK(host.told(job.id,
        "no snapshot of the data before release_command: the data are 2.1 MB, more than data.snapshot_max, 1.0 MB"));
  }
  SECTION("required") {
    host.config.snapshots = "required";
    host.config.snapshot_max = 1 << 20;
    host.restart();
    host.unlock();
    host.write(host.data + "/app/big", std::string(2 << 20, 'x'));
    const auto job = host.deploy_with("2.0.0");
    CHECK(job.code == Code::preflight);
    CHECK(job.message.find("no snapshot of the data before release_command") != std::string::npos);
    CHECK(host.now() == "one");
    CHECK(disagreement(host, "1.0.0") == "");
  }
}
