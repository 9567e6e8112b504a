// What changed between two texts, as `diff -u` shows it: hunks with three lines around them, "\ No
// newline at end of file" where that is so. Equal texts give "". The shortest script (Myers 1986);
// texts that have almost nothing in common are shown as one replaced by the other.
#pragma once

#include <string>
#include <string_view>

namespace chillbox {

std::string unified_diff(std::string_view before, std::string_view after,
    std::string_view before_name, std::string_view after_name);

} // namespace chillbox
