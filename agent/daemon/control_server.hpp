// The control socket: one connection, one verb, on a thread of its own (bounded,
// control_limits.hpp). The caller is known by SO_PEERCRED, must be root or in group chillbox-admin,
// and is recorded in the audit trail. The verbs are those of control_verbs.hpp and no others.
// Whatever goes wrong in a verb is its answer.
//
// People have a socket of their own, on which only processes of chillbox-ssh are heard. These are
// gates (cli/core/gate.hpp), one for each connection of sshd, and name the person whose key opened
// it; there is no other way to run anything as that user. What a person may is in the table of
// verbs and in his file, and nothing that the gate was told changes it.
#pragma once

#include "base/fd.hpp"
#include "base/thread_group.hpp"
#include "daemon/control_verbs.hpp"
#include "os/socket.hpp"

#include <atomic>
#include <cstdint>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <string>

namespace chillbox::daemon {

class ControlServer {
public:
  ControlServer(rollout::HostContext& host, rollout::Engine& engine, cron::Scheduler& scheduler,
      ChangeNotifier& changes, rollout::KnownReleases& known, MonitorRequests monitor);
  ~ControlServer(); // waits until every connection has ended
  ControlServer(const ControlServer&) = delete;
  ControlServer& operator=(const ControlServer&) = delete;
  void take(Fd connection, Door door = Door::operators); // returns at once
  void warn(std::string text); // shown by status, once, until the next start
  // What changed of them since the last time, into the audit trail.
  void record_keys(const std::string& actor);
  void stop();                        // followers end
  void hang_up();                     // connections are cut: no verb waits for its caller any more
  void not_upgraded(std::string why); // ping reports it
  bool idle();                        // no connection is open; its end is notified
  // What verbs needed is given back a quiet second after the last of them: the next one may need it
  // again.
  std::optional<os::Millis> trim_due() const;
  void trim_if_due();
  // An operator sealed the host since this was last asked.
  bool locked() { return m_state.locked.exchange(false); }

private:
  bool is_news(uid_t uid); // of a user who is refused
  Result<Call> admit(Visit& visit, control::Arguments args);
  Result<void> admit_operator(const os::Peer& peer, const std::string& actor);
  Result<control::Person> admit_person(Visit& visit, const os::Peer& peer, const std::string& name);
  Result<void> check_right(const Call& call, const ControlVerb& verb);
  void hang_up_person(const std::string& name, int but);
  void converse(Visit& visit);
  void leave(Visit& visit);
  void record(const Call& call, const Result<std::string>& result);
  Result<std::string> dispatch(Visit& visit, const std::string& text);

  ControlState m_state;
  std::atomic<int64_t> m_trim_at{0}; // of the clock, ms; 0: there is nothing to give back
  std::mutex m_recording;
  std::map<uid_t, os::Millis> m_refused;                       // users, and when that was recorded
  std::mutex m_mutex;                                          // of m_open
  std::map<int, std::string> m_open;                           // with the name of a person
  ThreadGroup m_threads{[this] { m_state.changes.notify(); }}; // last: they use all of the others
};

} // namespace chillbox::daemon
