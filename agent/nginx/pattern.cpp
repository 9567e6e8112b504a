#include "nginx/pattern.hpp"

#include "base/text.hpp"

#include <algorithm>
#include <array>
#include <optional>

namespace chillbox::nginx {
namespace {

bool is_group_name(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}
bool is_quantifier(char c) {
  return c == '?' || c == '*' || c == '+' || c == '{';
}

// Where a name is, if a group that opens at `at` has one: "(?<name>", "(?'name'", "(?P<name>".
std::optional<std::pair<size_t, size_t>> name_at(std::string_view p, size_t at) {
  for (const auto& [opening, closing] : std::array<std::pair<std::string_view, char>, 3>{
           {{"(?<", '>'}, {"(?P<", '>'}, {"(?'", '\''}}}) {
    if (!p.substr(at).starts_with(opening))
      continue;
    const size_t start = at + opening.size();
    size_t end = start;
    while (end < p.size() && is_group_name(p[end]))
      ++end;
    if (end > start && end < p.size() && p[end] == closing)
      return std::pair(start, end);
  }
  return std::nullopt;
}

// After the class that opens at `at`: a ']' that comes first, or after '^', is one of its
// members.
size_t behind_class(std::string_view p, size_t at) {
  ++at;
  if (at < p.size() && p[at] == '^')
    ++at;
  if (at < p.size() && p[at] == ']')
    ++at;
  while (at < p.size() && p[at] != ']') {
    const auto posix =
        p.substr(at).starts_with("[:") ? p.find(":]", at + 2) : std::string_view::npos;
    at = posix != std::string_view::npos ? posix + 2 : at + (p[at] == '\\' ? 2 : 1);
  }
  return std::min(at + 1, p.size());
}

bool is_known_opening(std::string_view p, size_t at) {
  const auto rest = p.substr(at + 2);
  if (rest.starts_with(':') || rest.starts_with('=') || rest.starts_with('!') ||
      rest.starts_with("<=") || rest.starts_with("<!") || rest.starts_with('>'))
    return true;
  const auto end = rest.find_first_not_of("ims-");
  return end != 0 && end != std::string_view::npos && (rest[end] == ')' || rest[end] == ':');
}

// Of a group's inside: words, classes of them without '^', and quantifiers. "[--9]" has '.' and
// '/'.
bool is_plain(std::string_view inside) {
  bool in_class = false;
  for (size_t at = 0; at < inside.size(); ++at) {
    const char c = inside[at];
    const bool is_word = is_group_name(c) || (c == '-' && !inside.substr(at).starts_with("--"));
    const bool is_opening = !in_class && c == '[';
    if (c == '\\' && at + 1 < inside.size() && (inside[at + 1] == 'w' || inside[at + 1] == 'd'))
      ++at;
    else if (is_opening || (in_class && c == ']'))
      in_class = is_opening;
    else if (!is_word &&
        (in_class || std::string_view("|?*+{},").find(c) == std::string_view::npos))
      return false;
  }
  return true;
}

struct Open {
  std::optional<size_t> number;
  size_t at = 0, inside = 0; // of its '(', of what it holds
};

class Reader {
public:
  explicit Reader(std::string_view pattern) : m_pattern(pattern) {}

  Result<std::vector<Group>> groups() {
    while (m_at < m_pattern.size())
      TRY(step());
    return std::move(m_groups);
  }

private:
  Result<void> step() {
    switch (m_pattern[m_at]) {
    case '\\':
      if (m_at + 1 < m_pattern.size() &&
          std::string_view("QEkgKN").find(m_pattern[m_at + 1]) != std::string_view::npos)
        return refuse(2);
      m_at += 2;
      return {};
    case '[': m_at = behind_class(m_pattern, m_at); return {};
    case '(': return open();
    case ')': close(); return {};
    default: ++m_at; return {};
    }
  }

  std::unexpected<Error> refuse(size_t length) const {
    return fail(Code::denied,
        cat("the pattern '", printable(m_pattern, 80), "' has '",
            printable(m_pattern.substr(m_at, length), 10),
            "', which is not supported here: write it without"));
  }

  Result<void> open() {
    const auto rest = m_pattern.substr(m_at);
    const auto name = name_at(m_pattern, m_at);
    if (rest.starts_with("(*") ||
        (rest.starts_with("(?") && !name && !is_known_opening(m_pattern, m_at)))
      return refuse(4);
    Open opened{std::nullopt, m_at, name ? name->second + 1 : m_at + 1};
    if (name || !rest.starts_with("(?")) {
      m_groups.push_back(
          {name ? std::string(m_pattern.substr(name->first, name->second - name->first))
                : std::string()});
      opened.number = m_groups.size() - 1;
    }
    m_open.push_back(opened);
    m_at = opened.inside;
    return {};
  }

  void close() {
    ++m_at;
    if (m_open.empty())
      return; // PCRE refuses it
    const Open opened = m_open.back();
    m_open.pop_back();
    if (!opened.number)
      return;
    const auto inside = m_pattern.substr(opened.inside, m_at - 1 - opened.inside);
    auto& group = m_groups[*opened.number];
    group.whole = starts_a_segment(opened) && ends_a_segment(inside);
    group.plain = is_plain(inside);
  }

  bool starts_a_segment(const Open& opened) const {
    return opened.at > 0 && m_pattern[opened.at - 1] == '/';
  }

  // All that is left, or up to a '/' that must be there.
  bool ends_a_segment(std::string_view inside) const {
    auto rest = m_pattern.substr(m_at);
    if (rest == "$" || (rest.empty() && (inside == ".*" || inside == ".+")))
      return true;
    if (rest.starts_with('\\'))
      rest.remove_prefix(1);
    return rest.starts_with('/') && (rest.size() == 1 || !is_quantifier(rest[1]));
  }

  std::string_view m_pattern;
  size_t m_at = 0;
  std::vector<Open> m_open;
  std::vector<Group> m_groups;
};

} // namespace

Result<std::vector<Group>> groups_of(std::string_view pattern) {
  return Reader(pattern).groups();
}

std::string with_names(
    std::string_view pattern, const std::function<std::string(const std::string&)>& renamed) {
  std::string out;
  for (size_t at = 0; at < pattern.size();) {
    size_t end = at + 1;
    if (pattern[at] == '\\')
      end = std::min(at + 2, pattern.size());
    else if (pattern[at] == '[')
      end = behind_class(pattern, at);
    else if (const auto name = pattern[at] == '(' ? name_at(pattern, at) : std::nullopt) {
      out += pattern.substr(at, name->first - at);
      out += renamed(std::string(pattern.substr(name->first, name->second - name->first)));
      at = name->second;
      continue;
    }
    out += pattern.substr(at, end - at);
    at = end;
  }
  return out;
}

} // namespace chillbox::nginx
