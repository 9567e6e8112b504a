// What the courier tells the monitor; any thread.
#pragma once

#include "base/error.hpp"
#include "control/engine.hpp"

#include <cstdint>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

namespace chillbox::courier {

// The answer to an order.
struct Done {
  std::optional<Error> error = {};
  control::EngineChange change = {};
  uint64_t revision = 0;
  std::optional<int64_t> date = {};
};

class Report {
public:
  explicit Report(int socket) : m_socket(socket) {}
  std::function<void()> on_loss; // of touch; set before the threads begin

  void done(uint64_t sequence, const Done& done);
  void value(uint64_t sequence, const control::EngineValue& value);
  void changed(const std::string& prefix);
  // "": a majority answered just now; else why none does. Told when it is another than before.
  void touch(const std::string& problem);

private:
  void send(const std::vector<uint8_t>& packet) const; // the end, if nobody takes it
  int m_socket;
  std::mutex m_mutex; // of m_touch
  std::optional<bool> m_touch;
};

} // namespace chillbox::courier
