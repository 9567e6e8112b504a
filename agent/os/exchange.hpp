// Two directories change places from one moment to the next: whoever looks finds one or the other
// under each name, also after a power cut.
#pragma once

#include "base/error.hpp"

#include <cstdint>
#include <string>

namespace chillbox::os {

// Which directory it is, whatever it is called: its number in the file system. not_found.
Result<uint64_t> directory_number(const std::string& path);
bool same_filesystem(const std::string& one, const std::string& other);
// Both names are on the disk when this returns. failure: the file system cannot do it, or they
// are on two; nothing was changed.
Result<void> exchange_directories(const std::string& one, const std::string& other);
// Whether files of this directory, which is ours alone, can be cloned into it: the copy shares
// their blocks (FICLONE).
bool can_clone(const std::string& dir);

} // namespace chillbox::os
