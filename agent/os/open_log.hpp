// A log and its marks (os/log_index.hpp), opened for who is to read them.
#pragma once

#include "base/error.hpp"
#include "base/fd.hpp"
#include "os/log_index.hpp"

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace chillbox::os {

// In order of their offsets. Those of bytes that the file of `size` bytes does not have are left
// out: they are of another file that had this name.
std::vector<LogMark> decode_marks(std::string_view bytes, uint64_t size);
// A log to be read, whatever becomes of its name.
struct OpenLog {
  Fd text, marks; // marks: none when there are none
  ino_t inode = 0;
  uint64_t size = 0;
  int64_t written_ms = 0; // last
};
// not_found; denied: no regular file. No link is followed.
Result<OpenLog> open_log(const std::string& path);

} // namespace chillbox::os
