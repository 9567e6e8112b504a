// A backup that could not be stored: kept, tried again, and what a killed daemon left.
#include "backup/data.hpp"

#include "backup/backups.hpp"
#include "os/io.hpp"
#include "rollout/fakes.hpp"

#include <filesystem>

using namespace chillbox;
using namespace chillbox::backup;
using namespace chillbox::test;

namespace {

// Its hook ends with `code`; what reads the data does so in this process.
struct Programs : os::Runner {
  int code = 0;
  std::string stored; // names, a line each
  Result<os::Exit> run(const os::Command& c) override {
    if (c.argv.size() == 3 && c.argv[1] == "--snapshot") {
      const auto order = TRY(parse_order(c.input));
      return os::Exit{.code = 0,
          .out =
              report_text(TRY(snapshot(order, static_cast<int>(parse_u64(c.argv[2]).value_or(0))))),
          .err = {}};
    }
    const std::string& verb = c.argv.at(6);
    if (verb == "put" && code == 0)
      stored += c.argv.at(7) + " 1\n";
    std::string_view rest = stored;
    if (verb == "list" && c.streams)
      (void)os::write_fully((*c.streams)[1], rest);
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
    write(paths.data(blog) + "/web/a", "hello");
    write(cat(paths.releases(blog), "/1-1/blog.site.json"),
        R"({"name":"Blog","server_name":"b.example","version":"1.0.0","services":[{"name":"web","lang":"static"}]})");
    store::SiteRow row{blog};
    row.live = "1-1";
    must(store.put_site(row));
    begin();
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
        .prepare = {},
        .file_key = {},
        .next_due = [](int64_t) { return std::optional<int64_t>(); },
        .changed = [this] { ++changes; }});
    backups->begin();
  }
  std::vector<std::string> local() {
    return must(os::real_disk().list(backups_dir(paths) + "/blog"));
  }
  control::Backup newest() { return must(backups->list(blog)).backups.at(0); }
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
