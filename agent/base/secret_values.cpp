#include "base/secret_values.hpp"

#include "base/mask.hpp"
#include "base/text.hpp"

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <optional>

namespace chillbox {
namespace {

constexpr size_t k_least_plain = 8; // of letters or digits alone

// Settings that share a file with secrets.
constexpr auto k_ordinary =
    std::to_array<std::string_view>({"127.0.0.1", "0.0.0.0", "critical", "database", "debugging",
        "default", "development", "disabled", "enabled", "localhost", "password", "postgres",
        "postgresql", "production", "required", "staging", "username", "warning"});

bool is_letter(char c) {
  return std::isalpha(static_cast<unsigned char>(c)) != 0;
}
bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

bool is_ordinary(std::string_view value) {
  if (value.size() < k_shortest_secret)
    return true;
  const auto same = [&](std::string_view word) {
    return std::ranges::equal(word, value, {}, {}, [](unsigned char c) { return std::tolower(c); });
  };
  const bool plain = std::ranges::all_of(value, is_letter) || std::ranges::all_of(value, is_digit);
  return (plain && value.size() < k_least_plain) || std::ranges::any_of(k_ordinary, same);
}

// \n, \" and the like of JSON, TOML, Python and dotenv; what is not known stays.
SecretString unescaped(std::string_view raw) {
  SecretString out;
  for (size_t i = 0; i < raw.size(); ++i) {
    const char next = raw[i] == '\\' && i + 1 < raw.size() ? raw[i + 1] : '\0';
    switch (next) {
    case 'n': out += '\n'; break;
    case 'r': out += '\r'; break;
    case 't': out += '\t'; break;
    case '\\':
    case '"':
    case '\'':
    case '/': out += next; break;
    default: out += raw[i]; continue;
    }
    ++i;
  }
  return out;
}

// %41
std::optional<char> unhex(std::string_view text) {
  unsigned value = 0;
  if (text.size() != 3 || text[0] != '%' ||
      std::from_chars(text.data() + 1, text.data() + 3, value, 16).ptr != text.data() + 3)
    return std::nullopt;
  return static_cast<char>(value);
}

class Values {
public:
  SecretStrings take() { return std::move(m_found); }

  void file(std::string_view text) {
    for (const auto line : split(text, '\n'))
      this->line(trim(line));
    if (text = trim(text); text.find('\n') == std::string_view::npos)
      add(text); // a password and nothing else, even one that looks like a comment
  }

private:
  void add(std::string_view value) {
    value = trim(value);
    if (is_ordinary(value))
      return;
    m_found.emplace_back(value);
    if (value.find('\\') != std::string_view::npos) {
      SecretString twice; // as repr() and JSON print it
      for (const char c : value)
        twice.append(c == '\\' ? 2 : 1, c);
      m_found.push_back(std::move(twice));
    }
    password_of_url(value);
  }

  // In quotes: also what its escapes mean, line by line.
  void quoted(std::string_view raw) {
    add(raw);
    const SecretString lines = unescaped(raw);
    if (lines.size() != raw.size())
      for (const auto part : split(std::string_view(lines), '\n'))
        add(part);
  }

  // scheme://user:PASSWORD@host
  void password_of_url(std::string_view value) {
    const auto scheme = value.find("://");
    if (scheme == std::string_view::npos)
      return;
    const auto rest = value.substr(scheme + 3);
    const auto user = rest.substr(0, rest.rfind('@', rest.find('/')));
    if (const auto colon = user.find(':');
        user.size() < rest.size() && colon != std::string_view::npos) {
      const auto password = user.substr(colon + 1);
      if (!is_ordinary(password))
        m_found.emplace_back(password);
      SecretString decoded;
      for (size_t i = 0; i < password.size(); ++i)
        if (const auto byte = unhex(password.substr(i, 3)); byte) {
          decoded += *byte;
          i += 2;
        } else {
          decoded += password[i];
        }
      if (decoded != password && !is_ordinary(decoded))
        m_found.push_back(std::move(decoded));
    }
  }

  // What is between quotes, unless it is a name: "name": ... A quote that is not closed takes the
  // rest. Where the first one is.
  size_t take_quoted(std::string_view line) {
    size_t first = std::string_view::npos;
    for (size_t at = line.find_first_of("\"'"); at != std::string_view::npos;
        at = line.find_first_of("\"'", at)) {
      first = std::min(first, at);
      size_t end = at + 1;
      while (end < line.size() && line[end] != line[at])
        end += line[end] == '\\' ? 2 : 1;
      end = std::min(end, line.size());
      const auto after = trim(line.substr(std::min(end + 1, line.size())));
      if (!after.starts_with(':') && !after.starts_with('='))
        quoted(line.substr(at + 1, end - at - 1));
      at = end + 1;
      if (at >= line.size())
        break;
    }
    return first;
  }

  // Where the value begins in NAME=value, name: value, export NAME=value.
  static size_t value_of(std::string_view line) {
    size_t at = line.starts_with("export ") ? 7 : 0;
    const size_t begin = at;
    while (at < line.size() &&
        (is_letter(line[at]) || is_digit(line[at]) ||
            std::string_view("_.-\"'").find(line[at]) != std::string_view::npos))
      ++at;
    if (at == begin)
      return std::string_view::npos;
    while (at < line.size() && (line[at] == ' ' || line[at] == '\t'))
      ++at;
    const bool is_url = line.substr(at).starts_with("://");
    return at < line.size() && (line[at] == '=' || line[at] == ':') && !is_url
        ? at + 1
        : std::string_view::npos;
  }

  void line(std::string_view line) {
    if (line.starts_with("\xEF\xBB\xBF"))
      line.remove_prefix(3);
    if (line.starts_with("- "))
      line = trim(line.substr(2));
    if (line.empty() || line[0] == '#' || line[0] == ';' || line.starts_with("-----") ||
        (line.starts_with('[') && line.ends_with(']') && line.find('"') == std::string_view::npos))
      return;
    const size_t quote = take_quoted(line);
    const size_t begin = value_of(line);
    const auto value = trim(line.substr(std::min(begin, line.size())));
    if (begin != std::string_view::npos && value.find_first_not_of('=') != std::string_view::npos)
      return plain(value, quote != std::string_view::npos && quote >= begin);
    if (quote != std::string_view::npos) { // a later line of a text in quotes
      add(line.substr(line.find_first_not_of("\"'") == std::string_view::npos
              ? line.size()
              : line.find_first_not_of("\"'")));
      return add(line.substr(0, line.find_last_not_of("\"', ") + 1));
    }
    whole(line);
  }

  // A value without quotes, with and without what may be a comment.
  void plain(std::string_view value, bool in_quotes) {
    if (in_quotes && (value[0] == '"' || value[0] == '\''))
      return;
    add(value);
    add(value.substr(0, value.find(" #")));
    while (value.ends_with(',') || value.ends_with(';'))
      value.remove_suffix(1);
    add(value);
    if (value.find(':') != std::string_view::npos && value.find(' ') == std::string_view::npos)
      add(value.substr(value.rfind(':') + 1)); // .pgpass
  }

  // A line of a key, a token, or words such as those of .netrc.
  void whole(std::string_view line) {
    if (line.starts_with("import ") || line.starts_with("from "))
      return;
    add(line);
    for (const auto word : split(line, ' '))
      if (word.size() >= k_least_plain && std::ranges::any_of(word, is_digit) &&
          std::ranges::any_of(word, is_letter))
        add(word);
  }

  SecretStrings m_found;
};

} // namespace

SecretStrings secret_values(std::string_view file) {
  if (file.find('\0') != std::string_view::npos)
    return {}; // no text
  Values values;
  values.file(file);
  return values.take();
}

} // namespace chillbox
