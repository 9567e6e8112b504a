// A job's events as server-sent events (WHATWG HTML, "Server-sent events"): each event is a message
// with its number as id, its kind as event type and all of it as one line of JSON in data.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace chillbox::edge {

struct EventBatch {
  std::string text;   // the messages, one after the other; "" when there are none
  uint64_t last = 0;  // number of the last one, or `after`
  bool ended = false; // the job will have no more
};

// `answer`: the monitor's JSON. Throws what nlohmann throws when it is not as agreed: that is a
// fault of ours, not of the client.
EventBatch event_batch(std::string_view answer, uint64_t after);

inline constexpr std::string_view k_heartbeat = ":\n\n";
inline constexpr std::string_view k_reconnect = "retry: 2000\n\n";

} // namespace chillbox::edge
