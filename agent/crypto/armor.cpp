// ASCII armor (C2SP age.md, "ASCII armor": RFC 7468 section 3, strict). Refused: anything but white
// space around the block, lines that are not 64 columns (but the last), white space within it,
// headers, base64 that is not canonical.
#include "crypto/age.hpp"

#include "base/text.hpp"

#include <algorithm>
#include <optional>

namespace chillbox::crypto {
namespace {

constexpr std::string_view k_begin = "-----BEGIN AGE ENCRYPTED FILE-----";
constexpr std::string_view k_end = "-----END AGE ENCRYPTED FILE-----";
constexpr size_t k_armor_columns = 64;
constexpr size_t k_line_bytes = k_armor_columns / 4 * 3;
constexpr std::string_view k_space = " \t\r\n";

class Unarmor {
public:
  explicit Unarmor(ReadBytes source) : m_source(std::move(source)) {}

  Result<size_t> read(std::span<uint8_t> into) {
    if (m_state == State::unknown)
      TRY(look());
    if (m_state == State::binary && m_at == m_end)
      return m_source(into);
    if (m_state == State::binary)
      return give(ByteView(m_input).subspan(m_at, m_end - m_at), m_at, into);
    if (m_given == m_output.size())
      TRY(decode());
    return give(ByteView(m_output).subspan(m_given), m_given, into);
  }

private:
  enum class State { unknown, binary, armored, ended };

  static size_t give(ByteView from, size_t& position, std::span<uint8_t> into) {
    const size_t n = std::min(from.size(), into.size());
    std::copy_n(from.begin(), n, into.begin());
    position += n;
    return n;
  }
  std::unexpected<Error> malformed(size_t line, std::string_view what) const {
    return fail(Code::invalid, cat("age armor line ", line, ": ", what));
  }
  std::string_view held() const { return text_of(ByteView(m_input).subspan(m_at, m_end - m_at)); }

  // As much of the input as there is room for.
  Result<void> refill() {
    std::copy(m_input.begin() + static_cast<ptrdiff_t>(m_at),
        m_input.begin() + static_cast<ptrdiff_t>(m_end), m_input.begin());
    m_end -= m_at;
    m_at = 0;
    if (m_source_ended || m_end == m_input.size())
      return {};
    m_end += TRY(read_full(m_source, std::span(m_input).subspan(m_end)));
    m_source_ended = m_end < m_input.size();
    return {};
  }

  // Without its line break; nothing at the end of the input. A line that does not fit is too long
  // for anybody.
  Result<std::optional<std::string_view>> next_line() {
    if (!held().contains('\n') && !m_source_ended)
      TRY(refill());
    const std::string_view all = held();
    if (all.empty())
      return std::optional<std::string_view>();
    const std::string_view line = all.substr(0, all.find('\n'));
    m_at += std::min(line.size() + 1, all.size());
    ++m_line;
    return std::optional(line.ends_with('\r') ? line.substr(0, line.size() - 1) : line);
  }

  // Armor or not? Known from the beginning, white space apart.
  Result<void> look() {
    TRY(refill());
    const size_t begin = held().find_first_not_of(k_space);
    m_state = State::binary;
    if (begin == std::string_view::npos || !held().substr(begin).starts_with("-----BEGIN"))
      return {};
    m_at += begin;
    m_state = State::armored;
    if (TRY(next_line()) != k_begin)
      return malformed(1, cat("not '", k_begin, "'"));
    return {};
  }

  Result<void> end() {
    m_state = State::ended;
    do {
      if (held().find_first_not_of(k_space) != std::string_view::npos)
        return malformed(m_line + 1, "something after the end line");
      m_at = m_end;
      TRY(refill());
    } while (m_at != m_end);
    return {};
  }

  // Lines until there is enough, at least one unless it was the last.
  Result<void> decode() {
    m_output.clear();
    m_given = 0;
    while (m_state == State::armored && m_output.size() < k_enough) {
      const auto line = TRY(next_line());
      if (!line)
        return malformed(m_line, cat("no '", k_end, "' line: cut short"));
      if (line->starts_with(k_end) &&
          line->find_first_not_of(k_space, k_end.size()) == std::string_view::npos)
        return end();
      if (line->empty() || line->size() > k_armor_columns || m_short_line)
        return malformed(m_line, "lines are 64 columns wide, only the last one may be shorter");
      const auto bytes = unbase64(*line);
      if (!bytes)
        return malformed(m_line, "not canonical base64");
      m_short_line = bytes->size() < k_line_bytes; // also one of 64 columns that ends with padding
      m_output.insert(m_output.end(), bytes->begin(), bytes->end());
    }
    return {};
  }

  static constexpr size_t k_enough = 8 * 1024;
  ReadBytes m_source;
  State m_state = State::unknown;
  Bytes m_input = Bytes(16 * 1024); // m_at to m_end is not yet taken
  size_t m_at = 0, m_end = 0;
  bool m_source_ended = false;
  Bytes m_output;
  size_t m_given = 0; // bytes of m_output
  size_t m_line = 0;
  bool m_short_line = false;
};

} // namespace

ReadBytes unarmored(ReadBytes source) {
  return [reader = std::make_shared<Unarmor>(std::move(source))](
             std::span<uint8_t> into) { return reader->read(into); };
}

Result<Bytes> unarmor(ByteView file) {
  const ReadBytes source = unarmored(bytes_source(file));
  Bytes out(file.size()); // more than enough
  out.resize(TRY(read_full(source, out)));
  return out;
}

Result<void> ArmorWriter::write(ByteView binary) {
  m_held.insert(m_held.end(), binary.begin(), binary.end());
  return put(m_held.size() / k_line_bytes * k_line_bytes, "");
}

Result<void> ArmorWriter::finish() {
  return put(m_held.size(), cat(k_end, "\n"));
}

Result<void> ArmorWriter::put(size_t size, std::string_view more) {
  std::string text = m_begun ? std::string() : cat(k_begin, "\n");
  m_begun = true;
  for (size_t at = 0; at < size; at += k_line_bytes)
    text += base64(ByteView(m_held).subspan(at, std::min(k_line_bytes, size - at))) + '\n';
  m_held.erase(m_held.begin(), m_held.begin() + static_cast<ptrdiff_t>(size));
  text += more;
  return text.empty() ? Result<void>() : m_sink(bytes_of(text));
}

} // namespace chillbox::crypto
