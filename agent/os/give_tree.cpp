#include "os/give_tree.hpp"

#include "base/text.hpp"
#include "os/tree_walk.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>

namespace chillbox::os {
namespace {

// From the inside out: what is given away already is not walked any more.
Result<void> give(const At& at, Owner owner) {
  for (const auto& name : TRY(names_in(at))) {
    const auto st = TRY(stat_at(at, name));
    if (S_ISDIR(st.st_mode)) {
      const Fd inner = TRY(enter(at, name));
      TRY(give({inner.get(), at.below(name), at.depth + 1}, owner));
    }
    if (::fchownat(at.fd, name.c_str(), owner.uid, owner.gid, AT_SYMLINK_NOFOLLOW) != 0)
      return fail_errno(cat("change owner of ", at.below(name)), errno);
  }
  return {};
}

} // namespace

Result<void> give_tree(const std::string& dir, Owner owner) {
  const Fd top(::open(dir.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!top)
    return fail_errno(cat("open ", dir), errno);
  TRY(give({top.get(), dir}, owner));
  if (::fchown(top.get(), owner.uid, owner.gid) != 0)
    return fail_errno(cat("change owner of ", dir), errno);
  return {};
}

} // namespace chillbox::os
