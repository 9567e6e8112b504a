#include "artifact/tar_reader.hpp"

#include "base/text.hpp"

#include <algorithm>
#include <cstring>
#include <numeric>

namespace chillbox::artifact {
namespace {

constexpr uint64_t k_max_padding = 1 << 20; // tar -b 2048; the usual record is 10 KiB
constexpr uint64_t k_max_pax = 64 * 1024;
constexpr uint64_t k_max_long_name = k_max_path + 2; // a directory's slash, a NUL

// Offsets and sizes of POSIX ustar's fields.
constexpr size_t k_name = 0, k_mode = 100, k_uid = 108, k_gid = 116, k_size = 124, k_mtime = 136,
                 k_checksum = 148, k_type = 156, k_link = 157, k_magic = 257, k_prefix = 345,
                 k_after_prefix = 500;
constexpr std::string_view k_posix_magic("ustar\0"
                                         "00",
    8),
    k_gnu_magic("ustar  \0", 8);

bool all_zero(ByteView bytes) {
  return std::ranges::all_of(bytes, [](uint8_t b) { return b == 0; });
}

std::string_view refused_type(char type) {
  switch (type) {
  case '1': return "a hard link";
  case '3': return "a character device";
  case '4': return "a block device";
  case '6': return "a fifo";
  case '7': return "a contiguous file";
  case 'S': return "a sparse file";
  case 'M': return "a part of a multi-volume archive";
  case 'D': return "a GNU dump directory";
  case 'V': return "a volume name";
  case 'N': return "an old GNU name table";
  case 'A':
  case 'X': return "a Solaris extended header";
  default: return {};
  }
}

} // namespace

std::unexpected<Error> TarReader::at(Code code, std::string_view what) const {
  return fail(code, cat("tar, byte ", m_offset, ": ", what));
}

std::string_view TarReader::field(size_t from, size_t size) const {
  return text_of(ByteView(m_block).subspan(from, size));
}

bool TarReader::posix() const {
  return field(k_magic, 8) == k_posix_magic;
}

Result<uint64_t> TarReader::octal(size_t from, size_t size, std::string_view what) const {
  const auto raw = field(from, size);
  const auto digits = raw.substr(0, raw.find_first_not_of("01234567"));
  // Of 12 digits none overflows 64 bits. Behind them only spaces and NULs, at least one where there
  // is room.
  const bool ended = raw.substr(digits.size()).find_first_not_of(std::string_view(" \0", 2)) ==
      std::string_view::npos;
  if (digits.empty() || !ended)
    return at(Code::corrupt, cat(what, " field '", printable(raw, 20), "' is not an octal number"));
  return std::accumulate(digits.begin(), digits.end(), uint64_t{0},
      [](uint64_t n, char c) { return n * 8 + static_cast<uint64_t>(c - '0'); });
}

Result<void> TarReader::ignored_number(size_t from, size_t size, std::string_view what) const {
  const auto first = m_block[from];
  if (first != 0x80 && first != 0xFF)
    TRY(octal(from, size, what));
  return {};
}

Result<std::string> TarReader::text(size_t from, size_t size, std::string_view what) const {
  const auto raw = field(from, size);
  const auto end = std::min(raw.find('\0'), raw.size());
  if (raw.find_first_not_of('\0', end) != std::string_view::npos)
    return at(Code::corrupt, cat("bytes behind the end of the ", what));
  return std::string(raw.substr(0, end));
}

Result<void> TarReader::feed(ByteView bytes) {
  while (!bytes.empty()) {
    if (m_in == In::data) {
      const auto n = static_cast<size_t>(std::min<uint64_t>(m_skip, bytes.size()));
      bytes = bytes.subspan(n);
      m_offset += n;
      m_skip -= n;
      if (m_skip == 0)
        m_in = In::header;
      continue;
    }
    const size_t n = std::min(k_block - m_filled, bytes.size());
    std::memcpy(m_block.data() + m_filled, bytes.data(), n);
    bytes = bytes.subspan(n);
    m_filled += n;
    if (m_filled < k_block)
      return {};
    m_filled = 0;
    TRY(take_header());
    m_offset += k_block;
  }
  return {};
}

Result<void> TarReader::take_header() {
  if (m_in == In::meta) {
    const auto n = static_cast<size_t>(std::min<uint64_t>(m_meta_left, k_block));
    m_meta_text.append(field(0, n));
    m_meta_left -= n;
    return m_meta_left == 0 ? end_meta() : Result<void>{};
  }
  const bool zero = all_zero(m_block);
  if (m_in == In::padding) {
    m_padding += k_block;
    if (!zero || m_padding > k_max_padding)
      return at(Code::corrupt,
          zero ? "endless padding behind the end" : "data behind the end of the archive");
    return {};
  }
  if (zero && m_pending)
    return at(Code::corrupt, "an extended header without its entry");
  if (zero) {
    m_in = m_in == In::first_zero ? In::padding : In::first_zero;
    return {};
  }
  if (m_in == In::first_zero)
    return at(Code::corrupt, "a lone zero block, and more behind it");

  const auto type = static_cast<char>(m_block[k_type]);
  TRY(check_fields(type));
  const auto size = TRY(octal(k_size, 12, "size"));
  if (type == 'x' || type == 'g' || type == 'L' || type == 'K')
    return take_meta_header(type, size);
  return take_member(type, size);
}

Result<void> TarReader::check_fields(char type) const {
  if (!posix() && field(k_magic, 8) != k_gnu_magic)
    return at(Code::corrupt,
        m_entries == 0 ? "not a tar archive (ustar, pax or GNU)"
                       : "not a header where one must be");
  uint32_t sum = 0;
  for (const uint8_t byte : m_block)
    sum += byte;
  for (size_t i = k_checksum; i < k_type; ++i) // counted as spaces
    sum += uint8_t{' '} - m_block[i];
  if (TRY(octal(k_checksum, 8, "checksum")) != sum)
    return at(Code::corrupt, "wrong header checksum");
  if (const auto what = refused_type(type); !what.empty()) {
    const auto name = TRY(text(k_name, 100, "name"));
    return at(Code::denied,
        cat("'", printable(name), "' is ", what, ": only files, folders and symlinks",
            type == '1' ? " (tar --hard-dereference makes files of it)" : ""));
  }
  if (std::string_view("025xgLK").find(type) == std::string_view::npos && type != '\0')
    return at(Code::denied, cat("entry of unknown type '", printable({&type, 1}), "'"));
  TRY(octal(k_mode, 8, "mode"));
  TRY(ignored_number(k_uid, 8, "uid"));
  TRY(ignored_number(k_gid, 8, "gid"));
  TRY(ignored_number(k_mtime, 12, "mtime"));
  // GNU keeps sparse maps and more where POSIX has the prefix; nothing of that passes.
  const size_t unused = posix() ? k_after_prefix : k_prefix;
  if (!all_zero(ByteView(m_block).subspan(unused)))
    return at(Code::denied, "a header with fields of sparse or incremental archives");
  return {};
}

Result<void> TarReader::take_meta_header(char type, uint64_t size) {
  const bool gnu = type == 'L' || type == 'K';
  const bool again = (type == 'L' && !m_long_name.empty()) || (type == 'K' && !m_long_link.empty());
  if (m_pending && (!gnu || again || m_has_pax))
    return at(Code::denied, "a chain of extended headers");
  const uint64_t limit = gnu ? k_max_long_name : k_max_pax;
  if (size == 0)
    return at(Code::corrupt, "an empty extended header");
  if (size > limit)
    return at(Code::denied,
        cat(gnu ? "a name" : "an extended header", " of ", size, " bytes, the limit is ",
            gnu ? k_max_path : limit));
  if (type == 'g' && ++m_entries > m_max_entries)
    return at(Code::too_large, cat("more than ", m_max_entries, " entries"));
  m_meta = type;
  m_meta_left = size;
  m_meta_text.clear();
  m_in = In::meta;
  return {};
}

Result<void> TarReader::end_meta() {
  m_in = In::header;
  if (m_meta == 'g') {
    const auto checked = parse_pax(m_meta_text, true);
    return checked ? Result<void>{} : at(checked.error().code, checked.error().message);
  }
  m_pending = true;
  if (m_meta == 'x') {
    auto records = parse_pax(m_meta_text, false);
    if (!records)
      return at(records.error().code, records.error().message);
    m_pax = std::move(*records);
    m_has_pax = true;
    return {};
  }
  // GNU writes the NUL that ends the name; others leave it out.
  if (m_meta_text.back() == '\0')
    m_meta_text.pop_back();
  if (m_meta_text.empty() || m_meta_text.find('\0') != std::string::npos)
    return at(Code::corrupt, "a long name that is empty or contains NUL");
  (m_meta == 'L' ? m_long_name : m_long_link) = m_meta_text;
  return {};
}

Result<std::string> TarReader::name_of(char type) const {
  std::string name = TRY(text(k_name, 100, "name"));
  if (posix())
    if (const auto prefix = TRY(text(k_prefix, 155, "prefix")); !prefix.empty())
      name = cat(prefix, "/", name);
  if (!m_long_name.empty())
    name = m_long_name;
  if (!m_pax.path.empty())
    name = m_pax.path;
  if (type == '5' && name.ends_with('/'))
    name.pop_back();
  else if (name.ends_with('/'))
    return at(Code::denied, cat("'", printable(name), "' is named like a folder and is none"));
  return name;
}

Result<void> TarReader::take_member(char type, uint64_t size) {
  Member member;
  member.kind = type == '5' ? EntryKind::directory
      : type == '2'         ? EntryKind::link
                            : EntryKind::file;
  member.path = TRY(name_of(type));
  member.link = TRY(text(k_link, 100, "link name"));
  member.size = size;
  member.mode = static_cast<uint32_t>(TRY(octal(k_mode, 8, "mode")));
  if (!m_long_link.empty())
    member.link = m_long_link;
  if (!m_pax.link.empty())
    member.link = m_pax.link;
  const auto named = [&](Code code, std::string_view what) {
    return at(code, cat("'", printable(member.path), "' ", what));
  };
  if (member.kind != EntryKind::link && !member.link.empty())
    return named(Code::denied, "has a link target and is no link");
  if (m_pax.has_size && m_pax.size != size)
    return named(Code::corrupt,
        cat("has size ", size, " in its header and ", m_pax.size, " in its pax record"));
  if (member.kind != EntryKind::file && size != 0)
    return named(Code::corrupt, "is no file and has a size");
  if (++m_entries > m_max_entries)
    return named(Code::too_large, cat("is beyond the limit of ", m_max_entries, " entries"));
  if (size > m_bytes_left)
    return named(Code::too_large,
        cat("takes the archive over the limit of ", m_max_bytes, " bytes unpacked"));
  m_bytes_left -= size;
  m_skip = (size + k_block - 1) / k_block * k_block;
  m_in = m_skip > 0 ? In::data : In::header;
  m_members.push_back(std::move(member));
  m_pending = false;
  m_has_pax = false;
  m_pax = {};
  m_long_name.clear();
  m_long_link.clear();
  return {};
}

Result<void> TarReader::finish() const {
  if (m_in != In::padding || m_filled != 0)
    return at(Code::corrupt,
        m_offset == 0 && m_filled == 0 ? "empty: not a tar archive"
                                       : "cut off: the end of the archive is missing");
  return {};
}

} // namespace chillbox::artifact
