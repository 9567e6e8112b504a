// -s and -u: from when to when.
#pragma once

#include "cli/core/verb.hpp"
#include "control/messages.hpp"
#include "control/period.hpp"

#include <cstdint>

namespace chillbox::cli {

inline constexpr Option k_since{"-s,--since", ArgKind::text, "TIME",
    "from then on: 42m (ago), 2026-11-29, \"2026-11-29 17:33:34\", 2026-11-29T17:33:34Z"};
inline constexpr Option k_until{"-u,--until", ArgKind::text, "TIME", "up to then, in the same way"};

using control::Period;

// A time without a zone is in this machine's; of a date -s means its beginning, -u its end. usage.
Result<Period> period_from(const Args& args, int64_t now_ms);
// What the daemon is asked for: that period, and -n, or without it the newest few; of a time that
// is named, the thousand that the daemon gives.
Result<void> add_period(const Args& args, control::Arguments& asked);

} // namespace chillbox::cli
