// Writes a tar: ustar, with a pax header before a member whose name or link is not ASCII or does
// not fit, or whose size does not. Nothing of the machine gets in (owner 0:0 without names, one
// time for all), so that the same members make the same bytes. Those bytes are fixed: they are the
// ones that libarchive's "restricted pax" made for earlier versions, and a test holds digests.
#pragma once

#include "artifact/tar_format.hpp"
#include "base/error.hpp"
#include "base/secret.hpp"

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

namespace chillbox::artifact {

class TarWriter {
public:
  using Sink = std::function<Result<void>(ByteView)>;
  // mtime: of every member, seconds since 1970.
  TarWriter(Sink sink, uint64_t mtime) : m_sink(std::move(sink)), m_mtime(mtime) {}

  // A member with a checked path and link (policy.hpp). Exactly member.size bytes of contents must
  // follow, in pieces of any size. too_large: more than the 64 GiB that a header can state.
  Result<void> add(const TarMember& member);
  Result<void> write(ByteView contents);
  Result<void> finish(); // the end of the archive

private:
  Result<void> write_header(
      char type, std::string_view name, std::string_view link, uint64_t size, uint32_t mode);
  Result<void> pad(uint64_t size); // to whole blocks

  Sink m_sink;
  uint64_t m_mtime;
  uint64_t m_contents = 0; // bytes written of the current member
};

} // namespace chillbox::artifact
