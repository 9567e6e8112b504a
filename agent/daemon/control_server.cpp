#include "daemon/control_server.hpp"

#include "base/guarded.hpp"
#include "base/log.hpp"
#include "base/text.hpp"
#include "daemon/key_record.hpp"
#include "os/memory.hpp"

#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <memory>

namespace chillbox::daemon {

using control::Json;

namespace {

constexpr std::chrono::milliseconds k_first_frame{10'000};
constexpr os::Millis k_last_words{2'000}; // at the end: for followers to hear of it

} // namespace

constexpr ControlServer::Verb ControlServer::k_verbs[] = {
    {"ping", &ControlServer::ping, false},
    {"status", &ControlServer::status, false},
    {"sites", &ControlServer::sites, false},
    {"releases", &ControlServer::releases, false},
    {"jobs", &ControlServer::jobs, false},
    {"job", &ControlServer::job, false},
    {"logs", &ControlServer::logs, false},
    {"audit", &ControlServer::audit, false},
    {"audit_verify", &ControlServer::audit_verify, false},
    {"plan", &ControlServer::plan, true}, // changes nothing, but unpacks what somebody brought
    {"nginx_show", &ControlServer::nginx_show, false},
    {"rollback", &ControlServer::rollback, false}, // jobs write their own entry when they end
    {"restart", &ControlServer::restart, false},
    {"start", &ControlServer::start, false},
    {"stop", &ControlServer::stop_site, false},
    {"remove", &ControlServer::remove, false},
    {"retry", &ControlServer::retry, true},
    {"unlock", &ControlServer::unlock, true},
    {"lock", &ControlServer::lock, true},
    {"reload", &ControlServer::reload, true},
    {"upgrade", &ControlServer::upgrade, true},
    {"hold", &ControlServer::hold, true},
    {"release_hold", &ControlServer::release_hold, true},
    {"withdraw", &ControlServer::withdraw, true},
    {"secrets_withdraw", &ControlServer::secrets_withdraw, true},
    {"key_uses", &ControlServer::key_uses, false},
    {"trust_keep", &ControlServer::trust_keep, true},
    {"prune", &ControlServer::prune, true},
    {"maintenance_on", &ControlServer::maintenance_on, true},
    {"maintenance_off", &ControlServer::maintenance_off, true},
    {"cron_list", &ControlServer::cron_list, false},
    {"cron_history", &ControlServer::cron_history, false},
    {"cron_run", &ControlServer::cron_run, true},
};

ControlServer::ControlServer(rollout::HostContext& world, rollout::Engine& engine,
    cron::Scheduler& crontab, ChangeNotifier& changes, Ask ask)
    : m_world(world), m_engine(engine), m_crontab(crontab), m_changes(changes),
      m_ask(std::move(ask)), m_started(world.clock.mono()) {}

ControlServer::~ControlServer() {
  stop();
  for (const os::Millis end = m_world.clock.mono() + k_last_words;
      !idle() && m_world.clock.mono() < end;)
    m_changes.wait(m_changes.count(), os::Millis{20});
  hang_up();
}

void ControlServer::hang_up() {
  const std::lock_guard lock(m_mutex);
  for (const int fd : m_open)
    ::shutdown(fd, SHUT_RDWR);
}

void ControlServer::stop() {
  m_stopping = true;
  m_changes.notify();
}

void ControlServer::not_upgraded(std::string why) {
  warn(cat("the upgrade failed: ", why));
  const std::lock_guard lock(m_mutex);
  m_not_upgraded = std::move(why);
}

void ControlServer::record_keys(const std::string& actor) {
  const std::lock_guard lock(m_recording);
  if (const auto done =
          daemon::record_keys(m_world.store, m_world.paths, m_world.clock.wall_ms(), actor);
      !done)
    log::warn(cat("changed keys are not in the audit trail: ", done.error().message));
}

// Nobody may push others' entries out of the trail by knocking: one entry an hour for each user,
// and for so many users.
bool ControlServer::is_news(uid_t uid) {
  constexpr os::Millis k_again{3'600'000};
  constexpr size_t k_most_users = 256;
  const os::Millis now = m_world.clock.mono();
  const std::lock_guard lock(m_recording);
  const auto known = m_refused.find(uid);
  if (known == m_refused.end() ? m_refused.size() >= k_most_users : now - known->second < k_again)
    return false;
  m_refused[uid] = now;
  return true;
}

bool ControlServer::idle() {
  return m_threads.size() == 0;
}

void ControlServer::warn(std::string text) {
  const std::lock_guard lock(m_mutex);
  if (std::find(m_warnings.begin(), m_warnings.end(), text) == m_warnings.end())
    m_warnings.push_back(std::move(text));
}

void ControlServer::take(Fd connection) {
  const auto peer = os::peer_of(connection.get());
  if (!peer)
    return;
  auto taken = m_limits.enter(peer->uid);
  if (taken) {
    const auto visit =
        std::make_shared<Visit>(Visit{.fd = std::move(connection), .uid = peer->uid});
    {
      const std::lock_guard lock(m_mutex);
      m_open.insert(visit->fd.get());
    }
    taken = m_threads.start("a control connection", [this, visit] {
      (void)guarded("a control connection", [&] { converse(*visit); });
      leave(*visit);
    });
    if (taken)
      return;
    (void)control::write_frame(visit->fd.get(), control::error_text(taken.error()));
    return leave(*visit);
  }
  (void)control::write_frame(connection.get(), control::error_text(taken.error()));
}

void ControlServer::converse(Visit& visit) {
  const auto text = control::read_frame(visit.fd.get(), k_first_frame);
  if (!text)
    return;
  std::string verb = "?";
  const auto result = guarded("a control verb", [&] { return dispatch(visit, *text, verb); });
  (void)control::write_frame(visit.fd.get(),
      result ? control::result_text(verb, *result) : control::error_text(result.error()));
}

void ControlServer::leave(Visit& visit) {
  {
    const std::lock_guard lock(m_mutex);
    m_open.erase(visit.fd.get());
  }
  visit.fd.reset();
  m_limits.leave(visit.uid, visit.follows);
  if (m_engine.running() == 0)
    os::trim_memory();
}

// One that went away must not hold its place for as long as nothing happens; what it has sent and
// nobody reads is no sign of life.
bool ControlServer::has_gone(int fd) {
  pollfd one{fd, POLLRDHUP, 0};
  return ::poll(&one, 1, 0) > 0;
}

Result<void> ControlServer::may_wait(const Call& call, const std::string& what) {
  if (m_stopping)
    return fail(Code::unreachable, cat("the daemon stops", what));
  if (has_gone(call.fd))
    return fail(Code::unreachable, "nobody listens any more");
  if (call.visit.follows)
    return {};
  if (auto followed = m_limits.follow(call.visit.uid); !followed)
    return fail(followed.error().code, cat(followed.error().message, what));
  call.visit.follows = true;
  return {};
}

Result<Json> ControlServer::dispatch(Visit& visit, const std::string& text, std::string& verb) {
  const int fd = visit.fd.get();
  const auto peer = TRY(os::peer_of(fd));
  if (!m_world.paths.testing() && !os::peer_in_group(peer, "chillbox-admin")) {
    log::warn(cat("control: refused ", peer.name(), ": not root and not in group chillbox-admin"));
    if (is_news(peer.uid))
      (void)m_world.store.audit(
          {0, m_world.clock.wall_ms(), cat("uid:", peer.uid, " ", peer.name()), "control", "",
              "not root and not in group chillbox-admin", "denied"});
    return fail(Code::denied,
        cat(peer.name(),
            " may not control chillbox: root or a member of group chillbox-admin may"));
  }
  const auto request = TRY_IN("request", control::parse_json(text, control::k_max_control_frame));
  // A newer chillboxctl must be able to bring its own daemon up, so this verb and its answer never
  // change.
  if (control::u64_or(request, "v", 0) != control::k_control_version &&
      control::string_or(request, "verb", "") != "upgrade")
    return fail(Code::invalid,
        cat("request: protocol version ", control::u64_or(request, "v", 0), ", this daemon speaks ",
            control::k_control_version, ": use the chillboxctl of the same release"));
  verb = TRY_IN("request", control::string_at(request, "verb"));
  const auto row = std::ranges::find(k_verbs, verb, &Verb::name);
  if (row == std::end(k_verbs))
    return fail(Code::invalid, cat("request: no verb '", printable(verb, 60), "'"));
  Call call{
      .visit = visit, .fd = fd, .actor = cat("uid:", peer.uid, " ", peer.name()), .uid = peer.uid};
  call.args =
      request.contains("args") && request["args"].is_object() ? request["args"] : Json::object();
  auto result = (this->*row->run)(call);
  if (row->audited) {
    const Json& said = result ? *result : call.args;
    (void)m_world.store.audit({0, m_world.clock.wall_ms(), call.actor, verb,
        control::string_or(call.args, "site", control::string_or(said, "site", "")),
        result ? control::string_or(call.args, "why", control::string_or(said, "to", ""))
               : result.error().message,
        std::string(result ? "ok" : code_name(result.error().code))});
  }
  return result;
}

} // namespace chillbox::daemon
