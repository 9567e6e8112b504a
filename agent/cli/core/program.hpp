// chillboxctl from argv to its exit code: parse, run here or through ssh, print an error once.
#pragma once

#include "base/error.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace chillbox::cli {

int run_program(const std::vector<std::string>& words);

// A hint at what to do about an error of a verb on a host; "" when there is none.
std::string hint_for(Code code);

} // namespace chillbox::cli
