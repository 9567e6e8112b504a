#include "fake_openrc.hpp"

#include "openrc/spec.hpp"

#include <sys/stat.h>

using namespace chillbox;
using namespace chillbox::openrc;

namespace {
const std::string k_name = "chillbox.blog.web.a";
using Did = std::vector<std::string>;
} // namespace

TEST_CASE("a start that returns before its supervisor has written its pid file does not look like a crash") {
  Host host;
  host.openrc.late = true;
  const auto begun = host.clock.mono();
  host.clock.meanwhile = [&] {
    if (host.clock.mono() - begun >= os::Millis{40})
      host.openrc.supervised("chillbox.blog.web.a");
  };
  REQUIRE(host.slots.start(spec(host)));
  CHECK(host.slots.state(slot()).value() == SlotState::started);
  CHECK(host.clock.mono() - begun < os::Millis{100});
}

TEST_CASE("a supervisor that never comes is a crash, after a bounded wait") {
  Host host;
  host.openrc.late = true;
  REQUIRE(host.slots.start(spec(host)));
  CHECK(host.slots.state(slot()).value() == SlotState::crashed);
  CHECK(host.clock.mono() <= os::Millis{4'000});
}

TEST_CASE("a slot's name is read back as it was written, and nothing else is a slot") {
  for (const char* name : {"chillbox.blog.web.a", "chillbox.my-blog.Api_2.b",
           "chillbox.blog.mail.a1", "chillbox.blog.mail.b12"})
    CHECK(slot(name).str() == name);
  for (const char* bad : {"chillboxd", "chillbox-service", "chillbox.blog.web",
           "chillbox.blog.web.c", "chillbox.blog.web.a0", "chillbox.blog.web.a01",
           "chillbox.blog.web.a1x", "chillbox.Blog.web.a", "chillbox.blog.we/b.a",
           "chillbox.chillboxd.web.a", "net.eth0", ""})
    CHECK_FALSE(SlotName::parse(bad));
}

TEST_CASE("a start leaves a spec that only root reads, a link to the one script, and conf.d with nothing of the site in it") {
  Host host;
  auto s = spec(host);
  s.env = {{"EVIL", "$(touch /tmp/pwned)`x`\"'\n"}};
  REQUIRE(host.slots.start(s));
  CHECK(host.openrc.did == Did{"start " + k_name});
  CHECK(host.openrc.last.leaves_daemon);
  CHECK_FALSE(host.openrc.last.no_new_privs);
  struct stat st{};
  REQUIRE(::stat(host.at("/run/chillbox/slots/" + k_name + ".json").c_str(), &st) == 0);
  CHECK((st.st_mode & 07777) == 0600);
  CHECK(fs::read_symlink(host.at("/etc/init.d/" + k_name)) == "chillbox-service");
  const auto conf = get(host.at("/etc/conf.d/" + k_name));
  CHECK(conf.find("output_log=\"" + s.log + "\"") != std::string::npos);
  CHECK(conf.find("touch") == std::string::npos);
  CHECK(conf.find("rc_cgroup_settings") == std::string::npos);
  CHECK(host.slots.state(s.name).value() == SlotState::started);
  CHECK(host.slots.release_in(s.name) == "1.0.0-1");
}

TEST_CASE("limits of the site file become settings of the service's cgroup") {
  Host host;
  auto s = spec(host);
  s.limits = {.memory_max = 1000000, .cpu_max = 50, .cpus = "0-1", .tasks_max = 64};
  REQUIRE(host.slots.start(s));
  CHECK(
      get(host.at("/etc/conf.d/" + k_name))
          .find(
              "rc_cgroup_settings=\"memory.max 1000000\ncpu.max 50000 100000\ncpuset.cpus 0-1\npids.max 64\n\"") !=
      std::string::npos);
}

TEST_CASE("the launcher and the tasks find the limits in the spec; one of an older agent has none [attack-D13]") {
  Host host;
  auto s = spec(host);
  s.limits = {
      .memory_max = 1000000, .cpu_max = 50, .cpus = "0-1", .tasks_max = 64, .user_tasks_max = 300};
  const std::string text = spec_text(s).value();
  const auto read = parse_spec(text).value().limits;
  CHECK(read.memory_max == 1000000);
  CHECK(read.cpu_max == 50);
  CHECK(read.cpus == "0-1");
  CHECK(read.tasks_max == 64);
  CHECK(read.user_tasks_max == 300);
  const size_t at = text.find("\"limits\":");
  REQUIRE(at != std::string::npos);
  const size_t end = text.find("},", at) + 2;
  CHECK(parse_spec(text.substr(0, at) + text.substr(end)).value().limits.tasks_max == 0);
}

TEST_CASE("what a shell would read in conf.d is refused before anything is started") {
  Host host;
  auto s = spec(host);
  s.log = "/var/log/$(id)/x.log";
  CHECK(host.slots.start(s).error().code == Code::invalid);
  s = spec(host);
  s.limits.cpus = "0\"; id; \"";
  CHECK(host.slots.start(s).error().code == Code::invalid);
  CHECK(host.openrc.did.empty());
}

TEST_CASE("the launcher's refusals are told at the start already") {
  Host host;
  const auto refused = [&](auto change) {
    auto s = spec(host);
    change(s);
    return host.slots.start(s).error().code == Code::denied;
  };
  CHECK(refused([](SlotSpec& s) { s.user = "root"; }));
  CHECK(refused([](SlotSpec& s) { s.argv = {"true"}; }));
  CHECK(refused([](SlotSpec& s) { s.argv = {}; }));
  CHECK(refused([](SlotSpec& s) { s.argv.emplace_back("a\0b", 3); }));
  CHECK(refused([](SlotSpec& s) { s.env = {{"A=B", "1"}}; }));
  CHECK(refused([](SlotSpec& s) { s.cwd = "srv"; }));
  CHECK(refused([](SlotSpec& s) { s.umask = "7"; }));
  CHECK(host.openrc.did.empty());
}

TEST_CASE("a running slot of the same release is left alone, one of another release is stopped first") {
  Host host;
  auto s = spec(host);
  REQUIRE(host.slots.start(s));
  REQUIRE(host.slots.start(s));
  CHECK(host.openrc.did.size() == 1);
  s.release = "1.0.1-2";
  REQUIRE(host.slots.start(s));
  CHECK(host.openrc.did == Did{"start " + k_name, "stop " + k_name, "start " + k_name});
  CHECK(host.slots.release_in(s.name) == "1.0.1-2");
}

TEST_CASE("a failing start says what OpenRC said last") {
  Host host;
  host.openrc.exit = {1, 0, "", " * Starting it\n * ERROR: chillbox.blog.web.a failed to start\n"};
  const auto result = host.slots.start(spec(host));
  CHECK(result.error().message ==
      "start chillbox.blog.web.a: ERROR: chillbox.blog.web.a failed to start");
}

TEST_CASE("a stop takes everything of the slot away, and may be repeated") {
  Host host;
  REQUIRE(host.slots.start(spec(host)));
  REQUIRE(host.slots.stop(slot(), os::Millis{1'000}));
  for (const char* file : {"/run/chillbox/slots/chillbox.blog.web.a.json",
           "/etc/init.d/chillbox.blog.web.a", "/etc/conf.d/chillbox.blog.web.a"})
    CHECK_FALSE(fs::exists(fs::symlink_status(host.at(file))));
  CHECK(host.slots.state(slot()).value() == SlotState::stopped);
  CHECK(host.slots.release_in(slot()).empty());
  REQUIRE(host.slots.stop(slot(), os::Millis{1'000}));
  CHECK(host.openrc.did == Did{"start " + k_name, "stop " + k_name});
}

TEST_CASE("a stop that OpenRC fails at ends with the state reset, because nothing of it runs any more") {
  Host host;
  REQUIRE(host.slots.start(spec(host)));
  host.openrc.exit = {1, 0, "", "stopped by something else"};
  REQUIRE(host.slots.stop(slot(), os::Millis{1'000}));
  CHECK(host.openrc.did.back() == "zap " + k_name);
  CHECK(host.slots.state(slot()).value() == SlotState::stopped);
}

TEST_CASE("a running slot whose link somebody removed is stopped all the same, and OpenRC forgets it") {
  Host host;
  REQUIRE(host.slots.start(spec(host)));
  fs::remove(host.at("/etc/init.d/" + k_name));
  REQUIRE(host.slots.stop(slot(), os::Millis{1'000}));
  CHECK(host.openrc.did.back() == "stop " + k_name);
  CHECK_FALSE(fs::exists(fs::symlink_status(host.at("/etc/init.d/" + k_name))));
  CHECK(host.slots.all().empty());
}

TEST_CASE("a script of somebody else under a slot's name is not overwritten") {
  Host host;
  put(host.at("/etc/init.d/" + k_name), "#!/bin/sh\n");
  CHECK_FALSE(host.slots.start(spec(host)));
  CHECK(get(host.at("/etc/init.d/" + k_name)) == "#!/bin/sh\n");
}

TEST_CASE("[fault-109] a supervisor that gave up is a crash, and the next start clears it") {
  Host host;
  put(host.at("/run/openrc/failed/" + k_name), "");
  CHECK(host.slots.state(slot()).value() == SlotState::crashed);
  REQUIRE(host.slots.start(spec(host)));
  CHECK(host.slots.state(slot()).value() == SlotState::started);
}

TEST_CASE("[fault-110] a started service whose supervisor is gone is a crash, also when its number is somebody else's now") {
  Host host;
  REQUIRE(host.slots.start(spec(host)));
  put(host.at("/proc/77/cmdline"), std::string("nginx\0-g\0", 9));
  CHECK(host.slots.state(slot()).value() == SlotState::crashed);
  put(host.at("/proc/77/cmdline"), std::string("supervise-daemon\0chillbox.blog.web.b\0", 37));
  CHECK(host.slots.state(slot()).value() == SlotState::crashed);
  fs::remove_all(host.at("/proc/77"));
  CHECK(host.slots.state(slot()).value() == SlotState::crashed);
  CHECK(host.slots.release_in(slot()).empty());
}

TEST_CASE("every restart by the supervisor is counted while it lives") {
  Host host;
  CHECK(host.slots.respawns(slot()) == 0);
  REQUIRE(host.slots.start(spec(host)));
  put(host.at("/run/openrc/options/" + k_name + "/start_count"), "3\n");
  CHECK(host.slots.respawns(slot()) == 3);
  host.openrc.gone(k_name);
  CHECK(host.slots.respawns(slot()) == 0);
}

TEST_CASE("[fault-120] all() finds what a crash may have left: a spec, a link, settings or a running service, each once") {
  Host host;
  put(host.at("/run/chillbox/slots/chillbox.blog.web.a.json"), "{}");
  put(host.at("/etc/init.d/chillbox.blog.web.b"), "");
  put(host.at("/etc/init.d/chillbox.blog.web.a"), "");
  put(host.at("/etc/init.d/chillbox-service"), "");
  put(host.at("/etc/init.d/chillboxd"), "");
  put(host.at("/run/openrc/started/chillbox.shop.mail.a2"), "");
  put(host.at("/etc/conf.d/chillbox.wiki.app.a"), "");
  put(host.at("/etc/conf.d/chillboxd"), "");
  Did names;
  for (const auto& name : host.slots.all())
    names.push_back(name.str());
  CHECK(names ==
      Did{"chillbox.blog.web.a", "chillbox.blog.web.b", "chillbox.shop.mail.a2",
          "chillbox.wiki.app.a"});
  REQUIRE(host.slots.stop(*openrc::SlotName::parse("chillbox.wiki.app.a"), os::Millis{1'000}));
  CHECK_FALSE(fs::exists(host.at("/etc/conf.d/chillbox.wiki.app.a")));
}
