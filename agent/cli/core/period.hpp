// -s and -u: from when to when.
#pragma once

#include "cli/core/verb.hpp"

#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <vector>

namespace chillbox::cli {

inline constexpr Option k_since{"-s,--since", ArgKind::text, "TIME",
    "from then on: 42m (ago), 2026-11-29, \"2026-11-29 17:33:34\", 2026-11-29T17:33:34Z"};
inline constexpr Option k_until{"-u,--until", ArgKind::text, "TIME", "up to then, in the same way"};

struct Period {
  int64_t since_ms = 0, until_ms = std::numeric_limits<int64_t>::max();
  bool any() const { return since_ms > 0 || until_ms < std::numeric_limits<int64_t>::max(); }
};

// A time without a zone is in this machine's; of a date -s means its beginning, -u its end. usage.
Result<Period> period_from(const Args& args, int64_t now_ms);
// -n, or without it the newest few; of a time that is named, the thousand that the daemon gives.
uint64_t lines_or_all(const Args& args);
// The same as what the daemon is asked with (control/selection.hpp); nullopt: no time is named.
Result<std::optional<std::vector<std::string>>> period_words(const Args& args);

} // namespace chillbox::cli
