#include "artifact/tar_reader.hpp"

#include "base/text.hpp"

#include <algorithm>
#include <numeric>

namespace chillbox::artifact {
namespace {

constexpr uint64_t k_max_padding = 1 << 20; // tar -b 2048; the usual record is 10 KiB
constexpr uint64_t k_max_pax = 64 * 1024;
constexpr uint64_t k_max_gnu_name = k_max_path + 2; // a directory's slash, a NUL
constexpr std::string_view k_gnu_magic("ustar  \0", 8);

bool all_zero(ByteView bytes) {
  return std::ranges::all_of(bytes, [](uint8_t b) { return b == 0; });
}

bool is_extension(char type) {
  return type == 'x' || type == 'g' || type == 'L' || type == 'K';
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
  return fail(code, cat("tar, byte ", m_block_at, ": ", what));
}

std::string_view TarReader::field(TarField place) const {
  return text_of(ByteView(m_block).subspan(place.at, place.size));
}

Result<uint64_t> TarReader::octal(TarField place, std::string_view what) const {
  const auto raw = field(place);
  const auto digits = raw.substr(0, raw.find_first_not_of("01234567"));
  // 12 digits do not overflow 64 bits. Only spaces and NULs may follow.
  const bool ended = raw.substr(digits.size()).find_first_not_of(std::string_view(" \0", 2)) ==
      std::string_view::npos;
  if (digits.empty() || !ended)
    return at(Code::corrupt, cat(what, " field '", printable(raw, 20), "' is not an octal number"));
  return std::accumulate(digits.begin(), digits.end(), uint64_t{0},
      [](uint64_t n, char c) { return n * 8 + static_cast<uint64_t>(c - '0'); });
}

Result<void> TarReader::ignored_number(TarField place, std::string_view what) const {
  const auto first = m_block[place.at];
  if (first != 0x80 && first != 0xFF)
    TRY(octal(place, what));
  return {};
}

Result<std::string> TarReader::text(TarField place, std::string_view what) const {
  const auto raw = field(place);
  const auto end = std::min(raw.find('\0'), raw.size());
  if (raw.find_first_not_of('\0', end) != std::string_view::npos)
    return at(Code::corrupt, cat("bytes after the end of the ", what));
  return std::string(raw.substr(0, end));
}

Result<void> TarReader::refill() {
  if (m_input.empty())
    m_input = TRY(m_source());
  return {};
}

Result<bool> TarReader::read_block() {
  m_block_at = m_position;
  for (size_t filled = 0; filled < k_tar_block;) {
    TRY(refill());
    if (m_input.empty() && filled == 0)
      return false;
    if (m_input.empty())
      return at(Code::corrupt,
          m_over && !all_zero(ByteView(m_block).first(filled)) ? "data after the end of the archive"
              : m_block_at == 0 ? "not a tar archive: it is shorter than a header"
                                : "cut off: the end of the archive is missing");
    const size_t n = std::min(k_tar_block - filled, m_input.size());
    std::copy_n(m_input.begin(), n, m_block.begin() + static_cast<ptrdiff_t>(filled));
    m_input = m_input.subspan(n);
    m_position += n;
    filled += n;
  }
  return true;
}

Result<void> TarReader::need_block() {
  if (!TRY(read_block()))
    return at(Code::corrupt,
        m_block_at == 0 ? "empty: not a tar archive"
                        : "cut off: the end of the archive is missing");
  return {};
}

Result<ByteView> TarReader::contents() {
  if (m_contents == 0)
    return ByteView{};
  TRY(refill());
  m_block_at = m_position;
  if (m_input.empty())
    return at(Code::corrupt, "cut off: the end of the archive is missing");
  const auto piece =
      m_input.first(static_cast<size_t>(std::min<uint64_t>(m_contents, m_input.size())));
  m_input = m_input.subspan(piece.size());
  m_position += piece.size();
  m_contents -= piece.size();
  return piece;
}

Result<void> TarReader::skip_contents() {
  m_contents += std::exchange(m_padding, 0);
  while (m_contents > 0)
    TRY(contents());
  return {};
}

Result<std::optional<TarMember>> TarReader::next() {
  TRY(skip_contents());
  for (;;) {
    TRY(need_block());
    if (all_zero(m_block)) {
      TRY(read_end());
      return std::nullopt;
    }
    const auto type = static_cast<char>(m_block[k_tar_type.at]);
    TRY(check_header(type));
    const auto size = TRY(octal(k_tar_size, "size"));
    if (!is_extension(type))
      return TRY(take_member(type, size));
    TRY(read_extension(type, size));
  }
}

// The first zero block was read.
Result<void> TarReader::read_end() {
  if (!m_extension.empty())
    return at(Code::corrupt, "an extended header without its entry");
  TRY(need_block());
  if (!all_zero(m_block))
    return at(Code::corrupt, "a lone zero block, and more after it");
  m_over = true;
  for (uint64_t padding = k_tar_block; TRY(read_block()); padding += k_tar_block) {
    if (!all_zero(m_block))
      return at(Code::corrupt, "data after the end of the archive");
    if (padding > k_max_padding)
      return at(Code::corrupt, "endless padding after the end");
  }
  return {};
}

Result<void> TarReader::check_header(char type) const {
  if (!posix() && field(k_tar_magic) != k_gnu_magic)
    return at(Code::corrupt,
        m_entries == 0 ? "not a tar archive (ustar, pax or GNU)"
                       : "not a header where one must be");
  if (TRY(octal(k_tar_checksum, "checksum")) != tar_checksum(m_block))
    return at(Code::corrupt, "wrong header checksum");
  if (const auto what = refused_type(type); !what.empty()) {
    const auto name = TRY(text(k_tar_name, "name"));
    return at(Code::denied,
        cat("'", printable(name), "' is ", what, ": only files, folders and symlinks",
            type == '1' ? " (tar --hard-dereference makes files of it)" : ""));
  }
  if (type != '\0' && type != '0' && type != '2' && type != '5' && !is_extension(type))
    return at(Code::denied, cat("entry of unknown type '", printable({&type, 1}), "'"));
  TRY(octal(k_tar_mode, "mode"));
  TRY(ignored_number(k_tar_uid, "uid"));
  TRY(ignored_number(k_tar_gid, "gid"));
  TRY(ignored_number(k_tar_mtime, "mtime"));
  // GNU keeps sparse maps and more where POSIX has the prefix; nothing of that passes.
  const size_t unused = posix() ? k_tar_unused.at : k_tar_prefix.at;
  if (!all_zero(ByteView(m_block).subspan(unused)))
    return at(Code::denied, "a header with fields of sparse or incremental archives");
  return {};
}

Result<void> TarReader::read_extension(char type, uint64_t size) {
  const bool gnu = type == 'L' || type == 'K';
  std::string& gnu_text = type == 'L' ? m_extension.gnu_name : m_extension.gnu_link;
  if (!m_extension.empty() && (!gnu || m_extension.pax || !gnu_text.empty()))
    return at(Code::denied, "a chain of extended headers");
  const uint64_t limit = gnu ? k_max_gnu_name : k_max_pax;
  if (size == 0)
    return at(Code::corrupt, "an empty extended header");
  if (size > limit)
    return at(Code::denied,
        cat(gnu ? "a name" : "an extended header", " of ", size, " bytes, the limit is ",
            gnu ? k_max_path : limit));
  if (type == 'g' && ++m_entries > m_max_entries)
    return at(Code::too_large, cat("more than ", m_max_entries, " entries"));
  std::string text = TRY(read_text(size));
  if (!gnu) {
    auto records = parse_pax(text, type == 'g');
    if (!records)
      return at(records.error().code, records.error().message);
    if (type == 'x')
      m_extension.pax = std::move(*records);
    return {};
  }
  // GNU writes the NUL that ends the name; others leave it out.
  if (text.back() == '\0')
    text.pop_back();
  if (text.empty() || text.find('\0') != std::string::npos)
    return at(Code::corrupt, "a long name that is empty or contains NUL");
  gnu_text = std::move(text);
  return {};
}

Result<std::string> TarReader::read_text(uint64_t size) {
  std::string text;
  while (text.size() < size) {
    TRY(need_block());
    text += text_of(m_block).substr(0, static_cast<size_t>(size) - text.size());
  }
  return text;
}

Result<std::string> TarReader::path_of(char type) const {
  std::string path = TRY(text(k_tar_name, "name"));
  if (posix())
    if (const auto prefix = TRY(text(k_tar_prefix, "prefix")); !prefix.empty())
      path = cat(prefix, "/", path);
  if (!m_extension.gnu_name.empty())
    path = m_extension.gnu_name;
  if (m_extension.pax && !m_extension.pax->path.empty())
    path = m_extension.pax->path;
  if (type == '5' && path.ends_with('/'))
    path.pop_back();
  else if (path.ends_with('/'))
    return at(Code::denied, cat("'", printable(path), "' is named like a folder but is not one"));
  return path;
}

Result<TarMember> TarReader::named_member(char type, uint64_t size) {
  TarMember member;
  member.kind = type == '5' ? EntryKind::directory
      : type == '2'         ? EntryKind::link
                            : EntryKind::file;
  member.path = TRY(path_of(type));
  member.link = TRY(text(k_tar_link, "link name"));
  member.size = size;
  const auto mode = TRY(octal(k_tar_mode, "mode"));
  if (mode > 0177777)
    return at(
        Code::corrupt, cat("mode field '", printable(field(k_tar_mode)), "' is no file's mode"));
  member.mode = static_cast<uint32_t>(mode & 07777);
  if (!m_extension.gnu_link.empty())
    member.link = m_extension.gnu_link;
  if (m_extension.pax && !m_extension.pax->link.empty())
    member.link = m_extension.pax->link;
  return member;
}

Result<TarMember> TarReader::take_member(char type, uint64_t size) {
  auto member = TRY(named_member(type, size));
  const auto refused = [&](Code code, std::string_view what) {
    return at(code, cat("'", printable(member.path), "' ", what));
  };
  if (member.kind != EntryKind::link && !member.link.empty())
    return refused(Code::denied, "has a link target but is not a link");
  if (m_extension.pax && m_extension.pax->size.value_or(size) != size)
    return refused(Code::corrupt,
        cat("has size ", size, " in its header and ", *m_extension.pax->size,
            " in its pax record"));
  if (member.kind != EntryKind::file && size != 0)
    return refused(Code::corrupt, "is not a file but has a size");
  if (++m_entries > m_max_entries)
    return refused(Code::too_large, cat("is beyond the limit of ", m_max_entries, " entries"));
  if (size > m_bytes_left)
    return refused(Code::too_large,
        cat("takes the archive over the limit of ", m_max_bytes, " bytes unpacked"));
  m_bytes_left -= size;
  m_contents = size;
  m_padding = (k_tar_block - size % k_tar_block) % k_tar_block;
  m_extension = {};
  return member;
}

} // namespace chillbox::artifact
