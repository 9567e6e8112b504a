// The control socket: one connection, one verb, on a thread of its own (bounded,
// control_limits.hpp). The caller is known by SO_PEERCRED, must be root or in group chillbox-admin,
// and is recorded in the audit trail. The verbs are those of control_verbs.hpp and no others.
// Whatever goes wrong in a verb is its answer.
#pragma once

#include "base/fd.hpp"
#include "base/thread_group.hpp"
#include "daemon/control_verbs.hpp"

#include <map>
#include <mutex>
#include <set>
#include <string>

namespace chillbox::daemon {

class ControlServer {
public:
  ControlServer(rollout::HostContext& host, rollout::Engine& engine, cron::Scheduler& scheduler,
      ChangeNotifier& changes, MonitorRequests monitor);
  ~ControlServer(); // waits until every connection has ended
  ControlServer(const ControlServer&) = delete;
  ControlServer& operator=(const ControlServer&) = delete;
  void take(Fd connection);    // returns at once
  void warn(std::string text); // shown by status, once, until the next start
  // What changed of them since the last time, into the audit trail.
  void record_keys(const std::string& actor);
  void stop();                        // followers end
  void hang_up();                     // connections are cut: no verb waits for its caller any more
  void not_upgraded(std::string why); // ping reports it
  bool idle();                        // no connection is open; its end is notified
  // An operator sealed the host since this was last asked.
  bool locked() { return m_state.locked.exchange(false); }

private:
  bool is_news(uid_t uid); // of a user who is refused
  void converse(Visit& visit);
  void leave(Visit& visit);
  void record(const Call& call, const std::string& verb, const Result<control::Json>& result);
  Result<control::Json> dispatch(Visit& visit, const std::string& text, std::string& verb);

  ControlState m_state;
  std::mutex m_recording;
  std::map<uid_t, os::Millis> m_refused; // users, and when that was recorded
  std::mutex m_mutex;                    // of m_open
  std::set<int> m_open;
  ThreadGroup m_threads{[this] { m_state.changes.notify(); }}; // last: they use all of the others
};

} // namespace chillbox::daemon
