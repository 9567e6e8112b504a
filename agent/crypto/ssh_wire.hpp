// Strings of ssh (RFC 4251, section 5): four bytes of length, big endian, and so many bytes.
#pragma once

#include "base/encoding.hpp"

#include <optional>
#include <string_view>

namespace chillbox::crypto {

// Takes one from the front; nullopt: there is none.
inline std::optional<ByteView> take_ssh_string(ByteView& rest) {
  if (rest.size() < 4)
    return std::nullopt;
  const size_t size = static_cast<size_t>(rest[0]) << 24 | static_cast<size_t>(rest[1]) << 16 |
      static_cast<size_t>(rest[2]) << 8 | rest[3];
  if (size > rest.size() - 4)
    return std::nullopt;
  const ByteView value = rest.subspan(4, size);
  rest = rest.subspan(4 + size);
  return value;
}

inline void put_ssh_string(Bytes& out, ByteView value) {
  for (const int shift : {24, 16, 8, 0})
    out.push_back(static_cast<uint8_t>(value.size() >> shift));
  out.insert(out.end(), value.begin(), value.end());
}

} // namespace chillbox::crypto
