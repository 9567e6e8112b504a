// A host whose operator is called as chillboxctl calls it: frames over a stream socket.
#pragma once

#include "control/control.hpp"
#include "daemon/change_notifier.hpp"
#include "daemon/control_server.hpp"
#include "rollout/engine_host.hpp"
#include "rollout/site_command.hpp"

#include <nlohmann/json.hpp>

#include <sys/socket.h>

namespace chillbox::test {

using control::Json;

// What came back for one call.
struct Called {
  Result<std::string> result = std::string();
  std::vector<Json> events;
  std::string code() const { return result ? "ok" : std::string(code_name(result.error().code)); }
  std::string message() const { return result ? "" : result.error().message; }
  Json json() const {
    return must(control::parse_json(result.value_or("null"), control::k_max_control_frame));
  }
};

struct ControlHost : EngineHost {
  explicit ControlHost(daemon::CertificateRequests requests = {})
      : certificates(std::move(requests)) {
    changed = [this](const std::string&) { changes.notify(); };
    open();
  }
  ~ControlHost() {
    if (engine)
      engine->stop();
    op.reset();
    crontab.reset();
  }
  void open() {
    daemon::MonitorRequests ask{.reload = [this]() -> Result<void> {
                                  ++reloads;
                                  return {};
                                },
        .upgrade = [this]() -> Result<void> {
          ++upgrades;
          return {};
        },
        .traffic = [this]() -> Result<void> {
          ++traffics;
          return {};
        },
        .certificates = certificates};
    crontab = std::make_unique<cron::Scheduler>(cron::Scheduler::Host{store(), disk, clock, paths,
        [this](const SiteName& name, const cron::SiteCommand& command) {
          return rollout::site_command(context(), name, command);
        },
        [this] { changes.notify(); }, {}, {},
        [this](const SiteName&, const std::string&, int64_t) { return claim(); }});
    known = std::make_unique<rollout::KnownReleases>(); // as the store, which counts anew
    op = std::make_unique<daemon::ControlServer>(
        context(), *engine, *crontab, changes, *known, std::move(ask));
  }
  // Of what runs once; in a thread of its own.
  std::function<Result<cron::Claim>()> claim = [] { return cron::Claim{}; };
  void restart_all(bool machine = false) {
    op.reset(); // first, as in the monitor: its connections ask the engine
    crontab.reset();
    engine.reset();
    machine ? reboot() : restart();
    start_engine();
    open();
    engine->recover();
    REQUIRE(idle());
  }

  Fd connect() {
    int pair[2];
    REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0);
    op->take(Fd(pair[0]));
    return Fd(pair[1]);
  }
  Called call(
      std::string_view verb, const Json& args = Json::object(), std::string_view secret = "") {
    const Fd fd = connect();
    Called called;
    const SecretBytes bytes(bytes_of(secret));
    called.result = control::call(
        fd.get(), verb, must(control::from_json<control::Arguments>(args)),
        secret.empty() ? nullptr : &bytes,
        [&](const Json& event) { called.events.push_back(event); }, os::Millis{20'000});
    return called;
  }
  // One raw first frame, one answer.
  Json raw(std::string_view frame) {
    const Fd fd = connect();
    must(control::write_frame(fd.get(), frame));
    return must(control::parse_json(
        must(control::read_frame(fd.get(), os::Millis{10'000})), control::k_max_control_frame));
  }
  Called try_unlock(std::string_view passphrase = k_passphrase) {
    return call("unlock", Json::object(), passphrase);
  }

  daemon::CertificateRequests certificates;
  daemon::ChangeNotifier changes;
  int reloads = 0;
  int upgrades = 0;
  int traffics = 0; // times that the roster was to be served again
  std::unique_ptr<cron::Scheduler> crontab;
  std::unique_ptr<rollout::KnownReleases> known;
  std::unique_ptr<daemon::ControlServer> op;
};

struct ServingHost : ControlHost { // 1.0.0 and 2.0.0 were good, 2.0.0 is live
  ServingHost() {
    unlock();
    REQUIRE(deploy("1.0.0").state == store::JobState::done);
    REQUIRE(deploy("2.0.0").state == store::JobState::done);
  }
};

} // namespace chillbox::test
