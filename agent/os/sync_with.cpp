#include "os/sync_with.hpp"

#include "os/files.hpp"

#include <sys/stat.h>

#include <cerrno>

namespace chillbox::os {

Result<void> sync_with(const std::string& tree, const std::string& directory) {
  const Fd top = TRY(open_directory(tree));
  struct stat there{}, here{};
  if (::fstat(top.get(), &there) != 0)
    return fail_io("look at", tree, errno);
  if (::stat(directory.c_str(), &here) != 0)
    return fail_io("look at", directory, errno);
  TRY(sync_filesystem(top.get(), tree));
  return there.st_dev == here.st_dev ? Result<void>{} : sync_directory(directory);
}

} // namespace chillbox::os
