// Ends a transfer that a library runs: when its deadline has passed, or when no byte has moved for
// too long. It has a duplicate of the socket and shuts the connection down, so that whatever the
// library waits for ends at once, a handshake and a header that drips in too.
#pragma once

#include "base/fd.hpp"

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <thread>

namespace chillbox::cli {

class TransferWatch {
public:
  using Time = std::chrono::milliseconds;
  // From now. Time::max(): never.
  TransferWatch(Time deadline, Time stall);
  ~TransferWatch();
  TransferWatch(const TransferWatch&) = delete;
  TransferWatch& operator=(const TransferWatch&) = delete;

  void adopt(int socket); // each that is tried
  void moved();           // bytes were taken or came
  void allow_stall(Time stall);
  Time stall() const;
  int socket() const { return m_socket.get(); } // in the transfer's thread

  enum class Verdict { none, deadline, stalled };
  Verdict verdict() const;

private:
  using Clock = std::chrono::steady_clock;
  Clock::time_point ends() const;
  void run();

  mutable std::mutex m_mutex;
  std::condition_variable m_changed;
  Fd m_socket;
  Clock::time_point m_deadline;
  Clock::time_point m_moved = Clock::now();
  Time m_stall;
  Verdict m_verdict = Verdict::none;
  bool m_done = false;
  std::thread m_thread;
};

} // namespace chillbox::cli
