// The digest of a tree, as freeze_tree, tree_digest and copy_tree compute it: BLAKE2b-256 over one
// record an entry, depth first, names sorted by bytes: kind, mode, path, then size and bytes or the
// link's target. Every number is 8 bytes little-endian and every text has its length before it, so
// that no two trees give the same stream. For this room only. (libsodium's, called directly:
// crypto/ has this room's rank.)
#pragma once

#include "base/encoding.hpp"

#include <sodium/crypto_generichash.h>
#include <sys/stat.h>

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

namespace chillbox::os {

class TreeDigest {
public:
  TreeDigest() { ::crypto_generichash_init(&m_state, nullptr, 0, 32); }
  void directory(mode_t mode, std::string_view path) { entry('d', mode, path); }
  void link(std::string_view path, std::string_view target) {
    entry('l', 0, path);
    text(target);
  }
  // Followed by exactly `size` bytes.
  void file(mode_t mode, std::string_view path, uint64_t size) {
    entry('f', mode, path);
    number(size);
  }
  void bytes(const void* data, size_t size) {
    ::crypto_generichash_update(&m_state, static_cast<const unsigned char*>(data), size);
  }
  std::string done() {
    std::array<uint8_t, 32> out;
    ::crypto_generichash_final(&m_state, out.data(), out.size());
    return hex(out);
  }

private:
  void number(uint64_t n) {
    std::array<uint8_t, 8> le;
    for (size_t i = 0; i < le.size(); ++i)
      le[i] = static_cast<uint8_t>(n >> (8 * i));
    bytes(le.data(), le.size());
  }
  void text(std::string_view s) {
    number(s.size());
    bytes(s.data(), s.size());
  }
  void entry(char kind, mode_t mode, std::string_view path) {
    bytes(&kind, 1);
    number(mode & 07777);
    text(path);
  }
  crypto_generichash_state m_state;
};

} // namespace chillbox::os
