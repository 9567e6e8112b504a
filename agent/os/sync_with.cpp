#include "os/synced_with.hpp"

#include "os/files.hpp"

#include <sys/stat.h>

#include <cerrno>

namespace chillbox::os {

Result<void> synced_with(const std::string& frozen, const std::string& directory) {
  struct stat there{}, here{};
  if (::stat(frozen.c_str(), &there) != 0)
    return fail_io("look at", frozen, errno);
  if (::stat(directory.c_str(), &here) != 0)
    return fail_io("look at", directory, errno);
  return there.st_dev == here.st_dev ? Result<void>{} : sync_directory(directory);
}

} // namespace chillbox::os
