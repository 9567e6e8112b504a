// A host root in a directory of its own, and OpenRC played on it: it keeps the same files as
// openrc-run and supervise-daemon do.
#pragma once

#include "catch.hpp"

#include "base/text.hpp"
#include "openrc/slots.hpp"

#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <string>
#include <vector>

namespace chillbox::openrc {

namespace fs = std::filesystem;

inline void put(const std::string& path, std::string_view text) {
  fs::create_directories(fs::path(path).parent_path());
  std::ofstream(path) << text;
}

inline std::string get(const std::string& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

// Time that passes only when somebody sleeps.
class FakeClock final : public os::Clock {
public:
  int64_t wall() const override { return m_now.count() / 1000; }
  int64_t wall_ms() const override { return m_now.count(); }
  os::Millis mono() const override { return m_now; }
  void sleep(os::Millis time) override {
    m_now += time;
    if (meanwhile)
      meanwhile();
  }
  mutable os::Millis m_now{1'000};
  std::function<void()> meanwhile;
};

struct FakeOpenrc final : os::Runner {
  FakeOpenrc() {
    std::string pattern = (fs::temp_directory_path() / "chillbox-openrc-XXXXXX").string();
    root = ::mkdtemp(pattern.data());
    fs::create_directories(root + "/etc/init.d");
  }
  FakeOpenrc(const FakeOpenrc&) = delete;
  FakeOpenrc& operator=(const FakeOpenrc&) = delete;
  ~FakeOpenrc() override { fs::remove_all(root); }

  Result<os::Exit> run(const os::Command& c) override {
    const std::string name = fs::path(c.argv[0]).filename(), verb = c.argv.back();
    did.push_back(verb + " " + name);
    last = c;
    if (during)
      during();
    if (verb == "start" && exit.ok())
      started(name);
    if ((verb == "stop" && exit.ok()) || verb == "zap")
      gone(name);
    return exit;
  }

  void started(const std::string& name) {
    put(root + "/run/openrc/started/" + name, "");
    if (!late)
      supervised(name);
  }
  void supervised(const std::string& name) {
    put(root + "/run/supervise-" + name + ".pid", "77\n");
    std::string line = "supervise-daemon" + std::string(1, '\0') + name + std::string(1, '\0') +
        "--start" + std::string(1, '\0');
    put(root + "/proc/77/cmdline", line);
  }
  void gone(const std::string& name) {
    for (const char* state : {"started", "starting", "stopping", "failed"})
      fs::remove(root + "/run/openrc/" + state + "/" + name);
    fs::remove(root + "/run/supervise-" + name + ".pid");
  }

  std::string root;
  std::vector<std::string> did; // "start chillbox.blog.web.a"
  os::Command last;
  os::Exit exit{0, 0, "", ""};
  std::function<void()> during;
  bool late = false; // a start returns before the supervisor is there
};

struct Host {
  FakeOpenrc openrc;
  FakeClock clock;
  os::Paths paths{openrc.root};
  Slots slots{os::real_disk(), openrc, clock, paths};
  std::string at(const std::string& path) const { return openrc.root + path; }
};

inline SlotName slot(const char* name = "chillbox.blog.web.a") {
  return SlotName::parse(name).value();
}

inline SlotSpec spec(const Host& host, const char* name = "chillbox.blog.web.a") {
  SlotSpec s{slot(name), "1.0.0-1", {"/bin/true"}, {{"A", "1"}}, "/", "nobody", "007",
      host.at("/var/log/chillbox/blog/web.log"), {}, {}};
  return s;
}

} // namespace chillbox::openrc
