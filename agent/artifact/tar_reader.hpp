// Reads a tar from a stream, one member after the other, and refuses what tar programs make good,
// guess or skip (faults 54, 57-59). It knows nothing of files: names are checked by policy.hpp,
// contents are written by the caller. It accepts POSIX ustar, pax and GNU tar of this shape only:
//
//   archive = (global? member)* zero-block zero-block zero*
//             nothing else after the end, and no more than k_max_padding zeros
//   member  = (pax-x | gnu-L | gnu-K | gnu-K gnu-L | gnu-L gnu-K)? header data
//   header  = right checksum, octal numbers, no bytes after the end of a name, unused fields zero;
//             its type is 0 or NUL (file), 2 (symlink) or 5 (directory); only a file has a size,
//             only a symlink has a link name
//   pax-x   = "LENGTH KEY=VALUE\n"..., each key once and known (tar_format.cpp), no NUL in a path,
//             the size that the header has
//   global  = pax with nothing but comments (git archive writes one)
//
// Hard links, devices, fifos, sparse files, multi-volume archives, volume names and old GNU name
// tables are refused by name. Numbers that are ignored (owner, time) may be base-256, as GNU tar
// writes them for large ids; the size may not.
#pragma once

#include "artifact/tar_format.hpp"
#include "base/error.hpp"
#include "base/secret.hpp"

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

namespace chillbox::artifact {

class TarReader {
public:
  // The next bytes of the archive, as many as there are, valid until the next call; empty at the
  // end.
  using Source = std::function<Result<ByteView>()>;
  // max_bytes: of the contents of all files; max_entries: of members.
  TarReader(Source source, uint64_t max_bytes, uint64_t max_entries)
      : m_source(std::move(source)), m_bytes_left(max_bytes), m_max_bytes(max_bytes),
        m_max_entries(max_entries) {}

  // The next member; contents of the one before that were not read are passed over. nullopt: the
  // archive has ended as it should, and the stream with it. corrupt, denied or too_large with the
  // place in the archive, or the error of the source; after an error the reader is of no more use.
  Result<std::optional<TarMember>> next();
  // The next piece of the contents of the current member, valid until the next call; empty at
  // their end. Errors as above.
  Result<ByteView> contents();

private:
  // Extended headers that wait for their member.
  struct Extension {
    std::optional<PaxRecords> pax;
    std::string gnu_name, gnu_link;
    bool empty() const { return !pax && gnu_name.empty() && gnu_link.empty(); }
  };

  Result<bool> read_block(); // false: the stream ended before it
  Result<void> need_block();
  Result<void> refill();
  Result<void> skip_contents();
  Result<void> read_end();
  Result<void> check_header(char type) const;
  Result<void> read_extension(char type, uint64_t size);
  Result<std::string> read_text(uint64_t size);
  Result<TarMember> take_member(char type, uint64_t size);
  Result<TarMember> named_member(char type, uint64_t size);
  Result<std::string> path_of(char type) const;

  std::string_view field(TarField place) const;
  Result<uint64_t> octal(TarField place, std::string_view what) const;
  Result<void> ignored_number(TarField place, std::string_view what) const;
  Result<std::string> text(TarField place, std::string_view what) const;
  bool posix() const { return field(k_tar_magic) == k_ustar_magic; }
  std::unexpected<Error> at(Code code, std::string_view what) const; // with the place

  Source m_source;
  uint64_t m_bytes_left, m_max_bytes, m_max_entries;
  uint64_t m_entries = 0;
  bool m_over = false;     // both zero blocks were read
  ByteView m_input;        // from the source, not yet used
  uint64_t m_position = 0; // in the archive, of m_input
  uint64_t m_block_at = 0; // in the archive, of m_block
  TarBlock m_block{};      // read last
  uint64_t m_contents = 0; // bytes of the current member still to come
  uint64_t m_padding = 0;  // zeros that follow them
  Extension m_extension;
};

} // namespace chillbox::artifact
