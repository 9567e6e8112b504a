// Whether a file is the very one that was read: device, inode, size and times.
#pragma once

#include <cstdint>
#include <string>

namespace chillbox::os {

// All zero: the file does not exist.
struct FileStamp {
  uint64_t device = 0, inode = 0, size = 0;
  int64_t changed_ns = 0, written_ns = 0;
  bool operator==(const FileStamp&) const = default;
  static FileStamp of(const std::string& path); // links are followed
  // A file that was changed a moment ago may change again without another time.
  bool is_settled(int64_t now_ns) const { return changed_ns < now_ns - 1'000'000'000; }
};

} // namespace chillbox::os
