#include "os/log_file.hpp"

#include "base/fd.hpp"
#include "base/text.hpp"
#include "os/files.hpp"

#include <fcntl.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>

namespace chillbox::os {
namespace {

std::string numbered(const std::string& file, uint32_t number) {
  return cat(file, ".", number);
}

// FILE.1 is free afterwards. A log is not worth a sync.
Result<void> shift(const std::string& file, uint32_t keep) {
  if (::unlink(numbered(file, keep).c_str()) != 0 && errno != ENOENT)
    return fail_io("remove", numbered(file, keep), errno);
  for (uint32_t i = keep; i-- > 1;)
    if (::rename(numbered(file, i).c_str(), numbered(file, i + 1).c_str()) != 0 && errno != ENOENT)
      return fail_io("rename", numbered(file, i), errno);
  return {};
}

// From `at` to `end`, wherever the file ends by now; false: no room.
Result<bool> copy_from(int from, off_t at, off_t end, int to, const std::string& path) {
  for (;;) {
    const ssize_t n = at < end ? ::sendfile(to, from, &at, static_cast<size_t>(end - at)) : 0;
    if (n == 0)
      return true;
    if (n < 0 && (errno == ENOSPC || errno == EDQUOT))
      return false;
    if (n < 0 && errno != EINTR)
      return fail_io("copy", path, errno);
  }
}

} // namespace

Result<uint64_t> rotate_by_copy(const std::string& file, uint32_t keep, uint64_t most) {
  const Fd from(::open(file.c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW));
  struct stat info{};
  if (!from || ::fstat(from.get(), &info) != 0)
    return fail_io("open", file, errno);
  const auto size = static_cast<uint64_t>(info.st_size);
  bool copied = false;
  const uint64_t skipped = size > most ? size - most : 0;
  if (keep > 0) {
    TRY(shift(file, keep));
    const std::string first = numbered(file, 1);
    const Fd to(
        ::open(first.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, info.st_mode & 0777));
    if (!to && errno != ENOSPC && errno != EDQUOT)
      return fail_io("create", first, errno);
    if (to && ::fchown(to.get(), info.st_uid, info.st_gid) != 0 && ::geteuid() == 0)
      return fail_io("chown", first, errno);
    copied =
        to && TRY(copy_from(from.get(), static_cast<off_t>(skipped), info.st_size, to.get(), file));
    if (!copied)
      ::unlink(first.c_str());
  }
  if (::ftruncate(from.get(), 0) != 0)
    return fail_io("cut", file, errno);
  return copied ? skipped : size;
}

Result<void> rotate_by_name(const std::string& file, uint32_t keep) {
  if (keep == 0)
    return ::unlink(file.c_str()) == 0 || errno == ENOENT
        ? Result<void>{}
        : Result<void>(fail_io("remove", file, errno));
  TRY(shift(file, keep));
  if (::rename(file.c_str(), numbered(file, 1).c_str()) != 0 && errno != ENOENT)
    return fail_io("rename", file, errno);
  return {};
}

} // namespace chillbox::os
