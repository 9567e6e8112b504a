// The connections and who serves them. One thread waits for all that are idle (epoll), accepts new
// ones while there is room, and passes webhooks that came whole on to the monitor; whose answers
// the thread that brings them sends. All else goes to a worker, which may wait. So neither an idle
// or silent client nor a webhook that the monitor works on holds a thread, and nothing wakes up
// while nobody asks.
#pragma once

#include "base/error.hpp"
#include "base/fd.hpp"
#include "edge/edge.hpp"
#include "edge/server.hpp"

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <mutex>
#include <unordered_map>

namespace chillbox::edge {

class Sessions {
public:
  Sessions(const EdgeOptions& options, Server& server, MonitorLink& monitor)
      : m_options(options), m_server(server), m_monitor(monitor) {}
  Result<void> run(); // returns only with an error
  // Nobody new is taken; with the last one that is served the process ends. Who has connected since
  // waits for whoever listens next.
  void drain();

private:
  struct Session {
    Fd fd;
    Buffers buffers;
    uint32_t served = 0;
    os::Millis idle_until{};
    bool busy = false; // with a worker or the monitor, or on its way to one
  };
  struct Task {
    int fd;
    std::shared_ptr<PendingRequest> asked; // null: a request has begun
  };

  Result<void> watch(int fd, int operation, uint32_t events) const;
  void accept_from(int listener);
  void set_accepting(bool open);
  void begin(int fd);
  void answered(int fd, std::shared_ptr<PendingRequest> asked);
  void hand_over(Task task);
  void close_idle();
  void work();
  Server::Next run_task(const Task& task);
  void give_back(int fd, Server::Next next);
  void end_when_drained(); // with m_mutex held
  int timeout();
  bool tell_refused_is_due();

  const EdgeOptions& m_options;
  Server& m_server;
  MonitorLink& m_monitor;
  Fd m_epoll;
  std::mutex m_mutex; // of all below
  std::condition_variable m_ready;
  std::unordered_map<int, Session> m_sessions;
  std::deque<Task> m_queue;
  size_t m_workers = 0;
  size_t m_waiting = 0; // workers with nothing to do
  bool m_accepting = true;
  bool m_draining = false;
  os::Millis m_tell_refused_at{};
};

// Runs `work` in a thread of its own with a small stack, for good.
Result<void> start_thread(void (*work)(void*), void* argument);

} // namespace chillbox::edge
