// What belongs to one request while it is served; and what counts how often something happens at a
// time.
#pragma once

#include "edge/connection.hpp"
#include "edge/monitor_link.hpp"
#include "edge/route.hpp"

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

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

// How many somebody has at a time, by a name.
class Shares {
public:
  // Null when the name has `most`; given back when the last copy goes.
  std::shared_ptr<void> try_acquire(const std::string& name, size_t most) {
    const std::scoped_lock lock(m_mutex);
    if (m_taken[name] >= most)
      return nullptr;
    ++m_taken[name];
    return {this, [name](void* self) { static_cast<Shares*>(self)->give_back(name); }};
  }

private:
  void give_back(const std::string& name) {
    const std::scoped_lock lock(m_mutex);
    if (const auto at = m_taken.find(name); --at->second == 0)
      m_taken.erase(at);
  }
  std::mutex m_mutex;
  std::map<std::string, size_t> m_taken;
};

} // namespace chillbox::edge
