// Members of JSON that may be anything: what is absent or of another type is empty. For this room
// only.
#pragma once

#include "base/json.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace chillbox::tls {

const Json& member(const Json& object, const char* name); // null when there is none
std::string text_in(const Json& object, const char* name);
uint64_t number_in(const Json& object, const char* name);
int64_t time_ms_in(const Json& object, const char* name); // as a number of milliseconds
bool flag_in(const Json& object, const char* name);
std::vector<std::string> texts_in(const Json& object, const char* name, size_t most);
std::optional<int64_t> time_in(const Json& object, const char* name); // RFC 3339 UTC, to ms

std::optional<int64_t> parse_rfc3339(const std::string& text); // ms
std::optional<int64_t> parse_http_date(const std::string& text);

} // namespace chillbox::tls
