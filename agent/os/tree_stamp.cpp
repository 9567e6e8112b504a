#include "os/disk_tree.hpp"

#include "os/files.hpp"
#include "os/tree_digest.hpp"
#include "os/tree_walk.hpp"

#include <sys/stat.h>

namespace chillbox::os {
namespace {

void add(TreeDigest& digest, const struct stat& st, const std::string& name) {
  struct {
    uint64_t device, inode, mode, uid, size, seconds, nanoseconds;
  } const stamp{st.st_dev, st.st_ino, st.st_mode, st.st_uid, static_cast<uint64_t>(st.st_size),
      static_cast<uint64_t>(st.st_ctim.tv_sec), static_cast<uint64_t>(st.st_ctim.tv_nsec)};
  digest.bytes(&stamp, sizeof stamp);
  digest.bytes(name.c_str(), name.size() + 1);
}

Result<void> directory(TreeDigest& digest, const At& at) {
  for (const std::string& name : TRY(names_in(at))) {
    const struct stat st = TRY(stat_at(at, name));
    add(digest, st, name);
    if (S_ISDIR(st.st_mode)) {
      const Fd fd = TRY(enter(at, name));
      TRY(directory(digest, At{fd.get(), at.below(name), at.depth + 1}));
      digest.bytes("", 1); // the end of a directory
    }
  }
  return {};
}

} // namespace

Result<std::string> stamp_of_tree(const std::string& dir) {
  const Fd fd = TRY(open_directory(dir));
  struct stat st{};
  if (::fstat(fd.get(), &st) != 0)
    return fail_io("look at", dir, errno);
  TreeDigest digest;
  add(digest, st, "");
  TRY(directory(digest, At{fd.get(), dir}));
  return digest.done();
}

} // namespace chillbox::os
