// Which part of a history or of logs is asked for. It crosses the control socket as the words of a
// request: "since=MS", "until=MS", "stream=NAME". A daemon that does not know one refuses it, so
// that nobody takes more than was asked for as the answer.
#pragma once

#include "base/error.hpp"

#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <vector>

namespace chillbox::control {

struct Selection {
  // Milliseconds since 1970, both ends included.
  std::optional<int64_t> since_ms, until_ms;
  std::vector<std::string> streams; // of logs; none: all
  bool has(int64_t ms) const {
    return ms >= since_ms.value_or(0) &&
        ms <= until_ms.value_or(std::numeric_limits<int64_t>::max());
  }
  bool any_time() const { return since_ms || until_ms; }
};

std::vector<std::string> words_of(const Selection& selection);
// invalid: a word that is none of these.
Result<Selection> selection_from(const std::vector<std::string>& words);

} // namespace chillbox::control
