// What belongs to one request while it is served; and a semaphore for what may happen only so often
// at a time.
#pragma once

#include "edge/connection.hpp"
#include "edge/monitor_link.hpp"
#include "edge/route.hpp"

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>

namespace chillbox::edge {

struct RequestContext {
  Connection& connection;
  RequestHead head;
  Route route;
  std::optional<Refusal> refusal;            // then nothing else counts
  std::optional<Result<Answer>> answer = {}; // of the monitor, to a webhook
  bool abandoned = false;                    // nobody waits for an answer any more
  std::shared_ptr<void> place = {};          // of a semaphore, until its answer is sent
};

// Reads the head and finds what it asks for, or why it is refused. False: no request came.
bool read_request(RequestContext& context, uint64_t artifact_max);

class Semaphore {
public:
  explicit Semaphore(size_t count) : m_left(static_cast<long>(count)) {}
  // Null when all are taken; given back when the last copy goes.
  std::shared_ptr<void> try_acquire() {
    if (m_left.fetch_sub(1) > 0)
      return {this, [](void* self) { ++static_cast<Semaphore*>(self)->m_left; }};
    ++m_left;
    return nullptr;
  }

private:
  std::atomic<long> m_left;
};

} // namespace chillbox::edge
