#include "edge/events.hpp"

#include "base/text.hpp"

#include <nlohmann/json.hpp>

namespace chillbox::edge {

EventBatch event_batch(std::string_view answer, uint64_t after) {
  const auto json = nlohmann::json::parse(answer);
  EventBatch batch{.text = {}, .last = after, .ended = json.at("ended").get<bool>()};
  for (const auto& event : json.at("events")) {
    batch.last = event.at("number").get<uint64_t>();
    // dump() escapes line ends, so data is one line whatever the text holds; a kind is a word of
    // ours.
    batch.text += cat("id: ", batch.last,
        "\nevent: ", event.at("kind").get_ref<const std::string&>(),
        "\ndata: ", event.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace), "\n\n");
  }
  return batch;
}

} // namespace chillbox::edge
