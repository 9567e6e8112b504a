// Which line of another program's output says what went wrong.
#pragma once

#include <string>
#include <string_view>

namespace chillbox::rollout {

// The first line that begins like an error ("error: ...", "ValueError: ...", "fatal: ...", "[ERROR]
// ..."), without the frames of a traceback; "" when none does.
std::string first_error(std::string_view output);
// That; else the last line, and that it is only that: "its last line: ...". "" without any output.
std::string reason_in(std::string_view output);

} // namespace chillbox::rollout
