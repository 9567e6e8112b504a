// What tells whether a tree is still the one that was looked at, without a byte of it being read:
// BLAKE2b over each entry's path, kind, mode, owner, inode, size and time of change, depth first,
// names sorted by bytes. The kernel alone sets that time, at each change. For this room only.
#pragma once

#include "os/tree_digest.hpp"

#include <array>

namespace chillbox::os {

class TreeStamp {
public:
  void add(std::string_view path, const struct stat& st) {
    const std::array<uint64_t, 9> seen{path.size(), st.st_dev, st.st_ino, st.st_mode, st.st_uid,
        st.st_gid, static_cast<uint64_t>(st.st_size), static_cast<uint64_t>(st.st_ctim.tv_sec),
        static_cast<uint64_t>(st.st_ctim.tv_nsec)};
    m_digest.bytes(seen.data(), sizeof seen);
    m_digest.bytes(path.data(), path.size());
  }
  std::string done() { return m_digest.done(); }

private:
  TreeDigest m_digest;
};

} // namespace chillbox::os
