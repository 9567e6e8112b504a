// The edge's end of the packet socket: questions of many workers at once, each answer brought to
// who asked by its sequence. An answer that comes after its asker gave up is dropped, with the
// descriptor that it carries.
#pragma once

#include "base/error.hpp"
#include "base/fd.hpp"
#include "control/packet.hpp"
#include "os/clock.hpp"

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>

namespace chillbox::edge {

// Fields of PacketVerb::answer.
struct Answer {
  int status = 500;
  std::string body;   // JSON
  std::string ticket; // upload_begin: what upload_done says again; hook: the Location of its job
  std::string retry_after; // seconds, of a 503; "" : the edge's own default
  Fd fd;                   // upload_begin: the file
};

class MonitorLink {
public:
  explicit MonitorLink(int fd) : m_fd(fd) {}
  std::function<void()> on_drain; // in the thread of serve(); set before it begins

  // timed_out: no answer in time. unreachable: the monitor is gone.
  Result<Answer> ask(
      control::PacketVerb verb, std::initializer_list<std::string_view> fields, os::Millis timeout);
  // Does not wait: `then` has the answer, or timed_out or unreachable, once, in the thread that
  // learns it. It may be this one. `timeout` is the same for all.
  using Then = std::function<void(Result<Answer>)>;
  void ask_later(control::PacketVerb verb, std::initializer_list<std::string_view> fields,
      os::Millis timeout, Then then);
  // Tells those that asked later and have no answer in time. How long until the next must be told;
  // nullopt: nobody waits.
  std::optional<os::Millis> expire();
  // Says it, and does not wait for the answer.
  void tell(control::PacketVerb verb, std::initializer_list<std::string_view> fields);
  // What was refused without the monitor: counted by any thread, and told at the next
  // report_refused().
  std::atomic<uint64_t> refused_hooks{0}, refused_uploads{0};
  void report_refused();
  // Brings the answers until the monitor is gone. In one thread.
  void serve();

private:
  struct Asker {
    std::condition_variable answered;
    bool done = false;
    Answer answer;
  };
  struct Later {
    Then then;
    os::Millis until;
  };
  uint64_t enter(Asker* asker);
  void give(uint64_t sequence, Answer answer);

  int m_fd;
  std::mutex m_mutex;
  uint64_t m_sequence = 0;
  std::unordered_map<uint64_t, Asker*> m_askers;
  std::map<uint64_t, Later>
      m_later; // in the order in which they were asked, which is that of their ends
};

} // namespace chillbox::edge
