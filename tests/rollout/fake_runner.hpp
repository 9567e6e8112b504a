// The third seam: instead of programs it plays the handlers of a service, OpenRC's script of a slot
// and NGINX, in files below the root, and remembers what was run. A version of a service behaves as
// app(VERSION) says.
#pragma once

#include "base/text.hpp"
#include "openrc/spec.hpp"
#include "os/paths.hpp"
#include "os/runner.hpp"
#include "rollout/data_copy.hpp"
#include "rollout/fake_server.hpp"

#include <algorithm>
#include <atomic>
#include <filesystem>
#include <fstream>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

namespace chillbox::test {

struct App {
  std::atomic<int> status{200};            // of every answer; the body is the version
  std::atomic<int> page{0};                // of "/", when it is another
  std::string location;                    // of every answer
  std::atomic<bool> busy{false};           // accepts nobody for the time being
  std::atomic<bool> exits{false};          // at once: OpenRC shows it as crashed
  std::atomic<uint32_t> early_respawns{0}; // how often supervise-daemon had to start it again
                                           // before it answered
  std::atomic<uint32_t> respawns{0};       // and in the watch
  std::string says;                        // to its log when it starts
  std::string build_error;                 // its build ends with 1 and this line
  std::string release_command_error;
  bool release_command_hangs = false;               // until its time is over
  std::function<void(const os::Command&)> building; // in the middle of its build
};

class FakeRunner : public os::Runner {
public:
  explicit FakeRunner(os::Paths paths)
      : m_paths(std::move(paths)), m_nginx(uint16_t{0}, [this](std::string_view path) {
          return Answer{200,
              path.starts_with("/.chillbox/site ") ? site_named(path.substr(16)) : generation()};
        }) {}

  App& app(const std::string& version) {
    const std::lock_guard lock(m_mutex);
    return m_apps[version];
  }
  uint16_t nginx_port() const { return m_nginx.port(); }
  std::vector<std::string> commands() { // since forget(): "start chillbox.blog.app.a", "build
                                        // app 1.0.0", "nginx -t", ...
    const std::lock_guard lock(m_mutex);
    return m_commands;
  }
  void watch_begins() {
    const std::lock_guard lock(m_mutex);
    for (const auto& [name, one] : m_running)
      if (one->respawns > 0)
        put(openrc("options", name) + "/start_count",
            std::to_string(one->early_respawns + one->respawns));
  }
  void forget() {
    const std::lock_guard lock(m_mutex);
    m_commands.clear();
  }
  bool ran(const std::string& command) {
    const auto all = commands();
    return std::ranges::find(all, command) != all.end();
  }
  os::Millis time_given(const std::string& command) { // the last time that it was run
    const std::lock_guard lock(m_mutex);
    return m_times[command];
  }
  size_t count(std::string_view prefix) {
    const auto all = commands();
    return static_cast<size_t>(
        std::ranges::count_if(all, [&](const auto& c) { return c.starts_with(prefix); }));
  }
  void end_service(const std::string& slot) { // its processes only: OpenRC does not know
    const std::lock_guard lock(m_mutex);
    m_servers.erase(slot);
    m_ports.erase(slot);
  }
  void end_services() { // a reboot
    const std::lock_guard lock(m_mutex);
    m_servers.clear();
    m_running.clear();
    m_ports.clear();
  }

  std::function<void(const std::string& command)> before; // each one; may throw
  std::string nginx_error;                                // `nginx -t` ends with 1 and says this
  std::string nginx_answers_as;           // asked whose a name is: this site's, whatever the name
  std::atomic<bool> nginx_is_deaf{false}; // a reload changes nothing, silently

  Result<os::Exit> run(const os::Command& c) override {
    const std::string command = name_of(c);
    {
      const std::lock_guard lock(m_mutex);
      m_commands.push_back(command);
      m_times[command] = c.timeout;
    }
    if (before)
      before(command);
    const std::string program = base_of(c.argv[0]);
    if (c.argv.size() == 3 && c.argv[1] == "--copier") // in this process, so that its calls count
      return os::Exit{.code = 0, .out = rollout::copier_answer(c.argv[2]), .err = {}};
    if (program == "nginx")
      return nginx(c);
    if (program == "diff")
      return os::real_runner().run(c);
    if (program == "preflight") // its text is what it finds
      return os::Exit{.code = 0, .out = slurp(c.argv[0]), .err = {}};
    if (program == "build")
      return build(c);
    if (program == "command")
      return os::Exit{.code = 0,
          .out = cat(variable(c, "CHILLBOX_RELEASE_DIR"), "/bin/serve\n--plain\n"),
          .err = {}};
    if (c.argv[0].starts_with(m_paths.init_d()))
      return slot(program, c.argv.back());
    auto& one = app(variable(c, "CHILLBOX_VERSION"));
    if (one.release_command_hangs)
      return fail(Code::timed_out, cat("run ", c.argv[0], ": not finished, stopped"));
    if (!one.release_command_error.empty())
      return os::Exit{.code = 3, .out = {}, .err = one.release_command_error + "\n"};
    return os::Exit{.code = 0, .out = {}, .err = {}};
  }

private:
  static std::string base_of(const std::string& path) { return path.substr(path.rfind('/') + 1); }
  static std::string variable(const os::Command& c, std::string_view name) {
    const auto it = std::ranges::find(
        c.env, name, [](const auto& pair) { return std::string_view(pair.first); });
    return it == c.env.end() ? std::string() : it->second;
  }
  std::string name_of(const os::Command& c) const {
    const std::string program =
        c.argv.size() > 1 && c.argv[1] == "--copier" ? "copier" : base_of(c.argv[0]);
    if (c.argv[0].starts_with(m_paths.init_d()))
      return cat(c.argv.back(), " ", program);
    if (program == "nginx")
      return join(c.argv, " ");
    if (program == "build" || program == "command")
      return cat(
          program, " ", variable(c, "CHILLBOX_SERVICE"), " ", variable(c, "CHILLBOX_VERSION"));
    return program;
  }
  static std::string slurp(const std::string& path) {
    std::ifstream in(path);
    return {std::istreambuf_iterator<char>(in), {}};
  }
  static void put(const std::string& path, std::string_view text) {
    std::filesystem::create_directories(std::filesystem::path(path).parent_path());
    std::ofstream(path) << text;
  }
  Result<os::Exit> build(const os::Command& c) {
    auto& one = app(variable(c, "CHILLBOX_VERSION"));
    put(variable(c, "CHILLBOX_BUILD_DIR") + "/built", "yes\n");
    if (c.on_line)
      c.on_line("building");
    if (one.building)
      one.building(c);
    if (c.cancelled && c.cancelled())
      return fail(Code::interrupted, "build: stopped");
    if (!one.build_error.empty())
      return os::Exit{.code = 1, .out = "building\n", .err = one.build_error + "\n"};
    return os::Exit{.code = 0, .out = "building\n", .err = {}};
  }

  Result<os::Exit> nginx(const os::Command& c) {
    if (c.argv.back() == "-t" && !nginx_error.empty())
      return os::Exit{.code = 1, .out = {}, .err = cat("nginx: [emerg] ", nginx_error, "\n")};
    if (c.argv.back() == "reload" && !nginx_is_deaf) {
      const std::lock_guard lock(m_mutex);
      m_host_text = slurp(m_paths.root + "/etc/nginx/http.d/chillbox.conf");
    }
    return os::Exit{.code = 0, .out = {}, .err = {}};
  }
  // Whose server has this name.
  std::string site_named(std::string_view host) {
    if (!nginx_answers_as.empty())
      return nginx_answers_as;
    for (const auto& entry :
        std::filesystem::directory_iterator(m_paths.root + "/etc/nginx/http.d")) {
      const std::string file = entry.path().filename(), text = slurp(entry.path());
      for (const char end : {' ', ';'})
        if (file.starts_with("chillbox.") && file != "chillbox.conf" &&
            text.find(cat(" ", host, end)) != std::string::npos)
          return file.substr(9, file.size() - 14);
    }
    return "nobody";
  }
  std::string generation() {
    const std::lock_guard lock(m_mutex);
    const auto at = m_host_text.find("return 200 '", m_host_text.find("location = /generation"));
    return at == std::string::npos
        ? ""
        : m_host_text.substr(at + 12, m_host_text.find('\'', at + 12) - at - 12);
  }

  std::string openrc(std::string_view what, const std::string& name) const {
    return cat(m_paths.root, "/run/openrc/", what, "/", name);
  }

  Result<os::Exit> slot(const std::string& name, const std::string& verb) {
    const std::lock_guard lock(m_mutex);
    m_servers.erase(name);
    m_ports.erase(name);
    m_running.erase(name);
    if (verb != "start") {
      std::filesystem::remove(openrc("started", name));
      std::filesystem::remove(m_paths.root + "/run/supervise-" + name + ".pid");
      return os::Exit{.code = 0, .out = {}, .err = {}};
    }
    const auto spec = openrc::parse_spec(slurp(openrc::spec_path(m_paths, name)));
    if (!spec)
      return os::Exit{.code = 1, .out = {}, .err = spec.error().message};
    return start(name, *spec);
  }

  os::Exit start(const std::string& name, const openrc::SlotSpec& spec) {
    std::map<std::string, std::string> env(spec.env.begin(), spec.env.end());
    App& one = m_apps[env["CHILLBOX_VERSION"]];
    std::ofstream(
        cat(m_paths.logs_of(spec.name.site), "/", spec.name.service.str(), ".log"), std::ios::app)
        << one.says;
    put(openrc("started", name), "");
    if (one.exits)
      return os::Exit{.code = 0, .out = {}, .err = {}};
    const int pid = ++m_last_pid;
    put(m_paths.root + "/run/supervise-" + name + ".pid", std::to_string(pid));
    put(cat(m_paths.root, "/proc/", pid, "/cmdline"),
        cat("/sbin/supervise-daemon", '\0', name, '\0', "--start"));
    put(openrc("options", name) + "/start_count", std::to_string(one.early_respawns.load()));
    m_running[name] = &one;
    const auto answers = [&one, version = env["CHILLBOX_VERSION"]](std::string_view path) {
      return Answer{path == "/" && one.page != 0 ? one.page.load() : one.status.load(), version,
          one.location};
    };
    if (env.contains("CHILLBOX_PORT"))
      m_ports[name] = std::make_unique<FakeServer>(
          static_cast<uint16_t>(parse_u64(env["CHILLBOX_PORT"]).value_or(0)), answers);
    m_servers[name] = std::make_unique<FakeServer>(env["CHILLBOX_SOCKET"], answers, &one.busy);
    const bool open = m_servers[name]->open() && (!m_ports.contains(name) || m_ports[name]->open());
    return os::Exit{.code = open ? 0 : 1, .out = {}, .err = "cannot listen"};
  }

  os::Paths m_paths;
  std::mutex m_mutex;
  std::map<std::string, App> m_apps;
  std::map<std::string, std::unique_ptr<FakeServer>> m_servers, m_ports;
  std::map<std::string, App*> m_running;
  std::vector<std::string> m_commands;
  std::map<std::string, os::Millis> m_times;
  std::string m_host_text; // chillbox.conf as the workers have it
  int m_last_pid = 1000;
  FakeServer m_nginx; // last: it asks for what stands above
};

} // namespace chillbox::test
