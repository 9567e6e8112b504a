// One request on one connection: reads with a deadline, gives out no byte beyond the request's own,
// and gathers the answer to send it at once. It uses the session's buffers and closes nothing.
#pragma once

#include "base/error.hpp"
#include "edge/request_head.hpp"
#include "os/clock.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace chillbox::edge {

inline os::Millis now() {
  return os::real_clock().mono();
}

// Of a connection. What `in` has already was read before, and is the beginning of the request.
struct Buffers {
  std::string in;
  std::string out;
  void reset(); // for the next request; the memory that only a large one needs is given back
};

class Connection {
public:
  Connection(int fd, Buffers& buffers, os::Millis deadline);

  void set_deadline(os::Millis at) { m_deadline = at; }
  // The head's bytes. not_found: the client closed or went silent before it was whole. A refusal
  // for what can be no head.
  struct ReadHead {
    std::string_view bytes;
    std::optional<Refusal> refusal;
  };
  Result<ReadHead> read_head();
  // Reads what has come, without waiting. False: the client is gone.
  bool read_available();
  void expect_body(uint64_t length) { m_body_left = length; }
  // Up to `size` bytes of the body; 0: it is all read. Errors: timed_out, unreachable.
  Result<size_t> read_body(char* data, size_t size);
  // Some of the body goes into a pipe, without a copy of the bytes here. Not 0: errno of the pipe,
  // which takes no more. Errors: as read_body.
  Result<int> move_body(int pipe);
  uint64_t body_left() const { return m_body_left; }
  // The body, when all of it was read; it is taken then.
  std::optional<std::string_view> whole_body();

  void write(std::string_view bytes) { m_buffers.out += bytes; }
  Result<void> flush();
  // As much as possible without waiting. False: there is more.
  Result<bool> flush_available();
  // The client has sent more than this request, or closed its side: no further request is taken
  // here.
  bool has_pending_input() const;
  // After an answer that came before the body was read: takes a little of it, so that closing does
  // not destroy the answer on its way.
  void linger();

private:
  Result<size_t> receive(char* data, size_t size); // 0: the client closed
  Result<void> wait(short events, os::Millis deadline) const;

  int m_fd;
  Buffers& m_buffers;
  os::Millis m_deadline; // monotonic
  size_t m_taken = 0;    // of m_buffers.in
  uint64_t m_body_left = 0;
};

} // namespace chillbox::edge
