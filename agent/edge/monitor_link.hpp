// The edge's end of the packet socket: many requests ask at once, and each gets its own answer by
// the packet's sequence. An answer that comes after its request gave up is dropped, with the
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
#include <vector>

namespace chillbox::edge {

// Fields of PacketVerb::answer.
struct Answer {
  int status = 500;
  std::string body;        // JSON
  std::string ticket;      // upload_begin: repeated by upload_done; hook: the Location of its job
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
  // Does not wait, and is on its way at the latest after send_asked(): `then` has the answer, or
  // timed_out or unreachable, once, in the thread that learns it. It may be this one. `timeout` is
  // the same for all.
  using Then = std::function<void(Result<Answer>)>;
  void ask_later(control::PacketVerb verb, std::initializer_list<std::string_view> fields,
      os::Millis timeout, Then then);
  // Sends what ask_later() has gathered, together: under load a packet of its own for each webhook
  // costs both sides a fifth of their time.
  void send_asked();
  // Answers timed_out to those of ask_later() whose time is over. How long until the next is due;
  // nullopt: nobody waits.
  std::optional<os::Millis> expire();
  // Sends it, and does not wait for an answer.
  void send(control::PacketVerb verb, std::initializer_list<std::string_view> fields);
  // Requests that were refused without asking the monitor: counted by any thread, and sent with
  // the next report_refused().
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
  struct Asked {
    uint64_t sequence;
    Bytes packet;
  };
  uint64_t enter(Asker* asker);
  void take(const control::PacketView& packet, Fd fd);
  void give(uint64_t sequence, Answer answer);

  int m_fd;
  std::mutex m_mutex;
  uint64_t m_sequence = 0;
  std::unordered_map<uint64_t, Asker*> m_askers;
  std::map<uint64_t, Later>
      m_later; // in the order in which they were asked, which is that of their deadlines
  std::vector<Asked> m_asked; // not sent yet
  size_t m_asked_bytes = 0;
};

} // namespace chillbox::edge
