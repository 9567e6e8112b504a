// A rollout that this laptop walks, over connections that break (tests/cli/fake-hosts is the ssh).
#include "cli/laptop/rollout_run.hpp"

#include "base/text.hpp"
#include "catch.hpp"
#include "cli/temp_dir.hpp"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

using namespace chillbox;
using namespace chillbox::cli;

namespace {

namespace fs = std::filesystem;

const std::string k_new(64, 'b'), k_old(64, 'a');

class TwoHosts {
public:
  TwoHosts() {
    std::string here = fs::absolute(__FILE__).lexically_normal().string();
    here.erase(here.rfind("tests/cli/"));
    fs::create_directories(m_top.path() + "/bin");
    fs::create_symlink(here + "tests/cli/fake-hosts", m_top.path() + "/bin/ssh");
    for (const char* name : {"web1", "web2"}) {
      fs::create_directories(cat(m_top.path(), "/", name));
      put(cat(name, "/live"), k_old);
      put(cat(name, "/before"), k_old);
      put(cat(name, "/version"), "1.0");
      put(cat(name, "/release"), "1.0-1");
      put(cat("config/hosts/", name, ".toml"), cat("ssh = \"root@", name, "\"\n"));
    }
    for (const char* dir : {"/config", "/config/hosts", "/state"}) {
      fs::create_directories(m_top.path() + dir);
      fs::permissions(m_top.path() + dir, fs::perms::owner_all);
    }
    m_path = std::getenv("PATH");
    ::setenv("PATH", cat(m_top.path(), "/bin:", m_path).c_str(), 1);
    ::setenv("FAKE_HOSTS", m_top.path().c_str(), 1);
    state.site = "hello";
    state.version = "2.0";
    state.switching = true;
    for (const char* name : {"web1", "web2"}) {
      RolledHost host{.name = name, .state = "staged", .before = "1.0-1", .before_version = "1.0"};
      host.order.site = "hello";
      host.order.sha256 = k_new;
      host.order.number = 3;
      state.hosts.push_back(host);
    }
  }
  ~TwoHosts() { ::setenv("PATH", m_path.c_str(), 1); }
  TwoHosts(const TwoHosts&) = delete;
  TwoHosts& operator=(const TwoHosts&) = delete;

  void put(const std::string& name, std::string_view text) const {
    fs::create_directories(fs::path(m_top.path() + "/" + name).parent_path());
    std::ofstream(m_top.path() + "/" + name) << text;
    fs::permissions(m_top.path() + "/" + name, fs::perms::owner_read | fs::perms::owner_write);
  }
  std::string text(const std::string& name) const {
    std::stringstream out;
    out << std::ifstream(m_top.path() + "/" + name).rdbuf();
    return out.str();
  }
  bool has_new(const std::string& host) const { return text(host + "/live") == k_new; }
  // `patience`: with a host that may have the order, and with one that has none yet.
  std::string walk(std::chrono::milliseconds patience = std::chrono::minutes(5)) {
    const Places places{.config = m_top.path() + "/config",
        .cache = {},
        .state = m_top.path() + "/state",
        .runtime = {}};
    Args args;
    Terminal terminal({.quiet = true});
    Call call{args, terminal, {}};
    const auto done = walk_rollout(call, places, state,
        {.host = patience, .reach = patience, .pause = std::chrono::milliseconds(20)});
    if (const auto kept = read_rollout(places, "hello", "")) // what another run finds
      state = *kept;
    return done ? "done" : cat(code_name(done.error().code), ": ", done.error().message);
  }
  std::string states() const {
    return cat(state.hosts[0].state, " ", state.hosts[1].state, state.ended ? " ended" : "");
  }

  RolloutState state;

private:
  TempDir m_top;
  std::string m_path;
};

bool is_open(const std::string& verdict) {
  return verdict.ends_with("; whether it has 2.0 is not known, and its job may still run: "
                           "chillboxctl rollout resume looks again");
}

} // namespace

TEST_CASE("[fault-970] a connection that breaks does not decide what becomes of a host: its job is "
          "followed to its end") {
  const auto accidents = GENERATE(as<std::string>{}, "order cut\n", "order cut-job\n",
      "order cut-job\njob away\njob away\njob away\njob away\njob away\n",
      "deploy away\ndeploy away\ndeploy away\ndeploy away\ndeploy away\n");
  INFO(accidents);
  TwoHosts fleet;
  fleet.put("web1/accidents", accidents);
  CHECK(fleet.walk() == "done");
  CHECK(fleet.states() == "done done ended");
  CHECK(fleet.has_new("web1"));
  CHECK(fleet.has_new("web2"));
}

TEST_CASE("[fault-971] a host whose job is not heard of has not failed: the rollout has not ended, and "
          "continues from there") {
  const std::string rule = GENERATE("stop", "rollback");
  INFO(rule);
  TwoHosts fleet;
  fleet.state.rules.on_failure = rule;
  fleet.put("web1/accidents", "order cut-job\njob away*\n");
  CHECK(is_open(fleet.walk(std::chrono::seconds(2))));
  CHECK(fleet.states() == "begun staged");
  CHECK(fleet.text("web2/asked").empty());
  fleet.put("web1/accidents", "");
  CHECK(fleet.walk() == "done");
  CHECK(fleet.text("web1/asked").find("order") == fleet.text("web1/asked").rfind("order"));
}

TEST_CASE("[fault-971] neither has one whose job takes longer than anybody waits for it") {
  TwoHosts fleet;
  fleet.put("web1/accidents", "order slow\n");
  CHECK(fleet.walk(std::chrono::seconds(2)) ==
      "timed_out: web1: timed out; whether it has 2.0 is not known, and its job may still run: "
      "chillboxctl rollout resume looks again");
  CHECK(fleet.states() == "begun staged");
}

TEST_CASE("[fault-1106] a host that is away when its batch has baked has not failed, and is asked again by "
          "the one that resumes") {
  const std::string rule = GENERATE("stop", "rollback");
  TwoHosts fleet;
  fleet.state.rules.on_failure = rule;
  fleet.put("web1/accidents", "order leaves\n");
  CHECK(is_open(fleet.walk(std::chrono::seconds(2))));
  CHECK(fleet.states() == "begun staged");
  CHECK(fleet.has_new("web1"));
  CHECK(fleet.text("web2/asked").empty());
  fleet.put("web1/accidents", "");
  SECTION("the release is live") {
    CHECK(fleet.walk() == "done");
    CHECK(fleet.states() == "done done ended");
    CHECK(fleet.text("web1/asked").find("order") == fleet.text("web1/asked").rfind("order"));
  }
  SECTION("another one is") {
    fleet.put("web1/live", k_old);
    CHECK(fleet.walk().starts_with("unhealthy: "));
    CHECK(fleet.states() == "failed staged ended");
  }
}

TEST_CASE("a host that was away before it was begun has failed, and nothing was changed") {
  TwoHosts fleet;
  fleet.put("web1/accidents", "deploy away*\n");
  CHECK(fleet.walk(std::chrono::milliseconds(300)) ==
      "unhealthy: all hosts have what they had; web1: web1 (root@web1): ssh did not reach it");
  CHECK(fleet.states() == "failed staged ended");
}

TEST_CASE("[fault-972] what a host has is asked of it before the verdict: one that failed may have the "
          "release all the same") {
  TwoHosts fleet;
  SECTION("and keeps it") {
    fleet.put("web1/accidents", "order lies\n");
    CHECK(fleet.walk() ==
        "partial: 1 of 2 hosts have 2.0, the others do not; web1: hello: unhealthy; 2.0 is live "
        "there");
    CHECK(fleet.states() == "stuck staged ended");
  }
  SECTION("and goes back") {
    fleet.state.rules.on_failure = "rollback";
    fleet.put("web2/accidents", "order lies\nrollback cut\n");
    CHECK(fleet.walk() ==
        "rolled_back: all hosts are back at what they had; web2: hello: unhealthy; back to 1.0-1");
    CHECK(fleet.states() == "rolled_back failed ended");
    CHECK_FALSE(fleet.has_new("web1"));
    CHECK_FALSE(fleet.has_new("web2"));
  }
  SECTION("and cannot be asked") {
    fleet.state.rules.on_failure = "rollback";
    fleet.state.hosts[0].state = "done";
    fleet.state.hosts[0].ordered = true;
    fleet.put("web1/live", k_new);
    fleet.put("web1/accidents", "deploy away*\n");
    fleet.put("web2/accidents", "order bad\n");
    CHECK(is_open(fleet.walk(std::chrono::seconds(3))));
    CHECK(fleet.states() == "done failed");
    fleet.put("web1/accidents", "");
    CHECK(
        fleet.walk() == "rolled_back: all hosts are back at what they had; web2: hello: unhealthy");
    CHECK_FALSE(fleet.has_new("web1"));
  }
}

TEST_CASE("a host that failed by itself failed, and no other one is begun") {
  TwoHosts fleet;
  fleet.put("web1/accidents", "order bad\n");
  CHECK(fleet.walk() == "unhealthy: all hosts have what they had; web1: hello: unhealthy");
  CHECK(fleet.states() == "failed staged ended");
}

TEST_CASE("[fault-973] a host that has more of an artifact than there is of it is refused") {
  TwoHosts fleet;
  fleet.put("web1/accidents", "order more\n");
  CHECK(fleet.walk() ==
      "unhealthy: all hosts have what they had; web1: web1 has more of the artifact than there is");
}

TEST_CASE("[fault-979] a host goes back to what was live when its turn came, not when it was staged") {
  TwoHosts fleet;
  fleet.state.rules.on_failure = "rollback";
  fleet.put("web1/release", "1.1-1");
  fleet.put("web1/version", "1.1");
  fleet.put("web2/accidents", "order bad\n");
  CHECK(fleet.walk() == "rolled_back: all hosts are back at what they had; web2: hello: unhealthy");
  CHECK(fleet.text("web1/to") == "1.1-1");
  CHECK(fleet.state.hosts[0].message == "back to 1.1-1");
}
