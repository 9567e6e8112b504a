// With a real OpenRC, in the host in a box: bats/host-openrc.bats runs these there, with this
// program standing in for chillboxd.
#include "fake_openrc.hpp"

#include "openrc/cgroup.hpp"

#include <signal.h>
#include <sys/stat.h>

#include <chrono>
#include <cstdio>

using namespace chillbox;
using namespace chillbox::openrc;

int run_role(const std::string& role, const std::string& argument) {
  return role == "--slot" ? slot_main(argument) : 2;
}

namespace {

using Time = std::chrono::steady_clock;

os::Millis since(Time::time_point begun) {
  return std::chrono::duration_cast<os::Millis>(Time::now() - begun);
}

struct RealHost {
  os::Paths paths{};
  Slots slots{os::real_disk(), os::real_runner(), os::real_clock(), paths};
  SlotName name;

  explicit RealHost(const char* text) : name(slot(text)) {}
  ~RealHost() { static_cast<void>(slots.stop(name, os::Millis{100})); }

  SlotSpec shell(const std::string& script) const {
    return {name, "r1", {"/bin/sh", "-c", script}, {{"PATH", "/usr/bin:/bin"}}, "/", "blog", "007",
        "/var/log/chillbox/blog/web.log", {}, {}};
  }
  std::vector<pid_t> inside() const {
    std::vector<pid_t> all;
    for (const auto& group : cgroups_of(os::real_disk(), paths, name.str()))
      for (const pid_t pid : members(os::real_disk(), group))
        all.push_back(pid);
    return all;
  }
  pid_t number(const std::string& file) const {
    return static_cast<pid_t>(std::stol("0" + get(file)));
  }
  pid_t child() const { return number("/run/openrc/options/" + name.str() + "/child_pid"); }
  pid_t supervisor() const { return number("/run/supervise-" + name.str() + ".pid"); }

  template <class Condition> bool within(os::Millis limit, Condition condition) const {
    for (const auto begun = Time::now(); since(begun) < limit;
        os::real_clock().sleep(os::Millis{10}))
      if (condition())
        return true;
    return false;
  }
};

template <class T> void must(const Result<T>& result) {
  if (!result)
    FAIL(result.error().message);
}

} // namespace

TEST_CASE("box: a slot starts and stops in a cgroup of its own; how long it takes is printed", "[.box]") {
  RealHost host("chillbox.blog.web.a");
  os::Millis start{100'000}, stop{100'000};
  for (int i = 0; i < 5; ++i) {
    auto begun = Time::now();
    must(host.slots.start(host.shell("exec sleep 1000")));
    start = std::min(start, since(begun));
    CHECK(host.slots.state(host.name).value() == SlotState::started);
    CHECK(host.slots.release_in(host.name) == "r1");
    CHECK(host.inside().size() == 2); // supervise-daemon and the service
    begun = Time::now();
    must(host.slots.stop(host.name, os::Millis{5'000}));
    stop = std::min(stop, since(begun));
    CHECK(host.slots.state(host.name).value() == SlotState::stopped);
    CHECK(host.slots.all().empty());
  }
  std::printf("# slot start %lld ms, stop %lld ms (best of 5)\n",
      static_cast<long long>(start.count()), static_cast<long long>(stop.count()));
  CHECK(start < os::Millis{2'000}); // no benchmark: only that nothing in it waits for seconds
  CHECK(stop < os::Millis{2'000});
}

TEST_CASE("box: [fault-111][fault-112] a service that ignores TERM and hides a child is gone after the grace", "[.box]") {
  RealHost host("chillbox.blog.web.a");
  must(host.slots.start(host.shell(
      "trap '' TERM; setsid sh -c 'trap \"\" TERM; while :; do sleep 1; done' & while :; do sleep 1; done")));
  REQUIRE(host.within(os::Millis{2'000}, [&] { return host.inside().size() >= 4; }));
  const auto all = host.inside();
  const auto begun = Time::now();
  must(host.slots.stop(host.name, os::Millis{500}));
  CHECK(since(begun) < os::Millis{3'000});
  for (const pid_t pid : all)
    CHECK(::kill(pid, 0) != 0);
  CHECK(host.slots.state(host.name).value() == SlotState::stopped);
}

TEST_CASE("box: a killed service comes back and is counted; its supervisor's death is a crash that a start mends", "[.box]") {
  RealHost host("chillbox.blog.web.b");
  must(host.slots.start(host.shell("exec sleep 1000")));
  const pid_t first = host.child();
  CHECK(host.slots.respawns(host.name) == 0);
  ::kill(first, SIGKILL);
  REQUIRE(host.within(os::Millis{5'000}, [&] { return host.slots.respawns(host.name) == 1; }));
  CHECK(host.slots.state(host.name).value() == SlotState::started);
  const pid_t orphan = host.child();
  CHECK(orphan != first);
  ::kill(host.supervisor(), SIGKILL);
  REQUIRE(host.within(os::Millis{2'000},
      [&] { return host.slots.state(host.name).value() == SlotState::crashed; }));
  must(host.slots.start(host.shell("exec sleep 1000")));
  CHECK(::kill(orphan, 0) != 0);
  CHECK(host.slots.state(host.name).value() == SlotState::started);
}

TEST_CASE("box: [fault-109] [attack-C7] a service that ends at once is started again with pauses, shown as a crash loop, and never given up", "[.box]") {
  RealHost host("chillbox.blog.web.b");
  must(host.slots.start(host.shell("echo why it ends; exit 3")));
  REQUIRE(host.within(os::Millis{20'000}, [&] {
    return host.slots.crash_loop(host.name).value_or(os::Millis{0}) > os::Millis{3'000};
  }));
  CHECK(get("/var/log/chillbox/blog/web.log").find("why it ends") != std::string::npos);
  CHECK(host.slots.respawns(host.name) >= 4);
  CHECK(host.slots.state(host.name).value() == SlotState::started);
  must(host.slots.stop(host.name, os::Millis{5'000})); // also while it waits
  CHECK(host.inside().empty());
}

TEST_CASE("box: two starts at the same time of different slots do not disturb each other", "[.box]") {
  RealHost a("chillbox.blog.web.a"), b("chillbox.blog.web.b");
  must(a.slots.start(a.shell("exec sleep 1000")));
  must(b.slots.start(b.shell("exec sleep 1000")));
  must(a.slots.stop(a.name, os::Millis{1'000}));
  CHECK(b.slots.state(b.name).value() == SlotState::started);
  CHECK(b.inside().size() == 2);
}

TEST_CASE("box: leaves a slot running for the shell test that starts this", "[.leave]") {
  const os::Paths paths{};
  Slots slots{os::real_disk(), os::real_runner(), os::real_clock(), paths};
  must(slots.start({slot("chillbox.blog.web.a"), "r1", {"/bin/sleep", "1000"}, {}, "/", "blog",
      "007", "/var/log/chillbox/blog/web.log", {}, {}}));
}
