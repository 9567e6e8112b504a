// The tables of control/hours.hpp, for messages.cpp.
#pragma once

#include "control/hours.hpp"
#include "control/members.hpp"

namespace chillbox::control {

constexpr auto table(const SiteHours*) {
  using S = SiteHours;
  return message("site_hours", "Columns of the same length, oldest first.",
      Member{"site", &S::site, ""}, Member{"hours", &S::hours, "since 1970"},
      Member{"requests", &S::requests, ""}, Member{"errors", &S::errors, "answers of 500 to 599"},
      Member{"sent", &S::sent, "bytes"}, Member{"p95_ms", &S::p95_ms, ""},
      Member{"cpu_ms", &S::cpu_ms, "processor time of its services"},
      Member{"memory", &S::memory, "bytes, the most that was seen"});
}

constexpr auto table(const Hours*) {
  return message("hours", "How the sites did, hour by hour.", Member{"now_ms", &Hours::now_ms, ""},
      Member{"sites", &Hours::sites, ""});
}

} // namespace chillbox::control
