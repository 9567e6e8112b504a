// A backup that could not be stored: kept, tried again, and what a killed daemon left.
#include "backup/data.hpp"

#include "backup/backups.hpp"
#include "os/io.hpp"
#include "rollout/fakes.hpp"

#include <filesystem>
#include <future>
#include <set>
#include <thread>

using namespace chillbox;
using namespace chillbox::backup;
using namespace chillbox::test;

namespace {

// Its hook ends with `code`, or as `first` says; what reads the data does so in this process.
struct Programs : os::Runner {
  int code = 0;
  std::function<void()> after_reading;
  std::set<std::string> stored;             // names
  std::map<std::string, std::string> gives; // what is stored under a name that is here already
  std::function<Result<void>(const std::string& verb, const std::string& name)> first;
  Result<os::Exit> run(const os::Command& c) override {
    if (c.argv.size() == 3 && c.argv[1] == "--snapshot") {
      const auto order = TRY(parse_order(c.input));
      const auto report = TRY(snapshot(order, static_cast<int>(parse_u64(c.argv[2]).value_or(0))));
      if (after_reading)
        after_reading();
      return os::Exit{.code = 0, .out = report_text(report), .err = {}};
    }
    const std::string& verb = c.argv.at(6);
    const std::string name = c.argv.size() > 7 ? c.argv[7] : "";
    if (first)
      TRY(first(verb, name));
    if (verb == "put" && code == 0)
      stored.insert(name);
    if (const auto kept = gives.find(name); kept != gives.end() && c.streams) {
      std::string_view bytes = kept->second;
      if (verb == "get")
        (void)os::write_fully((*c.streams)[1], bytes);
      else if (verb == "put")
        kept->second = TRY(os::read_all((*c.streams)[0], 1 << 20, name));
    }
    std::string lines;
    for (const auto& one : stored)
      lines += one + " 1\n";
    std::string_view rest = lines;
    if (verb == "list" && c.streams)
      (void)os::write_fully((*c.streams)[1], rest);
    if (verb == "delete" && code == 0 && stored.erase(name) == 0)
      return os::Exit{.code = 3, .out = {}, .err = {}};
    return os::Exit{.code = code, .out = {}, .err = {}};
  }
};

struct Desk {
  Scratch scratch;
  os::Paths paths{scratch / "host"};
  FakeClock clock;
  Programs programs;
  crypto::AgeIdentity identity = crypto::AgeIdentity::generate();
  SiteName blog = must(SiteName::parse("blog"));
  store::Store store = open();
  config::HostBackup config{.target = "none", .recipients = {identity.recipient()}};
  std::unique_ptr<Backups> backups;
  size_t changes = 0;

  Desk() {
    write(paths.config_file(), "");
    write(paths.etc() + "/backup/none", "x=1\n");
    write(paths.admin_hooks() + "/backup/none", "#!/bin/sh\n");
    ::chmod((paths.admin_hooks() + "/backup/none").c_str(), 0755);
    write(paths.recipient(), identity.recipient() + "\n");
    add(blog);
    begin();
  }
  void add(const SiteName& site, const std::string& more = "", bool stopped = false) {
    write(paths.data(site) + "/web/a", "hello");
    write(cat(paths.releases(site), "/1-1/", site.str(), ".site.json"),
        cat(R"({"name":")", site.str(), R"(","server_name":")", site.str(),
            R"(.example","version":"1.0.0","services":[{"name":"web","lang":"static"}])", more,
            "}"));
    store::SiteRow row{site};
    row.live = "1-1";
    row.stopped = stopped;
    must(store.put_site(row));
  }
  store::Store open() {
    std::filesystem::create_directories(paths.state());
    return must(store::Store::open(paths.database(), clock.wall_ms()));
  }
  void write(const std::string& path, const std::string& text) {
    std::filesystem::create_directories(std::filesystem::path(path).parent_path());
    write_file(path, text);
  }
  void begin() {
    backups.reset();
    backups = std::make_unique<Backups>(Backups::Host{.store = store,
        .disk = os::real_disk(),
        .runner = programs,
        .clock = clock,
        .paths = paths,
        .config = config,
        .host_name = "web1",
        .as_root = false,
        .prepare = [](const SiteName&, const std::string&) -> Result<openrc::SlotSpec> {
          return fail(Code::conflict, "it is stopped");
        },
        .file_key = {},
        .next_due = [](int64_t) { return std::optional<int64_t>(); },
        .changed = [this] { ++changes; }});
    backups->begin();
  }
  std::vector<std::string> local(const std::string& site = "blog") {
    return must(os::real_disk().list(cat(backups_dir(paths), "/", site)));
  }
  std::vector<control::Backup> all(const SiteName& site) {
    return must(backups->list(site)).backups;
  }
  control::Backup newest() { return all(blog).at(0); }
  std::string retention() { return must(backups->list(blog)).sites.at(0).retention; }
  control::Backup make() { // at its time
    clock.sleep(os::Millis{60'000});
    backups->run_all();
    backups->wait();
    return newest();
  }
  std::optional<int64_t> in() { // seconds from now
    const auto at = backups->retry_at();
    return at ? std::optional(*at - clock.wall()) : std::nullopt;
  }
};

} // namespace

TEST_CASE("what could not be stored is tried again after ten minutes and an hour, then at its time [fault-772]") {
  Desk desk;
  desk.programs.code = 5;
  desk.backups->run_all();
  desk.backups->wait();
  const auto first = desk.newest();
  CHECK(first.stored_ms == 0);
  CHECK(desk.in() == 600);
  desk.clock.sleep(os::Millis{600'000});
  desk.backups->retry();
  desk.backups->wait();
  CHECK(desk.newest().serial == first.serial); // the same archive, no new one
  CHECK(desk.in() == 3600);
  SECTION("stored in the end") {
    desk.programs.code = 0;
    desk.backups->retry();
    desk.backups->wait();
    CHECK(desk.newest().serial == first.serial);
    CHECK(desk.newest().stored_ms != 0);
    CHECK_FALSE(desk.in());
    CHECK(desk.local().empty());
  }
  SECTION("not even then") {
    desk.backups->retry();
    desk.backups->wait();
    CHECK_FALSE(desk.in());
    desk.backups->run_all();
    desk.backups->wait();
    CHECK(desk.newest().serial > first.serial);
    CHECK(desk.in() == 600);
  }
}

TEST_CASE("[fault-1104] what could not be stored for days is stored before the next one, the oldest first") {
  Desk desk;
  const auto day = [&] {
    desk.clock.sleep(os::Millis{24 * 3'600'000});
    return desk.make();
  };
  desk.programs.code = 5;
  const auto first = day(), second = day(), third = day();
  CHECK(desk.local().size() == 6);
  std::vector<std::string> order;
  desk.programs.code = 0;
  desk.programs.first = [&](const std::string& verb, const std::string& name) -> Result<void> {
    if (verb == "put" && name.ends_with(".age"))
      order.push_back(name);
    return {};
  };
  SECTION("with the next one") {
    const auto fourth = day();
    CHECK(order == std::vector{first.name, second.name, third.name, fourth.name});
    CHECK(desk.programs.stored.size() == 8);
  }
  SECTION("when it is tried again") {
    desk.backups->retry();
    desk.backups->wait();
    CHECK(order == std::vector{first.name, second.name, third.name});
  }
  SECTION("one whose archive somebody deleted is in nobody's way") {
    std::filesystem::remove(
        cat(backups_dir(desk.paths), "/blog/", first.name.substr(first.name.rfind('/') + 1)));
    desk.backups->retry();
    desk.backups->wait();
    CHECK(order == std::vector{second.name, third.name});
    CHECK(desk.all(desk.blog).size() == 2);
  }
  SECTION("one that the target refuses keeps no newer one away, and is reported") {
    desk.programs.first = [&](const std::string&, const std::string& name) -> Result<void> {
      return name.starts_with(first.name) ? fail(Code::denied, "it is locked") : Result<void>();
    };
    const auto fourth = day();
    CHECK(fourth.stored_ms != 0);
    CHECK_SAYS(must(desk.backups->list(desk.blog)).sites.at(0).problem,
        "stored, but not an older one that waits");
    CHECK(desk.local().size() == 2);
  }
  for (const auto& b : desk.all(desk.blog))
    CHECK((b.stored_ms != 0 || !desk.local().empty()));
}

TEST_CASE("[fault-1104] a target that never answers does not fill the disk: the newest seven wait") {
  Desk desk;
  desk.programs.code = 5;
  control::Backup first = desk.make();
  for (int i = 0; i < 8; ++i)
    (void)desk.make();
  CHECK(desk.all(desk.blog).size() == 7);
  CHECK(desk.local().size() == 14);
  CHECK(std::ranges::none_of(
      desk.all(desk.blog), [&](const auto& b) { return b.serial == first.serial; }));
}

TEST_CASE("[fault-1107] a target that is away for a minute says nothing of a backup: the proof is made up for, and a locked host does not call a good one bad") {
  Desk desk;
  desk.config.prove = "weekly";
  desk.begin();
  const auto state = [&] { return must(desk.backups->list(desk.blog)).sites.at(0); };
  const auto get_fails = [&](Code code) {
    desk.programs.first = [code](const std::string& verb, const std::string&) -> Result<void> {
      return verb == "get" ? fail(code, "so it is") : Result<void>();
    };
  };
  get_fails(Code::unreachable);
  (void)desk.make();
  CHECK(state().checked_ms == 0);
  CHECK_SAYS(state().unproven, "so it is");
  CHECK(desk.in() == 600);
  const std::string before = state().unproven;
  get_fails(Code::sealed);
  CHECK_FALSE(desk.backups->verify(desk.blog));
  CHECK(state().unproven == before);
  desk.programs.first = {}; // what it gives is nobody's
  desk.backups->retry();
  desk.backups->wait();
  CHECK(state().checked_ms != 0);
  CHECK(state().unproven != before);
  CHECK(state().unproven != "");
  CHECK_FALSE(desk.in());
  // Not again and again, but the next day.
  const auto checked = state().checked_ms;
  desk.backups->unlocked();
  desk.backups->wait();
  CHECK(state().checked_ms == checked);
  desk.clock.sleep(os::Millis{24 * 3'600'000});
  desk.backups->unlocked();
  desk.backups->wait();
  CHECK(state().checked_ms > checked);
}

TEST_CASE("[fault-1107] a locked host that never proved a backup does not call it bad") {
  Desk desk;
  desk.programs.first = [](const std::string& verb, const std::string&) -> Result<void> {
    return verb == "get" ? fail(Code::sealed, "locked") : Result<void>();
  };
  (void)desk.make();
  CHECK(must(desk.backups->list(desk.blog)).sites.at(0).unproven == "");
}

TEST_CASE("a daemon that is started after a backup could not be stored tries that again, ten minutes after it failed [fault-843]") {
  Desk desk;
  CHECK_FALSE(desk.in()); // nothing failed
  desk.programs.code = 5;
  desk.backups->run_all();
  desk.backups->wait();
  const auto first = desk.newest();
  desk.clock.sleep(os::Millis{200'000});
  desk.begin();
  CHECK(desk.in() == 400);
  desk.clock.sleep(os::Millis{7'200'000}); // the host was off
  desk.begin();
  CHECK(desk.in() == 0);
  desk.programs.code = 0;
  desk.backups->retry();
  desk.backups->wait();
  CHECK(desk.newest().serial == first.serial);
  CHECK(desk.newest().stored_ms != 0);
  desk.begin();
  CHECK_FALSE(desk.in());
}

TEST_CASE("what a killed daemon left and no backup waits for goes with the next start [fault-773]") {
  Desk desk;
  desk.programs.code = 5;
  const auto made = desk.backups->create(desk.blog);
  REQUIRE_FALSE(made);
  CHECK_SAYS(made.error().message, "taken, but not stored");
  const auto kept = desk.local();
  REQUIRE(kept.size() == 2);
  const std::string dir = backups_dir(desk.paths) + "/blog/";
  for (const char* name : {"20260101T000000Z-7.data.tar.zst.age.minisig",
           "20260101T000000Z-8.data.tar.zst.age", "x.part", "y.get", "y.get.minisig.get"})
    write_file(dir + name, "left");
  desk.begin();
  CHECK(desk.local() == kept);
  desk.programs.code = 0;
  CHECK(desk.backups->create(desk.blog));
  CHECK(desk.local().empty());
}

TEST_CASE("an old backup that is gone from the target already does not keep others from being deleted [fault-1071]") {
  Desk desk;
  desk.config.keep = "1d";
  desk.begin();
  const auto first = desk.make();
  desk.programs.first = [](const std::string& verb, const std::string&) -> Result<void> {
    return verb == "delete" ? fail(Code::timed_out, "cut off") : Result<void>();
  };
  const auto second = desk.make();
  CHECK(desk.all(desk.blog).size() == 2);
  CHECK_SAYS(desk.retention(), "cut off");
  desk.programs.first = {};
  SECTION("by half") {
    desk.programs.stored.erase(second.name + ".minisig");
  }
  SECTION("as a whole") {
    desk.programs.stored.erase(second.name + ".minisig");
    desk.programs.stored.erase(second.name);
  }
  const auto third = desk.make();
  CHECK(desk.retention().empty());
  CHECK(desk.all(desk.blog).size() == 1);
  CHECK(desk.programs.stored == std::set{third.name, third.name + ".minisig"});
}

TEST_CASE("an old backup that the target refuses to delete is reported, and the others go [fault-1071]") {
  Desk desk;
  desk.config.keep = "1d";
  desk.begin();
  const auto refuse = [&](const std::string& what) {
    desk.programs.first = [what](const std::string& verb, const std::string& name) -> Result<void> {
      return verb == "delete" && name.starts_with(what) ? fail(Code::denied, "it is locked")
                                                        : Result<void>();
    };
  };
  refuse("");
  const auto first = desk.make();
  const auto second = desk.make();
  refuse(second.name);
  const auto third = desk.make();
  CHECK_SAYS(desk.retention(), "it is locked");
  CHECK(desk.programs.stored ==
      std::set{second.name, second.name + ".minisig", third.name, third.name + ".minisig"});
  CHECK(desk.all(desk.blog).size() == 2); // what was deleted is not listed
}

TEST_CASE("backups that are due while an operator makes one wait for it [fault-1072]") {
  Desk desk;
  const auto shop = must(SiteName::parse("shop"));
  desk.add(shop);
  std::promise<void> begun, go;
  desk.programs.first = [&, held = false](
                            const std::string& verb, const std::string&) mutable -> Result<void> {
    if (verb == "put" && !std::exchange(held, true)) {
      begun.set_value();
      go.get_future().wait();
    }
    return {};
  };
  std::thread person([&] { (void)desk.backups->create(shop); });
  begun.get_future().wait();
  desk.backups->run_all();
  std::this_thread::sleep_for(os::Millis{200}); // for one that does not wait
  go.set_value();
  person.join();
  desk.backups->wait();
  REQUIRE(desk.all(desk.blog).size() == 1);
  CHECK(desk.newest().stored_ms != 0);
  CHECK(desk.all(shop).size() == 1); // the operator's
}

TEST_CASE("backups that are due while one is proven are made afterwards [fault-1072]") {
  Desk desk;
  const auto first = desk.make();
  desk.clock.sleep(os::Millis{8 * 24 * 3'600'000});
  std::promise<void> begun, go;
  desk.programs.first = [&, held = false](
                            const std::string& verb, const std::string&) mutable -> Result<void> {
    if (verb == "get" && !std::exchange(held, true)) {
      begun.set_value();
      go.get_future().wait();
    }
    return {};
  };
  desk.backups->unlocked();
  begun.get_future().wait();
  desk.backups->run_all();
  go.set_value();
  desk.backups->wait();
  CHECK(desk.newest().serial > first.serial);
}

TEST_CASE("backups that were due when the daemon stopped are made by the next one [fault-1073]") {
  Desk desk;
  const auto shop = must(SiteName::parse("shop"));
  desk.add(shop);
  desk.programs.first = [&](const std::string& verb, const std::string&) -> Result<void> {
    if (verb != "put")
      return {};
    desk.backups->ask_to_stop();
    return fail(Code::interrupted, "cancelled");
  };
  desk.backups->run_all();
  desk.backups->wait();
  desk.programs.first = {};
  desk.begin();
  CHECK(desk.in() == 0);
  desk.backups->retry();
  desk.backups->wait();
  for (const auto& site : {desk.blog, shop}) {
    REQUIRE(desk.all(site).size() == 1);
    CHECK(desk.all(site).at(0).stored_ms != 0);
  }
  CHECK_FALSE(desk.in());
  desk.begin();
  CHECK_FALSE(desk.in());
}

TEST_CASE("the archive of a site that is called work or proof waits like others [fault-1074]") {
  Desk desk;
  desk.programs.code = 5;
  for (const std::string name : {"work", "proof"}) {
    const auto site = must(SiteName::parse(name));
    desk.add(site);
    REQUIRE_FALSE(desk.backups->create(site));
    REQUIRE(desk.local(name).size() == 2);
    const std::string left = cat(backups_dir(desk.paths), "/", name, "/blog/a");
    desk.write(left, "left by an older version");
    desk.begin();
    CHECK(desk.local(name).size() == 2);
    CHECK_FALSE(std::filesystem::exists(left));
  }
}

TEST_CASE("a stopped site is backed up without its command, which the backup says [fault-1075]") {
  Desk desk;
  const std::string before = R"(,"backup":{"before":"dump"})";
  desk.add(desk.blog, before);
  const auto refused = desk.backups->create(desk.blog);
  REQUIRE_FALSE(refused);
  CHECK_SAYS(refused.error().message, "it is stopped");
  desk.add(desk.blog, before, true);
  const auto made = must(desk.backups->create(desk.blog));
  CHECK(made.stored_ms != 0);
  CHECK_SAYS(made.warnings, "`before` was not run: the site is stopped");
}

TEST_CASE("a backup that was proven and is found damaged is proven no more; that the target does not give it changes nothing [fault-1126]") {
  Desk desk;
  auto proven = desk.make();
  proven.proven_ms = 1;
  must(Records(desk.store).put(proven));
  for (const Code code : {Code::denied, Code::unreachable, Code::not_found}) {
    desk.programs.first = [code](const std::string&, const std::string&) -> Result<void> {
      return fail(code, "not today");
    };
    CHECK_FALSE(desk.backups->verify(desk.blog));
    CHECK(desk.newest().proven_ms == 1);
  }
  desk.programs.first = {}; // what it gives now has no signature
  CHECK_FALSE(desk.backups->verify(desk.blog));
  CHECK(desk.newest().proven_ms == 0);
  CHECK(desk.newest().stored_ms != 0);
  CHECK(must(desk.backups->list(desk.blog)).sites.at(0).unproven != "");
}

TEST_CASE("a restore that finds a proven backup damaged takes the proof back; that the target does not give it changes nothing [fault-1209]") {
  Desk desk;
  auto proven = desk.make();
  proven.proven_ms = 1;
  must(Records(desk.store).put(proven));
  const std::string tree = desk.scratch / "back/tree";
  std::filesystem::create_directories(desk.scratch / "back");
  for (const Code code : {Code::denied, Code::unreachable, Code::not_found}) {
    desk.programs.first = [code](const std::string&, const std::string&) -> Result<void> {
      return fail(code, "not today");
    };
    CHECK_FALSE(desk.backups->put_back(proven, tree, {}));
    CHECK(desk.newest().proven_ms == 1);
  }
  desk.programs.first = {}; // what it gives now has no signature
  const size_t changes = desk.changes;
  CHECK_FALSE(desk.backups->put_back(proven, tree, {}));
  CHECK(desk.newest().proven_ms == 0);
  CHECK(desk.newest().stored_ms != 0);
  CHECK(must(desk.backups->list(desk.blog)).sites.at(0).unproven != "");
  CHECK(desk.changes == changes + 1);
}

TEST_CASE("a target that was set after the daemon started is not said to be missing [fault-1129]") {
  Desk desk;
  desk.config.target.clear();
  desk.begin();
  CHECK_SAYS(desk.backups->create(desk.blog).error().message, "set backup.target in");
  desk.write(desk.paths.config_file(),
      cat("[backup]\ntarget = \"none\"\nrecipients = [\"", desk.identity.recipient(), "\"]\n"));
  CHECK_SAYS(desk.backups->create(desk.blog).error().message,
      "after chillboxd started: `chillboxctl upgrade` has it read");
}

TEST_CASE("a proof before the first backup was due says so to who asked for it, and nothing is amiss [fault-1143]") {
  Desk desk;
  desk.config.prove = "weekly";
  desk.begin();
  const auto proven = desk.backups->verify(desk.blog);
  REQUIRE_FALSE(proven);
  CHECK(proven.error().code == Code::not_found);
  const auto state = must(desk.backups->list(desk.blog)).sites.at(0);
  CHECK(state.unproven == "");
  CHECK(state.stale == "");
}

TEST_CASE("[fault-1252] of two who pull the same backup at once each gets all of it") {
  Desk desk;
  desk.programs.first = [&](const std::string& verb, const std::string& name) -> Result<void> {
    if (verb == "put")
      desk.programs.gives[name];
    return {};
  };
  const auto backup = desk.make();
  bool is_second = false;
  desk.programs.first = [&](const std::string& verb, const std::string&) -> Result<void> {
    if (verb == "get" && !std::exchange(is_second, true))
      CHECK(desk.backups->open(backup)); // it comes and goes while the first one waits
    return {};
  };
  const auto opened = desk.backups->open(backup);
  REQUIRE(opened);
  CHECK(opened->signature == desk.programs.gives.at(backup.name + ".minisig"));
  CHECK(is_second);
}

TEST_CASE("[fault-1254] a backup of a day when the clock was a year ahead does not pass for the newest") {
  Desk desk;
  desk.clock.move(std::chrono::days(365));
  (void)desk.make();
  desk.clock.move(-std::chrono::days(365));
  const auto newest = desk.make();
  const auto state = must(desk.backups->list(desk.blog)).sites.at(0);
  CHECK(state.taken_ms == newest.taken_ms);
  CHECK(state.stored_ms == newest.taken_ms);
}

TEST_CASE("[fault-1256] a site that is removed with its data while they are read has no backup of what was left") {
  Desk desk;
  desk.programs.after_reading = [&] { std::filesystem::remove_all(desk.paths.data(desk.blog)); };
  const auto made = desk.backups->create(desk.blog);
  REQUIRE_FALSE(made);
  CHECK(made.error().code == Code::conflict);
  CHECK(desk.all(desk.blog).empty());
  CHECK(desk.local().empty());
}
