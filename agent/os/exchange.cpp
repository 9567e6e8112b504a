#include "os/exchange.hpp"

#include "base/text.hpp"
#include "os/files.hpp"

#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>

namespace chillbox::os {

Result<uint64_t> directory_number(const std::string& path) {
  struct stat st{};
  if (::lstat(path.c_str(), &st) != 0)
    return errno == ENOENT ? fail(Code::not_found, cat("there is no ", path))
                           : fail_io("look at", path, errno);
  if (!S_ISDIR(st.st_mode))
    return fail(Code::denied, cat(path, " is not a directory"));
  return uint64_t{st.st_ino};
}

bool same_filesystem(const std::string& one, const std::string& other) {
  struct stat a{}, b{};
  return ::lstat(one.c_str(), &a) == 0 && ::lstat(other.c_str(), &b) == 0 && a.st_dev == b.st_dev;
}

Result<void> exchange_directories(const std::string& one, const std::string& other) {
  if (::syscall(SYS_renameat2, AT_FDCWD, one.c_str(), AT_FDCWD, other.c_str(), RENAME_EXCHANGE) !=
      0) {
    if (errno == EXDEV || errno == EINVAL || errno == ENOSYS || errno == EBUSY)
      return fail(Code::failure,
          cat("exchange ", one, " and ", other,
              ": they must be directories of one file system that can do it, and none may be a mount point"));
    return fail_io(cat("exchange ", one, " and"), other, errno);
  }
  TRY(sync_directory(parent_of(one)));
  return sync_directory(parent_of(other));
}

bool can_clone(const std::string& dir) {
  const Fd from(::open(dir.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));
  const Fd to(::open(dir.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));
  const std::string block(4096, 'x');
  return from && to && ::pwrite(from.get(), block.data(), block.size(), 0) > 0 &&
      ::ioctl(to.get(), FICLONE, from.get()) == 0;
}

} // namespace chillbox::os
