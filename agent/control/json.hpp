// JSON in our hands: parsed with a depth of at most 32, no duplicate keys, valid UTF-8, no NaN;
// nothing throws.
#pragma once

#include "base/error.hpp"
#include "base/json.hpp"

#include <nlohmann/json_fwd.hpp>

#include <cstdint>
#include <string>
#include <string_view>

namespace chillbox::control {

using chillbox::dump;
using chillbox::Json;
using chillbox::parse_json;

// Members, checked: invalid "KEY: must be a string" when missing or of another type.
Result<std::string> string_at(const Json& object, std::string_view key);
Result<uint64_t> u64_at(const Json& object, std::string_view key);
std::string string_or(const Json& object, std::string_view key, std::string_view fallback);
uint64_t u64_or(const Json& object, std::string_view key, uint64_t fallback);
bool bool_or(const Json& object, std::string_view key, bool fallback);

} // namespace chillbox::control
