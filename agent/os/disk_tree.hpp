// Whole trees, walked by descriptor: every step is *at() below a directory that is already open,
// with O_NOFOLLOW, so that nobody who can write in the tree can lead the walk out of it. Never into
// another file system. For this room only; Disk has the contracts.
#pragma once

#include "base/error.hpp"
#include "os/disk.hpp"
#include "os/tree_walk.hpp"

#include <optional>
#include <string>
#include <vector>

namespace chillbox::os {

Result<TreeSize> measure_tree(const std::string& dir);
Result<std::vector<TreeLink>> links_of_tree(const std::string& dir);
Result<void> remove_whole_tree(const std::string& path); // a file or a link too
Result<void> empty_directory(const At& top);
Result<std::string> copy_whole_tree(
    const std::string& from, const std::string& to, Owner owner, const TreeCopy& how);
Result<void> make_tree_readable(const std::string& dir);
// Seals when it is for somebody; else it only reads, and all of it must be `owner`'s.
Result<std::string> digest_tree(
    const std::string& dir, const Owner* freeze_for, std::optional<uid_t> owner = std::nullopt);
// Changes whenever anything in the tree does, without a byte of it being read: of names, owners,
// modes, sizes, inodes and the times of change, which the kernel alone sets. All becomes
// `take_for`'s before, when there is one.
Result<std::string> stamp_of_tree(const std::string& dir, const Owner* take_for = nullptr);

} // namespace chillbox::os
