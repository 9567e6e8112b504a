// What a start finds, makes and refuses.
#include "daemon/change_notifier.hpp"
#include "daemon/monitor_main.hpp"
#include "daemon/startup.hpp"
#include "rollout/host.hpp"

#include <poll.h>
#include <sqlite3.h>

using namespace chillbox;
using namespace chillbox::test;

namespace {

struct Start : TempDir {
  os::Paths paths{path};
  void put(const std::string& file, std::string_view text) {
    std::filesystem::create_directories(std::filesystem::path(file).parent_path());
    must(os::real_disk().write(file, text, 0600));
  }
  std::string refusal() {
    const auto config = daemon::check_configuration(paths);
    return config ? "" : config.error().message;
  }
  static std::filesystem::perms mode(const std::string& file) {
    return std::filesystem::status(file).permissions();
  }
};

} // namespace

TEST_CASE("a start makes its directories, twice too, private where they must be") {
  Start start;
  for (int i = 0; i < 2; ++i)
    must(daemon::prepare_directories(start.paths, {}));
  for (const std::string& dir :
      {start.paths.artifacts(), start.paths.secret_sets(), start.paths.inbox()})
    CHECK(Start::mode(dir) == std::filesystem::perms::owner_all);
  for (const std::string& dir : {start.paths.stage(), start.paths.secrets(), start.paths.slots(),
           start.paths.sites(), start.paths.logs()})
    CHECK(std::filesystem::is_directory(dir));
}

TEST_CASE("uploads that a restart cut off are swept away, stored artifacts are not") {
  Start start;
  must(daemon::prepare_directories(start.paths, {}));
  start.put(start.paths.inbox() + "/0123456789abcdef", "half");
  start.put(start.paths.artifacts() + "/whole.age", "whole");
  must(daemon::prepare_directories(start.paths, {}));
  CHECK(must(os::real_disk().list(start.paths.inbox())).empty());
  CHECK(must(os::real_disk().list(start.paths.artifacts())).size() == 1);
}

TEST_CASE("copies that a power cut left half written are swept away, whole ones are not") {
  Start start;
  must(daemon::prepare_directories(start.paths, {}));
  const std::string releases = start.paths.sites() + "/blog/releases";
  start.put(start.paths.artifacts() + "/.whole.age.tmp.0123abcd", "half");
  start.put(releases + "/.1.0.0-2.tmp.0123abcd/api/app.py", "half");
  start.put(releases + "/1.0.0-1/api/app.py", "whole");
  start.put(start.paths.sites() + "/a-file", "of somebody else: no reason not to start");
  must(daemon::prepare_directories(start.paths, {}));
  CHECK(must(os::real_disk().list(start.paths.artifacts())).empty());
  CHECK(must(os::real_disk().list(releases)) == std::vector<std::string>{"1.0.0-1"});
}

TEST_CASE("[fault-94] a damaged state file is moved aside, and an empty one is begun") {
  Start start;
  must(daemon::prepare_directories(start.paths, {}));
  start.put(start.paths.database(),
      "this is no database, though it is long enough to look like one to somebody who does not look closely");
  std::vector<std::string> notes;
  auto store = must(daemon::open_store(start.paths, notes));
  REQUIRE(notes.size() == 1);
  CHECK(notes[0].find("state.db.damaged-") != std::string::npos);
  CHECK(must(store.sites()).empty());
  size_t aside = 0;
  for (const auto& name : must(os::real_disk().list(start.paths.state())))
    aside += name.starts_with("state.db.damaged-") ? 1 : 0;
  CHECK(aside == 1);
}

TEST_CASE("[fault-97] a state file of a newer release stops the start and stays as it is") {
  Start start;
  must(daemon::prepare_directories(start.paths, {}));
  std::vector<std::string> notes;
  { const auto made = must(daemon::open_store(start.paths, notes)); }
  sqlite3* db = nullptr;
  REQUIRE(sqlite3_open(start.paths.database().c_str(), &db) == SQLITE_OK);
  REQUIRE(sqlite3_exec(db, "PRAGMA user_version = 999", nullptr, nullptr, nullptr) == SQLITE_OK);
  sqlite3_close(db);
  const auto store = daemon::open_store(start.paths, notes);
  REQUIRE_FALSE(store);
  CHECK(store.error().code == Code::conflict);
  for (const auto& name : must(os::real_disk().list(start.paths.state())))
    CHECK_FALSE(name.starts_with("state.db.damaged-"));
}

TEST_CASE("the configuration is checked as a whole before a start: settings, senders, trusted keys") {
  Start start;
  CHECK(start.refusal() == ""); // all of it is optional
  start.put(start.paths.config_file(), "[limits]\njobs_maxx = 4\n");
  CHECK(start.refusal().find(start.paths.config_file() + ":2: ") == 0);
  CHECK(start.refusal().find("jobs_max") != std::string::npos);
  start.put(start.paths.config_file(), "[limits]\njobs_max = 4\n");
  CHECK(start.refusal() == "");
  start.put(start.paths.trusted() + "/anna.pub", "not a key\n");
  CHECK(start.refusal().find("anna.pub") != std::string::npos);
  std::filesystem::remove(start.paths.trusted() + "/anna.pub");
  start.put(start.paths.webhooks() + "/ci.key", "");
  CHECK(start.refusal().find("ci.key") != std::string::npos);
}

TEST_CASE("a notifier wakes who waits and who polls, and counts") {
  daemon::ChangeNotifier changes;
  const auto readable = [&] {
    pollfd fd{changes.fd(), POLLIN, 0};
    return ::poll(&fd, 1, 0) == 1;
  };
  CHECK_FALSE(readable());
  const uint64_t seen = changes.count();
  changes.notify();
  changes.notify();
  CHECK(readable());
  CHECK(changes.count() == seen + 2);
  changes.wait(seen, std::chrono::hours{1}); // returns at once
  changes.clear();
  CHECK_FALSE(readable());
}

TEST_CASE("[fault-515] under its supervisor the program waits before all else, also where it cannot count") {
  const Host host;
  const auto waited = [&] {
    const auto before = os::real_clock().mono();
    daemon::wait_if_supervised(host.paths);
    return os::real_clock().mono() - before;
  };
  const std::string file = host.paths.run() + "/chillboxd.starts";
  ::unsetenv("CHILLBOX_SUPERVISED");
  CHECK(waited() < os::Millis{500});
  CHECK_FALSE(std::filesystem::exists(file));
  ::setenv("CHILLBOX_SUPERVISED", "yes", 1);
  CHECK(waited() < os::Millis{500});
  CHECK(std::filesystem::exists(file));
  CHECK(std::getenv("CHILLBOX_SUPERVISED") == nullptr); // neither an upgrade nor a child waits
  std::filesystem::remove(file);
  std::filesystem::create_directories(file + "/in-the-way");
  ::setenv("CHILLBOX_SUPERVISED", "yes", 1);
  CHECK(waited() >= os::Millis{1'000});
}
