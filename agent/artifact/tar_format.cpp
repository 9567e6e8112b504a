#include "artifact/tar_format.hpp"

#include "base/text.hpp"

#include <algorithm>
#include <array>
#include <vector>

namespace chillbox::artifact {
namespace {

// Keys of pax that leave an entry what its header says (POSIX.1-2017, pax, "pax Header Block"), and
// harmless ones that bsdtar adds. path, linkpath and size are read, the others are ignored.
constexpr std::array<std::string_view, 15> k_keys{
    "path",
    "linkpath",
    "size",
    "mtime",
    "atime",
    "ctime",
    "uid",
    "gid",
    "uname",
    "gname",
    "comment",
    "SCHILY.dev",
    "SCHILY.ino",
    "SCHILY.nlink",
    "LIBARCHIVE.creationtime",
};
constexpr size_t k_max_length_digits = 5;

struct Record {
  std::string_view key, value;
};

// Takes "LENGTH KEY=VALUE\n" off the front.
Result<Record> take_record(std::string_view& data) {
  const auto space = data.substr(0, k_max_length_digits + 1).find(' ');
  const auto length =
      space == std::string_view::npos ? std::nullopt : parse_u64(data.substr(0, space));
  if (!length || *length > data.size() || *length < space + 4 || data[*length - 1] != '\n')
    return fail(Code::corrupt, cat("malformed pax record '", printable(data, 40), "'"));
  const auto body = data.substr(space + 1, *length - space - 2);
  const auto equals = body.find('=');
  if (equals == std::string_view::npos || equals == 0)
    return fail(Code::corrupt, cat("malformed pax record '", printable(body, 40), "'"));
  data.remove_prefix(*length);
  return Record{body.substr(0, equals), body.substr(equals + 1)};
}

Result<std::string> name_value(const Record& record) {
  if (record.value.empty() || record.value.find('\0') != std::string_view::npos)
    return fail(Code::corrupt,
        cat("pax ", record.key, record.value.empty() ? " is empty" : " contains NUL"));
  return std::string(record.value);
}

} // namespace

uint32_t tar_checksum(const TarBlock& block) {
  uint32_t sum = k_tar_checksum.size * uint8_t{' '};
  for (size_t i = 0; i < block.size(); ++i)
    if (i < k_tar_checksum.at || i >= k_tar_checksum.at + k_tar_checksum.size)
      sum += block[i];
  return sum;
}

std::string pax_record(std::string_view key, std::string_view value) {
  const size_t rest = key.size() + value.size() + 3; // a space, '=' and the newline
  size_t digits = 1;
  while (std::to_string(rest + digits).size() != digits) // the length counts its own digits
    ++digits;
  return cat(rest + digits, " ", key, "=", value, "\n");
}

Result<PaxRecords> parse_pax(std::string_view data, bool global) {
  PaxRecords records;
  std::vector<std::string_view> seen;
  while (!data.empty()) {
    const auto record = TRY(take_record(data));
    if (std::ranges::find(k_keys, record.key) == k_keys.end() ||
        (global && record.key != "comment"))
      return fail(Code::denied,
          cat("pax key '", printable(record.key, 60), "' is not allowed",
              global ? " for the whole archive" : "",
              ": pack without xattrs, ACLs and sparse files"));
    // POSIX lets the last one win, and readers differ about it.
    if (std::ranges::find(seen, record.key) != seen.end())
      return fail(Code::corrupt, cat("pax key '", record.key, "' twice"));
    seen.push_back(record.key);
    if ((record.key == "uname" || record.key == "gname") && !is_utf8(record.value))
      return fail(Code::corrupt, cat("pax ", record.key, " is not UTF-8"));
    if (record.key == "path")
      records.path = TRY(name_value(record));
    else if (record.key == "linkpath")
      records.link = TRY(name_value(record));
    else if (record.key == "size") {
      const auto size = parse_u64(record.value);
      if (!size)
        return fail(
            Code::corrupt, cat("pax size '", printable(record.value, 40), "' is not a number"));
      records.size = size;
    }
  }
  return records;
}

} // namespace chillbox::artifact
