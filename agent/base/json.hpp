// The one JSON parser, for texts that strangers wrote: at most 32 levels deep, no key twice in an
// object, valid UTF-8, no NaN, nothing after the value. It lives here, below config/ and control/,
// so that both read the same language. Nothing throws.
#pragma once

#include "base/error.hpp"

#include <nlohmann/json_fwd.hpp>

#include <string>
#include <string_view>

namespace chillbox {

using Json = nlohmann::json;

inline constexpr size_t k_max_json_depth = 32;

// invalid with the place ("line 3, column 7", or the JSON path of a double key) for text that is
// not such JSON; too_large beyond `limit` bytes, looked at before anything else.
Result<Json> parse_json(std::string_view text, size_t limit);
std::string dump(const Json& json); // one line; bytes that are not UTF-8 are replaced

} // namespace chillbox
