// The monitor's side of the edge: what strangers may ask, and nothing else. Signatures are checked over the raw bytes before any JSON is
// parsed; webhooks that came together are accepted in one transaction (group commit), and answered only after it is on disk.
#pragma once

#include "base/fd.hpp"
#include "control/packet.hpp"
#include "daemon/bell.hpp"
#include "daemon/senders.hpp"
#include "rollout/engine.hpp"
#include "rollout/world.hpp"
#include "store/store.hpp"

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

namespace chillbox::daemon {

class Gate {
public:
  // hold: a webhook from nobody we know is answered so long after it came, so that the time does not tell what was found wrong with it
  // (faults 16); 0: at once.
  Gate(rollout::World& world, rollout::Engine& engine, std::string host_secret, std::vector<LoadedSender> senders, std::chrono::microseconds hold);
  ~Gate(); // waits for copies that are under way
  Gate(const Gate&) = delete;
  Gate& operator=(const Gate&) = delete;
  // At once: what a key that is not among them announced ends, unless it has switched, and its capabilities open nothing.
  void set_senders(std::vector<LoadedSender> senders);
  void attach(Fd edge); // a new edge; what the old one had open is forgotten
  void drain(); // the edge takes nobody new, and ends when it has answered who is there
  int fd() const { return m_edge.get(); }
  // Takes all packets that are there. False: the edge is gone, or takes no answers, and must be replaced.
  bool serve();
  int refusal_timer() const { return m_refusal_timer.get(); } // readable: refuse_due()
  void refuse_due();
  // Long polls whose job has something new, or whose time is over, are answered. The time until the next is over; negative: none waits.
  os::Millis answer_waiting();

private:
  struct Pending { // a webhook between its signature and its transaction
    uint64_t sequence;
    store::Intake intake;
  };
  using Steady = std::chrono::steady_clock;
  struct Refusal { // a webhook that waits for its 401
    uint64_t sequence;
    Steady::time_point at;
  };
  struct Waiting { // a long poll
    uint64_t sequence;
    std::string job;
    uint64_t after;
    os::Millis until;
  };
  struct Ticket { // an upload in flight
    std::string job;
    std::string digest;
    bool signature;
    std::string path;
    uint64_t size;
    Fd file;
  };
  // The job that a capability opens. denied: it is not one of ours, its deadline is over, or the key that announced the job is gone.
  Result<store::Job> check_capability(std::string_view text);
  void end_orphans(); // jobs of keys that are gone
  void shut_orphans(); // their uploads and long polls
  Result<store::Intake> check_hook(const control::PacketView& packet);
  void take(const control::PacketView& packet, std::vector<Pending>& hooks);
  void commit(std::vector<Pending>& hooks);
  Result<void> check_room(uint64_t size); // throttled, no_space
  void begin_upload(const control::PacketView& packet);
  void end_upload(const control::PacketView& packet);
  size_t uploads();
  void keep_upload(uint64_t sequence, Ticket ticket);
  void show_job(const control::PacketView& packet);
  void show_events(const control::PacketView& packet);
  bool answer_events(const Waiting& waiting, bool at_last);
  void answer_job(uint64_t sequence, int status, const store::Job& job);
  void answer(uint64_t sequence, int status, std::string_view body, std::string_view ticket = "", int fd = -1);
  void refuse(uint64_t sequence, const Error& error);
  void refuse_later(uint64_t sequence, const Error& error);
  void arm(Steady::time_point at) const;
  void reject(std::string_view why);

  rollout::World& m_world;
  rollout::Engine& m_engine;
  std::string m_host_secret;
  std::vector<LoadedSender> m_senders;
  std::shared_ptr<KnownKeys> m_known = std::make_shared<KnownKeys>(); // the engine's jobs look at it too
  Fd m_edge;
  std::mutex m_mutex; // of m_edge and m_stuck against the threads that copy uploads, and of their count
  bool m_stuck = false; // an answer could not be sent: no other is tried
  uint64_t m_rejected = 0; // packets of this edge
  std::condition_variable m_copied;
  size_t m_copying = 0;
  uint64_t m_copying_bytes = 0;
  std::vector<Waiting> m_waiting;
  std::chrono::microseconds m_hold;
  Fd m_refusal_timer;
  Steady::time_point m_came; // the packets that are being served
  std::deque<Refusal> m_refusals;
  std::map<std::string, Ticket> m_tickets;
};

} // namespace chillbox::daemon
