// Reads small files named on the command line: also pipes, and "-" for standard input.
#pragma once

#include "base/error.hpp"
#include "base/secret.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace chillbox::cli {

inline constexpr size_t k_max_key_file = 8 * 1024;
inline constexpr size_t k_max_identity = 64 * 1024; // an age file

// too_large: over `limit` bytes. A secret is never in ordinary memory.
Result<SecretBytes> read_secret_input(const std::string& path, size_t limit);
Result<std::string> read_input(const std::string& path, size_t limit);
// Text of an author's: without a byte order mark. invalid, with the path: it is UTF-16 or has a
// NUL.
Result<std::string> read_text(const std::string& path, size_t limit);
// The lines without '#' comments, surrounding space and empty lines.
std::vector<std::string_view> content_lines(std::string_view text);

} // namespace chillbox::cli
