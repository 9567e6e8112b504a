#include "artifact/tar_writer.hpp"

#include "base/text.hpp"

#include <algorithm>

namespace chillbox::artifact {
namespace {

constexpr uint64_t k_size_end = 1ULL << 36;      // what twelve octal digits can state
constexpr uint64_t k_pax_size_from = 1ULL << 33; // what eleven can
constexpr std::string_view k_pax_folder = "PaxHeader";

bool is_ascii(std::string_view text) {
  return std::ranges::all_of(text, [](char c) { return static_cast<unsigned char>(c) < 0x80; });
}

// Where a name that is too long for its field splits into prefix and name: the slash between them,
// npos when none will do.
size_t split_of(std::string_view name) {
  const auto slash = name.find('/', name.size() - k_tar_name.size - 1);
  return slash > k_tar_prefix.size || slash + 1 == name.size() ? std::string_view::npos : slash;
}

bool fits(std::string_view name) {
  return name.size() <= k_tar_name.size || split_of(name) != std::string_view::npos;
}

// The name in a header for programs that do not know the pax record before it: as many leading
// folders as fit, `folder` unless it is empty, and the beginning of the last component.
std::string fallback_name(std::string_view path, std::string_view folder) {
  if (path.size() < k_tar_name.size && folder.empty())
    return std::string(path);
  const bool directory = path.ends_with('/');
  if (directory)
    path.remove_suffix(1);
  size_t room = k_tar_name.size - 2 - (directory ? 1 : 0);
  if (!folder.empty())
    room -= folder.size() + 2;             // and the slashes around it
  const size_t base = path.rfind('/') + 1; // 0 without a slash
  const auto last = path.substr(base, room);
  // Whole folders up to `limit`; `from` begins a component.
  const auto folders_until = [&](size_t from, size_t limit) {
    return limit >= base ? base : std::max(from, path.rfind('/', limit) + 1);
  };
  const size_t prefix = folders_until(0, k_tar_prefix.size - 1);
  const size_t end = folders_until(prefix, prefix + room - last.size());
  return cat(path.substr(0, end), folder, folder.empty() ? "" : "/", last, directory ? "/" : "");
}

void put(TarBlock& block, TarField field, std::string_view text) {
  std::ranges::copy(text, block.begin() + static_cast<ptrdiff_t>(field.at));
}

// Octal digits, at least `width`.
std::string octal(uint64_t value, size_t width) {
  std::string digits;
  for (; value > 0 || digits.size() < width; value /= 8)
    digits.insert(digits.begin(), static_cast<char>('0' + value % 8));
  return digits;
}

// Six digits, a space and a NUL.
void put_small(TarBlock& block, TarField field, uint64_t value) {
  put(block, field, cat(octal(value, field.size - 2), " "));
}

// Eleven digits and a space, or twelve digits.
void put_large(TarBlock& block, TarField field, uint64_t value) {
  const auto digits = octal(value, field.size - 1);
  put(block, field, digits.size() < field.size ? cat(digits, " ") : digits);
}

} // namespace

Result<void> TarWriter::write_header(
    char type, std::string_view name, std::string_view link, uint64_t size, uint32_t mode) {
  TarBlock block{};
  if (name.size() > k_tar_name.size) {
    const auto slash = split_of(name);
    put(block, k_tar_prefix, name.substr(0, slash));
    name.remove_prefix(slash + 1);
  }
  put(block, k_tar_name, name);
  put_small(block, k_tar_mode, mode);
  put_small(block, k_tar_uid, 0);
  put_small(block, k_tar_gid, 0);
  put_large(block, k_tar_size, size);
  put_large(block, k_tar_mtime, m_mtime);
  put(block, k_tar_type, {&type, 1});
  put(block, k_tar_link, link);
  put(block, k_tar_magic, k_ustar_magic);
  put_small(block, k_tar_dev_major, 0);
  put_small(block, k_tar_dev_minor, 0);
  put(block, k_tar_checksum, cat(octal(tar_checksum(block), 6), '\0', ' '));
  return m_sink(block);
}

Result<void> TarWriter::pad(uint64_t size) {
  static constexpr TarBlock k_zeros{};
  const auto rest = static_cast<size_t>(size % k_tar_block);
  return rest == 0 ? Result<void>{} : m_sink(ByteView(k_zeros).subspan(rest));
}

Result<void> TarWriter::add(const TarMember& member) {
  TRY(pad(std::exchange(m_contents, 0)));
  if (member.size >= k_size_end || m_mtime >= k_size_end)
    return fail(Code::too_large,
        cat("'", printable(member.path), "': a size or a time that a tar header cannot hold"));
  const bool directory = member.kind == EntryKind::directory;
  std::string name = cat(member.path, directory ? "/" : ""), link = member.link, records;
  if (!is_ascii(name) || !fits(name)) {
    records += pax_record("path", name);
    name = fallback_name(name, "");
  }
  if (!is_ascii(link) || link.size() > k_tar_link.size) {
    records += pax_record("linkpath", link);
    if (link.size() > k_tar_link.size)
      link = "././@LongSymLink";
  }
  if (member.size >= k_pax_size_from)
    records += pax_record("size", std::to_string(member.size));
  if (!records.empty()) {
    const std::string_view plain(name.data(), name.size() - (directory ? 1 : 0));
    TRY(write_header('x', fallback_name(plain, k_pax_folder), "", records.size(), member.mode));
    TRY(m_sink(bytes_of(records)));
    TRY(pad(records.size()));
  }
  const char type = directory ? '5' : member.kind == EntryKind::link ? '2' : '0';
  return write_header(type, name, link, member.size, member.mode);
}

Result<void> TarWriter::write(ByteView contents) {
  m_contents += contents.size();
  return m_sink(contents);
}

Result<void> TarWriter::finish() {
  TRY(pad(std::exchange(m_contents, 0)));
  static constexpr std::array<uint8_t, 2 * k_tar_block> k_end_blocks{};
  return m_sink(k_end_blocks);
}

} // namespace chillbox::artifact
