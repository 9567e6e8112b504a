// No request is lost: a slot that had the traffic is stopped only when nobody waits at its socket
// any more.
#include "os/probe.hpp"
#include "rollout/engine_host.hpp"

using namespace chillbox;
using namespace chillbox::test;
using store::JobState;

namespace {

// Somebody who knocks at a slot that accepts nobody for the moment, as NGINX may just before the
// links change.
class Visitor {
public:
  Visitor(Host& host, const std::string& version, const std::string& slot)
      : m_app(host.runner.app(version)) {
    m_app.busy = true;
    m_thread =
        std::thread([this, socket = cat(host.paths.slots_of(site()), "/app.", slot, ".sock")] {
          const auto answer = os::probe({.socket = socket});
          m_heard = answer ? answer->body : "lost: " + answer.error().message;
        });
    REQUIRE(eventually([&] {
      return openrc::accept_queue(cat(host.paths.slots_of(site()), "/app.", slot, ".sock"))
                 .value_or(0) == 1;
    }));
    m_release = std::thread([this] {
      std::this_thread::sleep_for(os::Millis{200});
      m_app.busy = false;
    });
  }
  std::string heard() {
    m_release.join();
    m_thread.join();
    return m_heard;
  }

private:
  App& m_app;
  std::string m_heard;
  std::thread m_thread, m_release;
};

} // namespace

TEST_CASE("who waits at the old slot when the new one takes over is still answered by it") {
  LiveHost host;
  std::optional<Visitor> visitor;
  host.changed = [&](const std::string& job) {
    if (host.look(job).step == "retire" && !visitor && host.look(job).state == JobState::running)
      visitor.emplace(host, "1.0.0", "a");
  };
  REQUIRE(host.deploy("2.0.0").state == JobState::done);
  REQUIRE(visitor);
  CHECK(visitor->heard() == "1.0.0");
}

TEST_CASE("who waits at a slot whose watch was cut short is answered before the next deploy takes it") {
  LiveHost host;
  const auto job = host.queue_deploy({.version = "2.0.0"});
  rollout::JobControl control;
  control.cut_watch();
  rollout::run_job(host.context(), job.id, control);
  REQUIRE(host.look(job.id).state == JobState::done);
  Visitor visitor(host, "1.0.0", "a");
  CHECK(host.deploy("3.0.0").state == JobState::done);
  CHECK(visitor.heard() == "1.0.0");
}

TEST_CASE("who waits at a release that is rolled back by itself is answered too") {
  LiveHost host;
  std::optional<Visitor> visitor;
  host.runner.app("2.0.0").respawns = 1;
  host.changed = [&](const std::string& job) {
    if (host.look(job).step == "watch" && !visitor && host.look(job).state == JobState::running)
      visitor.emplace(host, "2.0.0", "b");
  };
  REQUIRE(host.deploy("2.0.0").code == Code::rolled_back);
  REQUIRE(visitor);
  CHECK(visitor->heard() == "2.0.0");
}

TEST_CASE("[fault-123] an old process that dies while its slot is drained is no error") {
  LiveHost host;
  host.changed = [&](const std::string& job) {
    if (host.look(job).step == "retire" && host.look(job).state == JobState::running)
      host.runner.end_service("chillbox.blog.app.a");
  };
  const auto job = host.deploy("2.0.0");
  INFO(job.message);
  CHECK(job.state == JobState::done);
  CHECK(disagreement(host, "2.0.0") == "");
  CHECK(host.context().slots.all().size() == 1);
}
