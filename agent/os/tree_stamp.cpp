#include "os/tree_stamp.hpp"

#include "base/text.hpp"
#include "os/disk_tree.hpp"
#include "os/files.hpp"
#include "os/tree_walk.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>

namespace chillbox::os {
namespace {

// By the descriptor itself if there is no name.
Result<void> take(const At& at, const std::string& name, const Owner* owner) {
  if (owner != nullptr && ::geteuid() == 0 &&
      ::fchownat(at.fd, name.c_str(), owner->uid, owner->gid,
          AT_SYMLINK_NOFOLLOW | (name.empty() ? AT_EMPTY_PATH : 0)) != 0)
    return fail_io("change owner of", name.empty() ? at.path : at.below(name), errno);
  return {};
}

Result<void> stamp_below(
    const At& at, const std::string& relative, const Owner* owner, TreeStamp& stamp) {
  struct stat self{};
  TRY(take(at, "", owner));
  if (::fstat(at.fd, &self) != 0)
    return fail_io("look at", at.path, errno);
  stamp.add(relative, self);
  for (const auto& [name, kind] : TRY(entries_in(at))) {
    const std::string path = relative.empty() ? name : cat(relative, "/", name);
    if (S_ISDIR(kind)) {
      const Fd fd = TRY(enter(at, name));
      TRY(stamp_below(At{fd.get(), at.below(name), at.depth + 1}, path, owner, stamp));
      continue;
    }
    TRY(take(at, name, owner));
    stamp.add(path, TRY(stat_at(at, name)));
  }
  return {};
}

} // namespace

Result<std::string> stamp_of_tree(const std::string& dir, const Owner* take_for) {
  const Fd fd = TRY(open_directory(dir));
  TreeStamp stamp;
  TRY(stamp_below(At{fd.get(), dir}, "", take_for, stamp));
  return stamp.done();
}

} // namespace chillbox::os
