// A flat JSON object as a list of fields, so that the verbs need not see the JSON library: what
// they send to the daemon and what they print with --json.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace chillbox::cli {

using Value = std::variant<std::string, uint64_t, bool, std::vector<std::string>>;
using Fields = std::vector<std::pair<std::string, Value>>;

std::string json_text(const Fields& fields);
// The same with "schema": "chillbox.NAME.v1".
std::string result_text(std::string_view name, Fields fields);

} // namespace chillbox::cli
