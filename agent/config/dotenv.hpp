// Files of NAME=VALUE lines as people have them: `export`, "..." with \n \t \" \\ and \$, '...' as
// it is, both over several lines, comments, CRLF, a BOM. Nothing is expanded. Of a name that is
// there twice the last one counts.
#pragma once

#include "base/error.hpp"

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace chillbox::config {

inline constexpr size_t k_max_dotenv = 128 * 1024; // bytes

// invalid: "line N: ..." and never what is in the line, which may be a secret; denied: a name that
// the agent sets itself or that changes which code is run.
Result<std::vector<std::pair<std::string, std::string>>> parse_dotenv(std::string_view text);

} // namespace chillbox::config
