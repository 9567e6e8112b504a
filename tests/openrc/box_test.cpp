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
  // The child itself writes it, after the start: 0 would mean all of our own group to kill(2).
  pid_t child() const {
    const std::string file = "/run/openrc/options/" + name.str() + "/child_pid";
    REQUIRE(within(os::Millis{5'000}, [&] { return number(file) > 0; }));
    return number(file);
  }
  pid_t supervisor() const { return number("/run/supervise-" + name.str() + ".pid"); }

  template <class Condition> bool within(os::Millis limit, Condition condition) const {
    for (const auto begun = Time::now(); since(begun) < limit;
        os::real_clock().sleep(os::Millis{10}))
      if (condition())
        return true;
    return false;
  }
};

// As chillboxd is when OpenRC started it: then a slot starts and stops without openrc-run.
class InDaemonsGroup {
public:
  explicit InDaemonsGroup(const RealHost& like) {
    const auto groups = cgroups_of(os::real_disk(), like.paths, like.name.str());
    REQUIRE(groups.size() == 1);
    m_root = groups[0].substr(0, groups[0].rfind('/'));
    m_group = groups[0].substr(0, groups[0].size() - like.name.str().size()) + "chillboxd";
    ::mkdir(m_group.c_str(), 0755);
    put(m_group + "/cgroup.procs", "0");
  }
  InDaemonsGroup(const InDaemonsGroup&) = delete;
  InDaemonsGroup& operator=(const InDaemonsGroup&) = delete;
  ~InDaemonsGroup() { put(m_root + "/cgroup.procs", "0"); }

private:
  std::string m_root, m_group;
};

// What OpenRC knows of a service, without numbers of processes and times.
std::string known_of(const RealHost& host, bool running = true) {
  if (running)
    host.child();
  const std::string name = host.name.str();
  std::string all;
  for (const char* state : {"started", "starting", "stopping", "failed", "exclusive"})
    if (const auto link = fs::path("/run/openrc") / state / name; fs::is_symlink(link))
      all += cat(state, " ", fs::read_symlink(link).string(), "\n");
    else if (fs::exists(link))
      all += cat(state, "\n");
  for (const char* dir : {"options", "daemons"}) {
    const auto files = os::real_disk().list(cat("/run/openrc/", dir, "/", name)).value();
    for (const auto& file : files)
      all += cat(dir, "/", file, " ",
          file == "child_pid" || file == "start_time"
              ? ""
              : get(cat("/run/openrc/", dir, "/", name, "/", file)),
          "\n");
  }
  for (const auto& group : cgroups_of(os::real_disk(), os::Paths{}, name))
    all += group + "\n" + get(group + "/pids.max");
  return all +
      get("/proc/" + std::to_string(std::stol("0" + get("/run/supervise-" + name + ".pid"))) +
          "/cmdline");
}

int rc_service(const std::string& name, const char* verb) {
  os::Command c;
  c.argv = {"rc-service", name, verb};
  c.no_new_privs = false;
  c.leaves_daemon = true;
  const auto exit = os::real_runner().run(c);
  return exit ? exit->code : -1;
}

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

TEST_CASE("box: a slot that starts without openrc-run is to OpenRC what its script makes, and either stops the other's", "[.box]") {
  RealHost host("chillbox.blog.web.a");
  auto spec = host.shell("exec sleep 1000");
  spec.limits.tasks_max = 50;
  must(host.slots.start(spec));
  const std::string by_script = known_of(host);
  CHECK(by_script.find("started ") != std::string::npos);
  const InDaemonsGroup daemon(host);
  must(host.slots.stop(host.name, os::Millis{5'000})); // that of the script, without it
  CHECK(known_of(host, false).empty());
  CHECK(host.inside().empty());
  const auto begun = Time::now();
  must(host.slots.start(spec));
  std::printf(
      "# slot start without openrc-run %lld ms\n", static_cast<long long>(since(begun).count()));
  CHECK(known_of(host) == by_script);
  CHECK(host.inside().size() == 2);
  CHECK(host.slots.state(host.name).value() == SlotState::started);
  CHECK(rc_service(host.name.str(), "status") == 0);
  const pid_t child = host.child();
  CHECK(rc_service(host.name.str(), "stop") == 0); // the other way round
  CHECK(::kill(child, 0) != 0);
  CHECK(host.slots.state(host.name).value() == SlotState::stopped);
}

TEST_CASE("box: without openrc-run a service that ignores TERM is gone after the grace, and a supervisor's death is mended", "[.box]") {
  RealHost host("chillbox.blog.web.b");
  must(host.slots.start(host.shell("trap '' TERM; while :; do sleep 1; done")));
  const InDaemonsGroup daemon(host);
  const auto begun = Time::now();
  must(host.slots.stop(host.name, os::Millis{500}));
  CHECK(since(begun) < os::Millis{3'000});
  CHECK(known_of(host, false).empty());
  must(host.slots.start(host.shell("exec sleep 1000")));
  const pid_t orphan = host.child();
  ::kill(host.supervisor(), SIGKILL);
  REQUIRE(host.within(os::Millis{2'000},
      [&] { return host.slots.state(host.name).value() == SlotState::crashed; }));
  must(host.slots.start(host.shell("exec sleep 1000")));
  CHECK(::kill(orphan, 0) != 0);
  CHECK(host.slots.state(host.name).value() == SlotState::started);
  must(host.slots.stop(host.name, os::Millis{500}));
  CHECK(host.inside().empty());
}

TEST_CASE("box: [fault-1016] copies that end slowly end together, in the time of the slowest", "[.box]") {
  const std::string slow = "trap 'sleep 2; exit 0' TERM; while :; do sleep 0.1; done";
  RealHost one("chillbox.blog.web.a1"), two("chillbox.blog.web.a2"), three("chillbox.blog.web.a3");
  must(one.slots.start(one.shell(slow)));
  const InDaemonsGroup daemon(one);
  must(two.slots.start(two.shell(slow)));
  must(three.slots.start(three.shell(slow)));
  for (const auto* host : {&one, &two, &three})
    host->child();
  os::real_clock().sleep(os::Millis{300}); // until each has its trap
  const auto begun = Time::now();
  must(one.slots.stop_all({one.name, two.name, three.name}));
  CHECK(since(begun) >= os::Millis{1'900});
  CHECK(since(begun) < os::Millis{4'000});
  CHECK(one.slots.all().empty());
}

TEST_CASE("box: [fault-1013] a daemon that leaves does not wait for a copy that stops; the next one does not take it for one that runs", "[.box]") {
  RealHost host("chillbox.blog.web.a");
  const auto spec = host.shell("trap 'sleep 3; exit 0' TERM; while :; do sleep 0.1; done");
  must(host.slots.start(spec));
  const InDaemonsGroup daemon(host);
  const pid_t child = host.child();
  os::real_clock().sleep(os::Millis{300});
  host.slots.leave();
  const auto begun = Time::now();
  CHECK(host.slots.stop(host.name).error().code == Code::interrupted);
  CHECK(since(begun) < os::Millis{1'500});
  Slots next{os::real_disk(), os::real_runner(), os::real_clock(), host.paths};
  CHECK(::kill(child, 0) == 0);
  CHECK(next.state(host.name).value() == SlotState::stopping);
  must(next.start(spec));
  CHECK(since(begun) >= os::Millis{2'000}); // it had its time
  CHECK(::kill(child, 0) != 0);
  CHECK(next.state(host.name).value() == SlotState::started);
  must(next.stop(host.name, os::Millis{100}));
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
