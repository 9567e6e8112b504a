// Small files that somebody names on the command line; pipes too, and "-" for standard input.
#pragma once

#include "base/error.hpp"
#include "base/secret.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace chillbox::cli {

// too_large over `limit` bytes. The bytes never lie in ordinary memory.
Result<SecretBytes> read_secret_input(const std::string& path, size_t limit);
Result<std::string> read_input(const std::string& path, size_t limit);
// Lines without '#' comments, surrounding space and empty lines.
std::vector<std::string_view> content_lines(std::string_view text);

} // namespace chillbox::cli
