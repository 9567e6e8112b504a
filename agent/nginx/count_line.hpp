// One line of a site's counts (nginx/counts.hpp), which NGINX writes for every request:
//
//   MSEC|STATUS|SECONDS|SENT|RECEIVED|CACHE|ANSWERED|UPSTREAM|UPSTREAM SECONDS|UPSTREAM STATUS
//
// with "-" for what there was not. Of a request that was sent on inside, the last three have
// several parts with ", " or " : " between them. None of it is chosen by a visitor: the time, codes
// and sizes are, the name and the path of what was asked for are not there.
#pragma once

#include "base/names.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace chillbox::nginx {

// "log_format SITE-counts '...';"
std::string counts_format(const SiteName& site);

struct CountLine {
  int64_t time_ms = 0;                    // when the request ended
  uint16_t status = 0;                    // 0 to 999
  double seconds = 0;                     // not below 0
  uint64_t sent = 0, received = 0;        // bytes
  std::string_view cache = {};            // "HIT"; "": no cache was asked
  std::string_view upstream = {};         // the last that was asked; "": NGINX answered itself
  std::optional<double> upstream_seconds; // of all that were asked
  // Of the site's own services, for the watch of a release.
  bool answered = false, bad = false; // bad: 5xx
  int64_t begun_ms() const {
    return time_ms - static_cast<int64_t>(upstream_seconds.value_or(0) * 1000 + 0.5);
  }
};

// Views into `text`, without its newline. nullopt: it is none.
std::optional<CountLine> read_count_line(std::string_view text);

} // namespace chillbox::nginx
