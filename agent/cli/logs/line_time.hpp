// The time that a line of a log gives itself, at its beginning.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace chillbox::cli {

// Milliseconds since 1970. Understood are ISO 8601 with "T" or a space, with or without a fraction
// and a zone, also in brackets (gunicorn's) or as the first member of a JSON object; NGINX's error
// and access logs; and syslog's "Nov 29 10:00:00", which is of the year that puts it nearest to
// `near_ms`. A time without a zone is one of this machine's zone.
std::optional<int64_t> time_of_line(std::string_view line, int64_t near_ms);

// "2026-11-29 17:33:34.123" in the time zone of this machine; "" for 0.
std::string format_time_ms(int64_t unix_ms);

} // namespace chillbox::cli
