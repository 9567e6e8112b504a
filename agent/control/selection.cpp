#include "control/selection.hpp"

#include "base/text.hpp"

#include <utility>

namespace chillbox::control {

std::vector<std::string> words_of(const Selection& selection) {
  std::vector<std::string> words;
  if (selection.since_ms)
    words.push_back(cat("since=", *selection.since_ms));
  if (selection.until_ms)
    words.push_back(cat("until=", *selection.until_ms));
  for (const auto& stream : selection.streams)
    words.push_back(cat("stream=", stream));
  return words;
}

Result<Selection> selection_from(const std::vector<std::string>& words) {
  Selection selection;
  for (const auto& word : words) {
    const auto equals = word.find('=');
    const std::string_view name = std::string_view(word).substr(0, equals);
    const std::string value = equals == std::string::npos ? "" : word.substr(equals + 1);
    const auto ms = parse_u64(value);
    const bool is_time = ms && std::in_range<int64_t>(*ms);
    if (name == "since" && is_time)
      selection.since_ms = static_cast<int64_t>(*ms);
    else if (name == "until" && is_time)
      selection.until_ms = static_cast<int64_t>(*ms);
    else if (name == "stream" && !value.empty())
      selection.streams.push_back(value);
    else
      return fail(Code::invalid, cat("words: '", printable(word, 60), "' selects nothing"));
  }
  return selection;
}

} // namespace chillbox::control
