// Our own tmpfs: nosuid, nodev, a size, and noswap where the kernel has it (Linux 6.4 and newer).
#pragma once

#include "base/error.hpp"

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <string_view>

namespace chillbox::os {

struct TmpfsOptions {
  uint64_t size_bytes = 0;
  mode_t mode = 0755;
  bool allow_swap = false; // else: without `noswap` and with swap on, denied (faults 81)
};

// Mounts once: an existing mount point of ours stays as it is. Returns true when noswap
// holds.
Result<bool> mount_tmpfs(const std::string& path, const TmpfsOptions& options);
Result<void> unmount(const std::string& path); // lazily; not mounted is fine
bool swap_is_on();
// Whether the tmpfs that is mounted there has noswap. not_found: nothing is mounted there;
// conflict: something else is.
Result<bool> keeps_out_of_swap(const std::string& path);
// "nfs", "cifs", ...: the kind of a file system that is on another machine; "" : it is on this one.
std::string network_file_system(const std::string& path);
std::string_view network_kind(int64_t magic); // statfs(2), f_type
bool is_in_memory(const std::string& path); // a tmpfs or ramfs: nothing of it is left after a boot

} // namespace chillbox::os
