// Logs that others write: rotated to FILE.1, FILE.2, ... (the newest first), at most `keep` of
// them.
#pragma once

#include "base/error.hpp"

#include <cstdint>
#include <string>

namespace chillbox::os {

// For a writer that holds the file open in append mode and cannot be told to open another
// (chillboxd itself and its children, under supervise-daemon): of the file as it is found the last
// `most` bytes are copied, no more whatever the writer does, then it is cut to nothing. Lost is
// what is written between the look and the cut, milliseconds. Returns how many bytes were dropped:
// those over `most`, or all of them when there is no room for the copy.
Result<uint64_t> rotate_by_copy(const std::string& file, uint32_t keep, uint64_t most);
// For a writer that opens it again when asked to (NGINX): nothing is lost.
Result<void> rotate_by_name(const std::string& file, uint32_t keep);

} // namespace chillbox::os
