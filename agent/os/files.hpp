// Small things that the files of this room share: names, directories, syncs, and what an errno
// means there. For this room only.
#pragma once

#include "base/error.hpp"
#include "base/fd.hpp"
#include "os/disk.hpp"
#include "os/io.hpp"

#include <string>
#include <string_view>

namespace chillbox::os {

std::string parent_of(const std::string& path); // "/" for "/x", "." for "x"
std::string base_of(const std::string& path);   // without closing slashes
// ".NAME.tmp.XXXXXXXX", never longer than a name may be.
std::string temporary_name(const std::string& name);
bool is_temporary_name(std::string_view name);

// "OPERATION PATH: reason". With ENOSPC it also says what ran out, bytes or inodes (faults 88, 90).
std::unexpected<Error> fail_io(std::string_view operation, const std::string& path, int err);

Result<Fd> open_directory(const std::string& path); // its last component may not be a link
Result<void> sync_file(int fd, const std::string& path);
Result<void> sync_names(int directory, const std::string& path); // of an open directory
Result<void> sync_directory(const std::string& path);
// For whole trees: one sync instead of one a file, since each fsync commits the journal again
// (2,000 small files on a busy ext4: 1 s instead of 9 s). It waits for what others wrote to the
// same file system too. Linux reports failed write-back here since 5.8.
Result<void> sync_filesystem(int fd, const std::string& path);
Result<void> write_file(int fd, std::string_view bytes, const std::string& path);
// Owner (root only: nobody else can give files away), then mode, because chown clears bits.
Result<void> set_owner_and_mode(int fd, Owner owner, mode_t mode, const std::string& path);

} // namespace chillbox::os
