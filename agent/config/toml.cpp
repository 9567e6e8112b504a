#include "config/toml.hpp"

#define TOML_EXCEPTIONS 0
#define TOML_ENABLE_FORMATTERS 0
#define TOML_HEADER_ONLY 1 // the library that some distributions build has exceptions
// A table named "[*a]" breaks an assertion of 3.3 in front of the check that tells the error. Not
// by NDEBUG: that turns them into assumptions.
#undef NDEBUG
#define TOML_ASSERT(expression) static_cast<void>(0)
#include <toml++/toml.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <optional>

namespace chillbox::config {
namespace {

class Converter {
public:
  Converter(std::string_view file, Lines& lines) : m_problems(file, &lines), m_lines(lines) {}

  Json convert(const toml::node& node, const std::string& path, size_t depth) {
    const Location at{m_problems, path};
    m_lines[path] = static_cast<int>(node.source().begin.line);
    if (depth > k_max_json_depth) {
      at.problem(cat("nested deeper than ", k_max_json_depth, " levels"));
      return nullptr;
    }
    if (const auto* table = node.as_table()) {
      Json object = Json::object();
      for (const auto& [key, value] : *table)
        object[std::string(key.str())] = convert(value, (at / key.str()).path, depth + 1);
      return object;
    }
    if (const auto* array = node.as_array()) {
      Json list = Json::array();
      for (size_t i = 0; i < array->size(); ++i)
        list.push_back(convert(*array->get(i), at[i].path, depth + 1));
      return list;
    }
    return scalar(node, at);
  }

  const Problems& problems() const { return m_problems; }

private:
  static Json scalar(const toml::node& node, const Location& at) {
    if (const auto* text = node.as_string())
      return text->get();
    if (const auto* number = node.as_integer())
      return number->get();
    if (const auto* truth = node.as_boolean())
      return truth->get();
    if (const auto* real = node.as_floating_point(); real && std::isfinite(real->get()))
      return real->get();
    at.problem("dates, times, inf and nan are not taken here: write a string or a number");
    return nullptr;
  }

  Problems m_problems;
  Lines& m_lines;
};

// Behind the string that begins at `at`.
size_t string_end(std::string_view text, size_t at) {
  const char quote = text[at];
  const std::string three(3, quote);
  const bool many_lines = text.substr(at, 3) == three;
  for (size_t i = at + (many_lines ? 3 : 1); i < text.size(); ++i) {
    if (quote == '"' && text[i] == '\\')
      ++i;
    else if (!many_lines && (text[i] == quote || text[i] == '\n'))
      return i + 1;
    else if (many_lines && text.substr(i, 3) == three)
      return std::min({text.find_first_not_of(quote, i), i + 5,
          text.size()}); // two quotes may stand in front of the three
  }
  return text.size();
}

// The character of UTF-8 that begins at `at` and ends before the next one, as TOML's escape.
std::string escape(std::string_view text, size_t& at) {
  const auto first = static_cast<unsigned char>(text[at++]);
  uint32_t point = first >= 0xF0 ? first & 0x07U : first >= 0xE0 ? first & 0x0FU : first & 0x1FU;
  for (; at < text.size() && (static_cast<unsigned char>(text[at]) & 0xC0U) == 0x80U; ++at)
    point = point << 6U | (static_cast<unsigned char>(text[at]) & 0x3FU);
  std::array<char, 11> out{};
  std::snprintf(out.data(), out.size(), "\\U%08X", point);
  return out.data();
}

// Basic strings ("...") in ASCII alone: what is not gets TOML's own escape for it.
std::string with_escapes(std::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size();) {
    size_t end = i + 1;
    if (text[i] == '#')
      end = std::min(text.find('\n', i), text.size());
    else if (text[i] == '"' || text[i] == '\'')
      end = string_end(text, i);
    const bool basic = text[i] == '"';
    bool behind_backslash = false; // where no escape may stand
    while (i < end)
      if (basic && !behind_backslash && static_cast<unsigned char>(text[i]) >= 0x80) {
        out += escape(text, i);
      } else {
        behind_backslash = !behind_backslash && text[i] == '\\';
        out += text[i++];
      }
  }
  return out;
}

bool ascii(std::string_view text) {
  return std::ranges::none_of(text, [](char c) { return static_cast<unsigned char>(c) >= 0x80; });
}

// Where a character outside of ASCII stands that is in no comment, or a quote that can begin or end
// no string. What toml++ 3.3 does with some of them is undefined (the unreachable ends of its
// unicode tables), because it looks ahead behind what it then tells as an error. In basic strings
// they are escaped before.
std::optional<size_t> stray_character(std::string_view text) {
  constexpr std::string_view k_byte_order_mark = "\xEF\xBB\xBF";
  constexpr std::string_view k_before = " \t\r\n=,[{.", k_behind = " \t\r\n=,]}.#";
  for (size_t i = text.starts_with(k_byte_order_mark) ? k_byte_order_mark.size() : 0;
      i < text.size();) {
    if (text[i] == '#') {
      i = std::min(text.find('\n', i), text.size());
    } else if (text[i] == '"' || text[i] == '\'') {
      if (i > 0 && k_before.find(text[i - 1]) == std::string_view::npos)
        return i;
      const size_t begin = i;
      i = string_end(text, begin);
      if (!ascii(text.substr(begin, i - begin)))
        return begin;
      if (i < text.size() && k_behind.find(text[i]) == std::string_view::npos)
        return i;
    } else if (!ascii(text.substr(i, 1))) {
      return i;
    } else {
      ++i;
    }
  }
  return std::nullopt;
}

} // namespace

Result<Json> parse_toml(std::string_view written, std::string_view file, Lines& lines) {
  if (written.size() > k_max_toml)
    return fail(
        Code::too_large, cat(file, ": ", written.size(), " bytes, the limit is ", k_max_toml));
  size_t line = 0;
  for (const auto text : split(written, '\n'))
    if (++line; !is_utf8(text))
      return fail(Code::invalid, cat(file, ":", line, ": is not UTF-8"));
  const std::string text = with_escapes(written);
  if (const auto stray = stray_character(text))
    return fail(Code::invalid,
        cat(file, ":", 1 + std::ranges::count(std::string_view(text).substr(0, *stray), '\n'),
            ": a quote that is out of place, or a character outside of ASCII, which only comments and \"...\" may have"));
  const toml::parse_result result = toml::parse(text);
  if (!result)
    return fail(Code::invalid,
        cat(file, ":", result.error().source().begin.line, ": ",
            printable(result.error().description())));
  Converter converter(file, lines);
  Json json = converter.convert(result.table(), "", 1);
  if (!converter.problems().empty())
    return converter.problems().error();
  return json;
}

} // namespace chillbox::config
