// The textual header: parsed by lines, written by lines. No key is used here but for the MAC.
#include "crypto/age_wrap.hpp"
#include "crypto/hash.hpp"
#include "crypto/hkdf.hpp"

#include "base/text.hpp"

#include <algorithm>

namespace chillbox::crypto {
namespace {

constexpr std::string_view k_version_line = "age-encryption.org/v1";
constexpr std::string_view k_version_start = "age-encryption.org/";
constexpr std::string_view k_mac_mark = "---";
constexpr size_t k_columns = 64;

std::unexpected<Error> malformed(size_t line, std::string_view what) {
  return fail(Code::invalid, cat("age header line ", line, ": ", what));
}

// The lines of a header, one after the other, and where the last one ended.
class Lines {
public:
  explicit Lines(std::string_view text) : m_text(text) {}

  Result<std::string_view> next() {
    const std::string_view rest = m_text.substr(m_position, k_max_age_header - m_position);
    const size_t end = rest.find('\n');
    if (end == std::string_view::npos) {
      if (m_text.size() >= k_max_age_header)
        return fail(
            Code::too_large, cat("age header does not end within ", k_max_age_header, " bytes"));
      return malformed(m_number + 1, "the file is cut short here");
    }
    m_position += end + 1;
    ++m_number;
    return rest.substr(0, end);
  }
  size_t position() const { return m_position; }
  size_t number() const { return m_number; }

private:
  std::string_view m_text;
  size_t m_position = 0;
  size_t m_number = 0;
};

Result<void> check_version(Lines& lines, std::string_view text) {
  // Told apart here because they are what people really hand in: a plain file, nothing.
  if (text.empty())
    return malformed(1, "the file is empty");
  if (!text.starts_with(k_version_start.substr(0, text.size())))
    return malformed(1, "not an age file");
  const std::string_view version = TRY(lines.next());
  if (version != k_version_line)
    return malformed(1,
        cat("version '", printable(version.substr(k_version_start.size()), 40), "', wanted 'v1'"));
  return {};
}

Result<AgeStanza> parse_stanza(std::string_view first, Lines& lines) {
  AgeStanza stanza;
  for (const std::string_view arg : split(first.substr(3), ' ')) {
    if (arg.empty() ||
        !std::all_of(arg.begin(), arg.end(), [](char c) { return c > ' ' && c <= '~'; }))
      return malformed(
          lines.number(), "arguments are visible characters with one space between them");
    stanza.args.emplace_back(arg);
  }
  // A body ends with its first line shorter than 64 columns, which may be empty.
  for (size_t columns = k_columns; columns == k_columns;) {
    const std::string_view line = TRY(lines.next());
    columns = line.size();
    if (columns > k_columns)
      return malformed(lines.number(), "body line longer than 64 columns");
    auto bytes = unbase64_unpadded(line);
    if (!bytes)
      return malformed(lines.number(), "body is not canonical unpadded base64");
    stanza.body.insert(stanza.body.end(), bytes->begin(), bytes->end());
  }
  return stanza;
}

} // namespace

Result<AgeHeader> parse_age_header(ByteView file_start) {
  const std::string_view text = text_of(file_start);
  Lines lines(text);
  TRY(check_version(lines, text));
  AgeHeader header;
  for (;;) {
    const size_t start = lines.position();
    const std::string_view line = TRY(lines.next());
    if (line.starts_with("-> ")) {
      header.stanzas.push_back(TRY(parse_stanza(line, lines)));
      continue;
    }
    if (!line.starts_with(k_mac_mark))
      return malformed(lines.number(), "neither a stanza (->) nor the MAC (---)");
    if (header.stanzas.empty())
      return malformed(lines.number(), "no recipient stanza before the MAC");
    if (line.size() <= k_mac_mark.size() || line[k_mac_mark.size()] != ' ')
      return malformed(lines.number(), "no space after ---");
    auto mac = unbase64_unpadded(line.substr(k_mac_mark.size() + 1));
    if (!mac || mac->size() != header.mac.size())
      return malformed(lines.number(), "MAC is not 32 bytes of canonical unpadded base64");
    std::copy(mac->begin(), mac->end(), header.mac.begin());
    header.text = text.substr(0, start + k_mac_mark.size());
    header.size = lines.position();
    return header;
  }
}

namespace {
std::array<uint8_t, 32> header_mac(std::string_view text, const SecretBytes& file_key) {
  return hmac_sha256(hkdf_sha256(file_key.view(), {}, "header").view(), {text});
}
} // namespace

bool header_mac_ok(const AgeHeader& header, const SecretBytes& file_key) {
  return file_key.size() == k_file_key && same(header_mac(header.text, file_key), header.mac);
}

Result<SecretBytes> with_mac_checked(const AgeHeader& header, SecretBytes file_key) {
  if (!header_mac_ok(header, file_key))
    return fail(Code::corrupt, "age header: wrong MAC: changed after it was encrypted, or damaged");
  return file_key;
}

Result<void> check_scrypt_alone(const AgeHeader& header) {
  auto is_scrypt = [](const AgeStanza& stanza) { return stanza.args[0] == "scrypt"; };
  if (header.stanzas.size() > 1 &&
      std::any_of(header.stanzas.begin(), header.stanzas.end(), is_scrypt))
    return fail(Code::invalid, "age header: a passphrase (scrypt) together with other recipients");
  return {};
}

std::string write_age_header(const std::vector<AgeStanza>& stanzas, const SecretBytes& file_key) {
  std::string out = cat(k_version_line, "\n");
  for (const AgeStanza& stanza : stanzas) {
    out += cat("-> ", join(stanza.args, " "), "\n");
    const std::string body = base64_unpadded(stanza.body);
    for (size_t at = 0; at <= body.size();
        at += k_columns) // "<=": a body of whole lines ends with an empty one
      out += cat(std::string_view(body).substr(at, k_columns), "\n");
  }
  out += k_mac_mark;
  out += cat(" ", base64_unpadded(header_mac(out, file_key)), "\n");
  return out;
}

} // namespace chillbox::crypto
