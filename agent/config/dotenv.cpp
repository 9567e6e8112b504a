#include "config/dotenv.hpp"

#include "base/text.hpp"
#include "config/references.hpp"

#include <algorithm>

namespace chillbox::config {
namespace {

using Pairs = std::vector<std::pair<std::string, std::string>>;

class Parser {
public:
  explicit Parser(std::string_view text) : m_rest(text) {}

  Result<Pairs> run() {
    if (m_rest.starts_with("\xEF\xBB\xBF"))
      m_rest.remove_prefix(3);
    if (m_rest.find('\0') != std::string_view::npos)
      return fail(Code::invalid, "has a zero byte: must be text");
    while (!m_rest.empty()) {
      ++m_line;
      const auto line = trim(peek_line());
      if (line.empty() || line[0] == '#')
        take_line();
      else
        TRY(assignment());
    }
    return std::move(m_pairs);
  }

private:
  std::string_view peek_line() const { return m_rest.substr(0, m_rest.find('\n')); }
  void take_line() { m_rest.remove_prefix(std::min(peek_line().size() + 1, m_rest.size())); }
  void take_blanks() {
    m_rest.remove_prefix(std::min(m_rest.find_first_not_of(" \t"), m_rest.size()));
  }

  std::unexpected<Error> problem(std::string_view text, Code code = Code::invalid) const {
    return fail(code, cat("line ", m_line, ": ", text));
  }

  Result<void> assignment() {
    take_blanks();
    if (m_rest.starts_with("export ") || m_rest.starts_with("export\t")) {
      m_rest.remove_prefix(7);
      take_blanks();
    }
    const auto equals = peek_line().find('=');
    if (equals == std::string_view::npos)
      return problem("is not NAME=VALUE");
    const auto name = trim(m_rest.substr(0, equals));
    const bool plain = !name.empty() && std::ranges::all_of(name, [](char c) {
      return c == '_' || (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    });
    if (!plain || (name[0] >= '0' && name[0] <= '9') || name.size() > 64)
      return problem("what is before '=' is no name of a variable: at most 64 letters, digits and "
                     "'_', no digit first");
    if (const auto denied = secret_name_problem(name))
      return problem(cat("'", name, "' ", *denied), Code::denied);
    m_rest.remove_prefix(equals + 1);
    take_blanks();
    std::string value = TRY(this->value());
    const std::string wanted(name);
    std::erase_if(m_pairs, [&](const auto& pair) { return pair.first == wanted; });
    m_pairs.emplace_back(wanted, std::move(value));
    return {};
  }

  Result<std::string> value() {
    if (m_rest.starts_with('"') || m_rest.starts_with('\''))
      return quoted(m_rest[0]);
    auto line = peek_line();
    if (line.starts_with('#'))
      line = {};
    for (size_t at = 1; at < line.size(); ++at)
      if (line[at] == '#' && (line[at - 1] == ' ' || line[at - 1] == '\t'))
        line = line.substr(0, at);
    std::string out(trim(line));
    take_line();
    return out;
  }

  Result<std::string> quoted(char quote) {
    const size_t begun = m_line;
    std::string out;
    size_t at = 1;
    for (; at < m_rest.size() && m_rest[at] != quote; ++at) {
      if (m_rest[at] == '\n')
        ++m_line;
      if (m_rest[at] == '\r' && at + 1 < m_rest.size() && m_rest[at + 1] == '\n')
        continue;
      if (quote == '"' && m_rest[at] == '\\' && at + 1 < m_rest.size())
        out += escape(m_rest[++at]);
      else
        out += m_rest[at];
    }
    if (at == m_rest.size()) {
      m_line = begun;
      return problem(
          cat("the ", quote == '"' ? "double" : "single", " quote that begins here has no end"));
    }
    m_rest.remove_prefix(at + 1);
    const auto after = trim(peek_line());
    if (!after.empty() && !after.starts_with('#'))
      return problem("text after the closing quote");
    take_line();
    return out;
  }

  static std::string escape(char c) {
    switch (c) {
    case 'n': return "\n";
    case 'r': return "\r";
    case 't': return "\t";
    case '"':
    case '\\':
    case '\'':
    case '$': return std::string(1, c);
    default: return std::string("\\") + c;
    }
  }

  std::string_view m_rest;
  size_t m_line = 0;
  Pairs m_pairs;
};

} // namespace

Result<Pairs> parse_dotenv(std::string_view text) {
  if (text.size() > k_max_dotenv)
    return fail(Code::too_large, cat("more than ", k_max_dotenv, " bytes"));
  return Parser(text).run();
}

} // namespace chillbox::config
