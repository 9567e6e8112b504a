// What a start finds, makes and refuses.
#include "daemon/change_notifier.hpp"
#include "daemon/monitor.hpp"
#include "daemon/startup.hpp"
#include "rollout/host.hpp"

#include <poll.h>
#include <sqlite3.h>

using namespace chillbox;
using namespace chillbox::test;

namespace {

struct Ground : TempDir {
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
  Ground ground;
  for (int i = 0; i < 2; ++i)
    must(daemon::prepare_ground(ground.paths, {}));
  for (const std::string& dir :
      {ground.paths.artifacts(), ground.paths.secret_sets(), ground.paths.inbox()})
    CHECK(Ground::mode(dir) == std::filesystem::perms::owner_all);
  for (const std::string& dir : {ground.paths.stage(), ground.paths.secrets(), ground.paths.slots(),
           ground.paths.sites(), ground.paths.logs()})
    CHECK(std::filesystem::is_directory(dir));
}

TEST_CASE("uploads that a restart cut off are swept away, stored artifacts are not") {
  Ground ground;
  must(daemon::prepare_ground(ground.paths, {}));
  ground.put(ground.paths.inbox() + "/0123456789abcdef", "half");
  ground.put(ground.paths.artifacts() + "/whole.age", "whole");
  must(daemon::prepare_ground(ground.paths, {}));
  CHECK(must(os::real_disk().list(ground.paths.inbox())).empty());
  CHECK(must(os::real_disk().list(ground.paths.artifacts())).size() == 1);
}

TEST_CASE("copies that a power cut left half written are swept away, whole ones are not") {
  Ground ground;
  must(daemon::prepare_ground(ground.paths, {}));
  const std::string releases = ground.paths.sites() + "/blog/releases";
  ground.put(ground.paths.artifacts() + "/.whole.age.tmp.0123abcd", "half");
  ground.put(releases + "/.1.0.0-2.tmp.0123abcd/api/app.py", "half");
  ground.put(releases + "/1.0.0-1/api/app.py", "whole");
  ground.put(ground.paths.sites() + "/a-file", "of somebody else: no reason not to start");
  must(daemon::prepare_ground(ground.paths, {}));
  CHECK(must(os::real_disk().list(ground.paths.artifacts())).empty());
  CHECK(must(os::real_disk().list(releases)) == std::vector<std::string>{"1.0.0-1"});
}

TEST_CASE("[fault-94] a damaged state file is moved aside, and an empty one is begun") {
  Ground ground;
  must(daemon::prepare_ground(ground.paths, {}));
  ground.put(ground.paths.database(),
      "this is no database, though it is long enough to look like one to somebody who does not look closely");
  auto store = must(daemon::open_store(ground.paths));
  CHECK(must(store.sites()).empty());
  size_t aside = 0;
  for (const auto& name : must(os::real_disk().list(ground.paths.state())))
    aside += name.starts_with("state.db.damaged-") ? 1 : 0;
  CHECK(aside == 1);
}

TEST_CASE("[fault-97] a state file of a newer release stops the start and stays as it is") {
  Ground ground;
  must(daemon::prepare_ground(ground.paths, {}));
  { const auto made = must(daemon::open_store(ground.paths)); }
  sqlite3* db = nullptr;
  REQUIRE(sqlite3_open(ground.paths.database().c_str(), &db) == SQLITE_OK);
  REQUIRE(sqlite3_exec(db, "PRAGMA user_version = 999", nullptr, nullptr, nullptr) == SQLITE_OK);
  sqlite3_close(db);
  const auto store = daemon::open_store(ground.paths);
  REQUIRE_FALSE(store);
  CHECK(store.error().code == Code::conflict);
  for (const auto& name : must(os::real_disk().list(ground.paths.state())))
    CHECK_FALSE(name.starts_with("state.db.damaged-"));
}

TEST_CASE("the configuration is checked as a whole before a start: settings, senders, trusted keys") {
  Ground ground;
  CHECK(ground.refusal() == ""); // all of it is optional
  ground.put(ground.paths.config_file(), "[limits]\njobs_maxx = 4\n");
  CHECK(ground.refusal().find(ground.paths.config_file() + ":2: ") == 0);
  CHECK(ground.refusal().find("jobs_max") != std::string::npos);
  ground.put(ground.paths.config_file(), "[limits]\njobs_max = 4\n");
  CHECK(ground.refusal() == "");
  ground.put(ground.paths.trusted() + "/anna.pub", "not a key\n");
  CHECK(ground.refusal().find("anna.pub") != std::string::npos);
  std::filesystem::remove(ground.paths.trusted() + "/anna.pub");
  ground.put(ground.paths.webhooks() + "/ci.key", "");
  CHECK(ground.refusal().find("ci.key") != std::string::npos);
}

TEST_CASE("a bell that rings wakes who waits and who polls, and counts") {
  daemon::Bell bell;
  const auto readable = [&] {
    pollfd fd{bell.fd(), POLLIN, 0};
    return ::poll(&fd, 1, 0) == 1;
  };
  CHECK_FALSE(readable());
  const uint64_t seen = bell.count();
  bell.ring();
  bell.ring();
  CHECK(readable());
  CHECK(bell.count() == seen + 2);
  bell.wait(seen, std::chrono::hours{1}); // returns at once
  bell.silence();
  CHECK_FALSE(readable());
}
