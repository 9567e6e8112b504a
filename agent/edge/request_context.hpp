// What belongs to one request while it is served; and places, of which there are only so many.
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
  std::optional<Refusal> refusal; // then nothing else is looked at
  std::optional<Result<Answer>> answer =
      {};                 // of the monitor, when it was asked before cpp-httplib had its turn
  bool abandoned = false; // the client went away: there is nobody to answer
  int status = 0;         // of the answer
};

// Reads the head and finds what is asked for, or why not. False: no request came.
bool read_request(RequestContext& exchange, uint64_t artifact_max);

class Semaphore {
public:
  explicit Semaphore(size_t count) : m_left(static_cast<long>(count)) {}
  // Null when all are taken; given back when the last copy goes.
  std::shared_ptr<void> take() {
    if (m_left.fetch_sub(1) > 0)
      return {this, [](void* self) { ++static_cast<Semaphore*>(self)->m_left; }};
    ++m_left;
    return nullptr;
  }

private:
  std::atomic<long> m_left;
};

} // namespace chillbox::edge
