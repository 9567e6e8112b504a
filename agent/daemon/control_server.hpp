// The control socket: one connection, one verb, on a thread of its own (bounded,
// control_places.hpp). The caller is known by SO_PEERCRED, must be root or in group chillbox-admin,
// and stands in the audit trail. A closed table of verbs. Whatever goes wrong in a verb is its
// answer.
#pragma once

#include "base/fd.hpp"
#include "base/thread_group.hpp"
#include "control/control.hpp"
#include "cron/scheduler.hpp"
#include "daemon/change_notifier.hpp"
#include "daemon/control_limits.hpp"
#include "os/socket.hpp"
#include "rollout/engine.hpp"
#include "rollout/host_context.hpp"
#include "rollout/prune.hpp"

#include <nlohmann/json.hpp>

#include <atomic>
#include <functional>
#include <map>
#include <mutex>
#include <set>
#include <string>

namespace chillbox::daemon {

class ControlServer {
public:
  struct Ask { // the monitor
    std::function<Result<void>()> reload, upgrade;
    std::function<uint64_t()> refused_webhooks = {}, refused_uploads = {}; // since the start
  };
  ControlServer(rollout::HostContext& world, rollout::Engine& engine, cron::Scheduler& crontab,
      ChangeNotifier& changes, Ask ask);
  ~ControlServer(); // waits until every connection has ended
  ControlServer(const ControlServer&) = delete;
  ControlServer& operator=(const ControlServer&) = delete;
  void take(Fd connection);    // returns at once
  void warn(std::string text); // shown by status, once, until the next start
  void record_keys(
      const std::string& actor); // what changed of them since the last time, into the audit trail
  void stop();                   // followers end
  void hang_up(); // whoever is still there is cut off: no verb waits for its caller any more
  void not_upgraded(std::string why); // ping says so
  bool idle();                        // no connection is open; its end is notified
  bool locked() {
    return m_locked.exchange(false);
  } // an operator sealed the host since this was last asked

private:
  struct Visit { // a connection
    Fd fd;
    uid_t uid;
    bool follows = false;
  };
  struct Call {
    Visit& visit;
    int fd;
    std::string actor;
    uid_t uid = 0;
    control::Json args;
  };
  struct Verb {
    std::string_view name;
    Result<control::Json> (ControlServer::*run)(const Call&);
    bool audited;
  };
  static const Verb k_verbs[];

  static Result<SiteName> site_of(const control::Json& args);
  static size_t limit_of(const control::Json& args, size_t fallback);
  static bool has_gone(int fd);

  bool is_news(uid_t uid); // of a user who is refused
  void converse(Visit& visit);
  void leave(Visit& visit);
  Result<control::Json> dispatch(Visit& visit, const std::string& text, std::string& verb);
  // Before it waits for what may take for ever, each time. unreachable: the caller is gone, or the
  // daemon stops; busy: he follows too much.
  Result<void> may_wait(const Call& call, const std::string& what);

  Result<control::Json> ping(const Call&);
  Result<control::Json> status(const Call&);
  Result<control::Json> sites(const Call&);
  Result<control::Json> releases(const Call&);
  Result<control::Json> jobs(const Call&);
  Result<control::Json> job(const Call&);
  Result<control::Json> logs(const Call&);
  Result<control::Json> audit(const Call&);
  Result<control::Json> audit_verify(const Call&);
  Result<control::Json> plan(const Call&);
  Result<control::Json> nginx_show(const Call&);
  Result<control::Json> rollback(const Call&);
  Result<control::Json> restart(const Call&);
  Result<control::Json> start(const Call&);
  Result<control::Json> stop_site(const Call&);
  Result<control::Json> remove(const Call&);
  Result<control::Json> retry(const Call&);
  Result<control::Json> unlock(const Call&);
  Result<control::Json> lock(const Call&);
  Result<control::Json> reload(const Call&);
  Result<control::Json> upgrade(const Call&);
  Result<control::Json> hold(const Call&);
  Result<control::Json> release_hold(const Call&);
  Result<control::Json> withdraw(const Call&);
  Result<control::Json> secrets_withdraw(const Call&);
  Result<control::Json> key_uses(const Call&);
  Result<control::Json> trust_keep(const Call&);
  Result<control::Json> prune(const Call&);
  Result<control::Json> maintenance_on(const Call&);
  Result<control::Json> maintenance_off(const Call&);
  Result<control::Json> cron_list(const Call&);
  Result<control::Json> cron_history(const Call&);
  Result<control::Json> cron_run(const Call&);

  int64_t unlock_wait_ms(const store::Store::Attempts& attempts) const;
  Result<std::string> open_vault(const Call& call, const SecretBytes& passphrase); // the recipient
  Result<Fd> receive_body(const Call& call);
  Result<rollout::Pruned> prune_in_turn(const SiteName& site);
  Result<control::Json> site_view(const store::SiteRow& row);
  Result<control::Json> run_job(
      const Call& call, store::JobKind kind, const control::Json& options);
  Result<control::Json> follow(
      const Call& call, const std::string& id, bool to_the_end, bool as_error);

  rollout::HostContext& m_world;
  rollout::Engine& m_engine;
  cron::Scheduler& m_crontab;
  ChangeNotifier& m_changes;
  Ask m_ask;
  os::Millis m_started;
  ControlLimits m_limits;
  std::timed_mutex m_unlocking, m_planning;
  std::mutex m_recording;
  std::map<uid_t, os::Millis> m_refused; // users, and when that was written down
  std::mutex m_mutex;                    // of the four below
  std::set<int> m_open;
  std::set<uid_t> m_sending; // an artifact for a plan
  std::vector<std::string> m_warnings;
  std::string m_not_upgraded;
  std::atomic<bool> m_stopping{false};
  std::atomic<bool> m_locked{false};
  ThreadGroup m_threads{[this] { m_changes.notify(); }}; // last: they use all of the others
};

} // namespace chillbox::daemon
