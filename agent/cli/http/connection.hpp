// A connection to a host, in the clear or by TLS, on which nothing is waited for longer than it
// may.
#pragma once

#include "base/error.hpp"
#include "base/fd.hpp"
#include "os/deadline.hpp"

#include <chrono>
#include <memory>
#include <string>
#include <string_view>

struct ssl_ctx_st;
struct ssl_st;

namespace chillbox::cli {

// How long a transfer may take, and how long no byte of it may move. Time::max(): any time.
class Patience {
public:
  using Time = std::chrono::milliseconds;
  Patience(Time whole, Time stall);
  void moved();                 // bytes were taken or came
  void allow_stall(Time stall); // from now on
  Time left(Time most) const;   // of the whole, and no more than that
  Result<void> check() const;   // timed_out: the whole is over
  // Until one of these poll(2) events. timed_out: the whole is over; unreachable: it stalled.
  Result<void> wait(int fd, short events) const;

private:
  Time m_whole, m_stall;
  os::Deadline m_end, m_stalls;
};

class Connection {
public:
  explicit Connection(Fd socket); // it is connected
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;
  // certificates: as in Http::create. unreachable: with the reason, in words for a person.
  Result<void> start_tls(
      const std::string& host, const std::string& certificates, const Patience& patience);

  // How many of these bytes it took, 0 when there is no room. unreachable: the connection is lost.
  Result<size_t> write(std::string_view bytes);
  enum class Came { bytes, none, end };
  Came read(std::string& to); // adds what has come, without waiting
  // Until there may be something to read; writing: or room to write.
  Result<void> wait(bool writing, const Patience& patience) const;

private:
  struct Free {
    void operator()(ssl_st* ssl) const;
    void operator()(ssl_ctx_st* context) const;
  };
  Error why_no_tls() const;
  Fd m_socket;         // goes after m_ssl
  std::string m_alert; // why the other side ended the handshake
  std::unique_ptr<ssl_ctx_st, Free> m_context;
  std::unique_ptr<ssl_st, Free> m_ssl;
  bool m_read_writes = false; // TLS must write before it can read on
};

} // namespace chillbox::cli
