// chillboxctl from argv to its exit code: parse, run here or through ssh, tell an error once.
#pragma once

#include "base/error.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace chillbox::cli {

int run_program(const std::vector<std::string>& words);

// One line of advice for an error of a verb on a host, "" when there is none.
std::string hint_for(Code code);

} // namespace chillbox::cli
