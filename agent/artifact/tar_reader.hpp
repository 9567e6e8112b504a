// Looks at the plain bytes of a tar before libarchive does and refuses what libarchive, like every
// tar reader, would make good, guess or skip (faults 54, 57-59). It extracts nothing. What passes
// is POSIX ustar, pax or GNU tar of this shape only:
//
//   archive = (global? member)* zero-block zero-block zero*
//             nothing else behind the end, padding up to k_max_padding
//   member  = (pax-x | gnu-L | gnu-K | gnu-K gnu-L | gnu-L gnu-K)? header data
//   header  = checksum right, numbers octal, no bytes behind the end of a name, unused fields zero;
//   its type is
//             0 or NUL (file), 2 (symlink) or 5 (directory); a size only for files, a link name
//             only for links
//   pax-x   = "LENGTH KEY=VALUE\n"..., each key once and one of k_keys, no NUL in a path, size as
//   in the header global  = pax with nothing but comments (git archive writes one)
//
// Hard links, devices, fifos, sparse, multi-volume, volume names and old GNU name tables are
// refused by name. Numbers of what is ignored anyway (owner, time) may be base-256, as GNU tar
// writes them for large ids; the size may not.
#pragma once

#include "artifact/policy.hpp"
#include "base/error.hpp"
#include "base/secret.hpp"

#include <array>
#include <cstdint>
#include <deque>
#include <string>
#include <string_view>

namespace chillbox::artifact {

// A member as the guard read it; libarchive must have read the same.
struct Member {
  EntryKind kind = EntryKind::file;
  std::string path; // without the slash behind a directory's
  std::string link;
  uint64_t size = 0;
  uint32_t mode = 0;
  bool operator==(const Member&) const = default;
};

struct PaxRecords {
  std::string path, link;
  bool has_size = false;
  uint64_t size = 0;
};
// corrupt: malformed; denied: a key that changes what an entry means. `global`: comments only.
Result<PaxRecords> parse_pax(std::string_view data, bool global);

class TarReader {
public:
  // max_bytes: of the contents of all files; max_entries: of members.
  TarReader(uint64_t max_bytes, uint64_t max_entries)
      : m_bytes_left(max_bytes), m_max_bytes(max_bytes), m_max_entries(max_entries) {}
  // The next bytes, in pieces of any size. corrupt, denied, too_large. After an error the object is
  // of no more use.
  Result<void> feed(ByteView bytes);
  // At the end of the input: corrupt unless the archive had its end, and something before it.
  Result<void> finish() const;
  // Members whose headers have passed, in order, taken out by the reader.
  std::deque<Member>& members() { return m_members; }

private:
  enum class In { header, meta, data, first_zero, padding };
  static constexpr size_t k_block = 512;
  using Block = std::array<uint8_t, k_block>;

  Result<void> take_header();
  Result<void> take_meta_header(char type, uint64_t size);
  Result<void> take_member(char type, uint64_t size);
  Result<void> check_fields(char type) const;
  Result<void> end_meta();
  Result<std::string> name_of(char type) const;
  std::string_view field(size_t at, size_t size) const;
  Result<uint64_t> octal(size_t at, size_t size, std::string_view what) const;
  Result<void> ignored_number(size_t at, size_t size, std::string_view what) const;
  Result<std::string> text(size_t at, size_t size, std::string_view what) const;
  bool posix() const;
  std::unexpected<Error> at(Code code, std::string_view what) const; // with the place

  uint64_t m_bytes_left, m_max_bytes, m_max_entries;
  uint64_t m_entries = 0;
  uint64_t m_offset = 0; // of the current block, for messages
  In m_in = In::header;
  Block m_block{};
  size_t m_filled = 0;    // of m_block
  uint64_t m_skip = 0;    // data and its padding still to pass over
  uint64_t m_padding = 0; // zeros behind the end
  char m_meta = 0;        // type of the meta header being read, or of the last one
  uint64_t m_meta_left = 0;
  std::string m_meta_text;
  bool m_has_pax = false;
  PaxRecords m_pax;
  std::string m_long_name, m_long_link;
  bool m_pending = false; // a meta header waits for its member
  std::deque<Member> m_members;
};

} // namespace chillbox::artifact
