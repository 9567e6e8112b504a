// Text in a style of a terminal's, as escape sequences.
#pragma once

#include "cli/core/terminal.hpp"

#include <string>
#include <string_view>

namespace chillbox::cli {

std::string styled(bool color, Style style, std::string_view text);

} // namespace chillbox::cli
