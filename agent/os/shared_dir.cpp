// Disk::share_dir. In directories that a site's user may change, so each step is opened from the
// one before it and never through a link.
#include "os/shared_dir.hpp"
#include "os/files.hpp"

#include "base/text.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace chillbox::os {
namespace {

constexpr mode_t k_pass_through = 0710; // for the readers' group: no list, no names
constexpr mode_t k_shared = 02750;      // what is made in it is the group's as well

Result<void> give(const Fd& dir, Owner owner, mode_t mode, const std::string& path) {
  struct stat st{};
  if (::fstat(dir.get(), &st) != 0)
    return fail_io("look at", path, errno);
  if (st.st_uid != owner.uid && st.st_uid != ::geteuid())
    return fail(Code::denied,
        cat(printable(path, 1024), " belongs to uid ", st.st_uid, ", not to ", owner.uid));
  if (st.st_uid == owner.uid && st.st_gid == owner.gid && (st.st_mode & 07777) == mode)
    return {};
  TRY(set_owner_and_mode(dir.get(), owner, mode, path));
  return sync_file(dir.get(), path);
}

} // namespace

Result<void> share_directory(const std::string& top, const std::string& below, Owner owner) {
  std::string path = top;
  Fd dir = TRY(open_directory(path));
  TRY(give(dir, owner, k_pass_through, path));
  const auto steps = split(below, '/');
  for (size_t i = 0; i < steps.size(); ++i) {
    const std::string name(steps[i]);
    path = cat(path, "/", name);
    if (::mkdirat(dir.get(), name.c_str(), 0700) == 0)
      TRY(sync_file(dir.get(), path));
    else if (errno != EEXIST)
      return fail_io("make directory", path, errno);
    Fd next(::openat(
        dir.get(), name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK));
    if (!next)
      return fail_io("open directory", path, errno);
    TRY(give(next, owner, i + 1 == steps.size() ? k_shared : k_pass_through, path));
    dir = std::move(next);
  }
  return {};
}

} // namespace chillbox::os
