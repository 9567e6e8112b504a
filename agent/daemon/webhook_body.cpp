#include "daemon/webhook_body.hpp"

#include "base/json.hpp"

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>
#include <span>
#include <vector>

namespace chillbox::daemon {
namespace {

using Names = std::span<const std::string_view>;
constexpr std::array<std::string_view, 4> k_members{"type", "zen", "hook_id", "data"};
constexpr std::array<std::string_view, 5> k_of_data{"site", "version", "sha256", "size", "watch"};

constexpr uint64_t k_ones = 0x0101010101010101, k_tops = 0x8080808080808080;

uint64_t has_zero(uint64_t word) {
  return (word - k_ones) & ~word & k_tops;
}

// Of eight bytes none ends a string, escapes, is a control character or begins more than ASCII.
bool is_plain(uint64_t word) {
  const uint64_t controls = (word - k_ones * 0x20) & ~word & k_tops;
  return ((word & k_tops) | controls | has_zero(word ^ k_ones * '"') |
             has_zero(word ^ k_ones * '\\')) == 0;
}

// Stricter than the parser: what it takes is JSON, what it does not take may be.
class Skimmer {
public:
  explicit Skimmer(std::string_view text) : m_text(text) {}

  std::optional<std::string> essence() {
    std::string out;
    space();
    if (next() != '{' || !object(1, k_members, &out))
      return std::nullopt;
    space();
    return m_at == m_text.size() ? std::optional(std::move(out)) : std::nullopt;
  }

private:
  char next() const { return m_at < m_text.size() ? m_text[m_at] : '\0'; }
  bool take(char c) {
    if (next() != c)
      return false;
    ++m_at;
    return true;
  }
  void space() {
    while (next() == ' ' || next() == '\n' || next() == '\r' || next() == '\t')
      ++m_at;
  }

  // `wanted` of its members go to `out`.
  bool object(size_t depth, Names wanted, std::string* out) {
    if (depth > k_max_json_depth || !take('{'))
      return false;
    std::vector<std::string_view> keys;
    if (out != nullptr)
      *out += '{';
    space();
    for (bool more = next() != '}'; more; more = take(',')) {
      space();
      const size_t key_at = m_at;
      if (!string())
        return false;
      keys.push_back(m_text.substr(key_at, m_at - key_at));
      if (keys.back().find('\\') != std::string_view::npos)
        return false; // may be another spelling of one that came
      space();
      if (!take(':') || !member(depth, keys.back(), wanted, out))
        return false;
      space();
    }
    if (out != nullptr)
      *out += '}';
    return take('}') && are_different(keys);
  }

  bool member(size_t depth, std::string_view key, Names wanted, std::string* out) {
    space();
    const std::string_view name = key.substr(1, key.size() - 2);
    if (out == nullptr || std::ranges::find(wanted, name) == wanted.end())
      return value(depth + 1);
    if (out->back() != '{')
      *out += ',';
    *out += key;
    *out += ':';
    if (wanted.data() == k_members.data() && name == "data" && next() == '{')
      return object(depth + 1, k_of_data, out);
    const size_t from = m_at;
    if (!value(depth + 1))
      return false;
    *out += m_text.substr(from, m_at - from);
    return true;
  }

  static bool are_different(std::vector<std::string_view>& keys) {
    std::ranges::sort(keys);
    return std::ranges::adjacent_find(keys) == keys.end();
  }

  bool array(size_t depth) {
    if (depth > k_max_json_depth || !take('['))
      return false;
    space();
    for (bool more = next() != ']'; more; more = take(',')) {
      space();
      if (!value(depth + 1))
        return false;
      space();
    }
    return take(']');
  }

  bool value(size_t depth) {
    switch (next()) {
    case '{': return object(depth, {}, nullptr);
    case '[': return array(depth);
    case '"': return string();
    case 't': return word("true");
    case 'f': return word("false");
    case 'n': return word("null");
    default: return number();
    }
  }

  bool word(std::string_view text) {
    if (m_text.substr(m_at, text.size()) != text)
      return false;
    m_at += text.size();
    return true;
  }

  bool digits() {
    const size_t from = m_at;
    while (next() >= '0' && next() <= '9')
      ++m_at;
    return m_at > from;
  }

  // Without an exponent, and not longer than what fits everywhere.
  bool number() {
    constexpr size_t k_longest = 15;
    const size_t from = m_at;
    take('-');
    if (!take('0') && !digits())
      return false;
    if (take('.') && !digits())
      return false;
    return m_at - from <= k_longest && next() != 'e' && next() != 'E';
  }

  bool string() {
    if (!take('"'))
      return false;
    for (;;) {
      uint64_t eight = 0;
      while (m_text.size() - m_at >= sizeof eight) {
        std::memcpy(&eight, m_text.data() + m_at, sizeof eight);
        if (!is_plain(eight))
          break;
        m_at += sizeof eight;
      }
      const auto c = static_cast<unsigned char>(next());
      if (c == '"') {
        ++m_at;
        return true;
      }
      if (c < 0x20 || !(c == '\\' ? escape() : c < 0x80 ? ++m_at != 0 : beyond_ascii()))
        return false;
    }
  }

  bool escape() {
    constexpr std::string_view k_simple = "\"\\/bfnrt"; // \u may be half of a pair
    if (m_at + 1 >= m_text.size() || k_simple.find(m_text[m_at + 1]) == std::string_view::npos)
      return false;
    m_at += 2;
    return true;
  }

  // Shortest form, no surrogates, up to U+10FFFF (RFC 3629).
  bool beyond_ascii() {
    const auto byte = [&](size_t i) {
      return m_at + i < m_text.size() ? static_cast<unsigned char>(m_text[m_at + i]) : 0U;
    };
    const unsigned first = byte(0), second = byte(1);
    const size_t length = first >= 0xF0 ? 4 : first >= 0xE0 ? 3 : 2;
    const unsigned least = first == 0xE0 ? 0xA0 : first == 0xF0 ? 0x90 : 0x80;
    const unsigned most = first == 0xED ? 0x9F : first == 0xF4 ? 0x8F : 0xBF;
    if (first < 0xC2 || first > 0xF4 || second < least || second > most)
      return false;
    for (size_t i = 2; i < length; ++i)
      if ((byte(i) & 0xC0) != 0x80)
        return false;
    m_at += length;
    return true;
  }

  std::string_view m_text;
  size_t m_at = 0;
};

} // namespace

std::optional<std::string> essential_members(std::string_view body) {
  return Skimmer(body).essence();
}

} // namespace chillbox::daemon
