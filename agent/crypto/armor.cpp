// ASCII armor (C2SP age.md, "ASCII armor": RFC 7468 section 3, strict). Refused: anything but white space around the
// block, lines that are not 64 columns (but the last), white space within it, headers, base64 that is not canonical.
#include "crypto/age.hpp"

#include "base/text.hpp"

namespace chillbox::crypto {
namespace {

constexpr std::string_view k_begin = "-----BEGIN AGE ENCRYPTED FILE-----";
constexpr std::string_view k_end = "-----END AGE ENCRYPTED FILE-----";
constexpr size_t k_columns = 64;

std::unexpected<Error> malformed(size_t line, std::string_view what) {
  return fail(Code::invalid, cat("age armor line ", line, ": ", what));
}

} // namespace

Result<Bytes> unarmor(ByteView file) {
  const std::string_view text = trim(text_of(file));
  if (!text.starts_with("-----BEGIN"))
    return Bytes(file.begin(), file.end());
  const std::vector<std::string_view> lines = split(text, '\n');
  Bytes out;
  bool short_line = false;
  for (size_t i = 0; i < lines.size(); ++i) {
    std::string_view line = lines[i];
    if (line.ends_with('\r'))
      line.remove_suffix(1);
    if (i == 0) {
      if (line != k_begin)
        return malformed(1, cat("not '", k_begin, "'"));
      continue;
    }
    if (line == k_end)
      return i + 1 == lines.size() ? Result<Bytes>(std::move(out)) : malformed(i + 2, "something after the end line");
    if (line.empty() || line.size() > k_columns || short_line)
      return malformed(i + 1, "lines are 64 columns wide, only the last one may be shorter");
    short_line = line.size() < k_columns;
    auto bytes = unbase64(line);
    if (!bytes)
      return malformed(i + 1, "not canonical base64");
    if (bytes->size() < k_columns / 4 * 3)
      short_line = true; // 64 columns that end with padding
    out.insert(out.end(), bytes->begin(), bytes->end());
  }
  return malformed(lines.size(), cat("no '", k_end, "' line: cut short"));
}

} // namespace chillbox::crypto
