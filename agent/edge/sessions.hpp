// The connections and the threads that serve them. One thread waits for all idle connections
// (epoll), accepts new ones while there is room, and passes complete webhooks on to the monitor;
// the thread that reads the monitor's answers sends the replies. Everything else goes to a worker,
// which may wait. So neither a silent client nor a webhook that the monitor works on holds a
// thread, and nothing wakes up while nobody asks.
#pragma once

#include "base/error.hpp"
#include "base/fd.hpp"
#include "base/thread_group.hpp"
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
  // No new client is accepted, and the process ends with the last one that is served. Clients that
  // connect meanwhile wait for the next process that listens.
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
    std::shared_ptr<PendingRequest> pending; // null: a request has begun
  };

  Result<void> watch(int fd, int operation, uint32_t events) const;
  void accept_next();
  void set_accepting(bool accepting);
  void begin(int fd);
  void answered(int fd, std::shared_ptr<PendingRequest> pending);
  void hand_over(Task task);
  void close_idle();
  void work();
  Server::Next run_task(const Task& task);
  void give_back(int fd, Server::Next next);
  void end_when_drained(); // with m_mutex held
  int timeout();
  bool report_is_due();

  const EdgeOptions& m_options;
  Server& m_server;
  MonitorLink& m_monitor;
  Fd m_epoll;
  std::mutex m_mutex; // of all below
  std::condition_variable m_ready;
  std::unordered_map<int, Session> m_sessions;
  std::deque<Task> m_queue;
  size_t m_waiting = 0; // workers with nothing to do
  bool m_accepting = true;
  bool m_draining = false;
  os::Millis m_report_at{};
  ThreadGroup m_workers;
};

} // namespace chillbox::edge
