#include "nginx/syntax.hpp"

#include "base/text.hpp"

#include <algorithm>
#include <utility>

namespace chillbox::nginx {
namespace {

bool is_space(char c) {
  return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}
bool is_control(char c) {
  return (static_cast<unsigned char>(c) < 0x20 && !is_space(c)) || c == 0x7f;
}

// What NGINX makes of backslashes once a word is complete: these six, and no other.
std::string unescaped(std::string_view raw) {
  std::string out;
  for (size_t at = 0; at < raw.size(); ++at) {
    const char next = raw[at] == '\\' && at + 1 < raw.size() ? raw[at + 1] : '\0';
    switch (next) {
    case '"':
    case '\'':
    case '\\':
      out += next;
      ++at;
      break;
    case 't':
      out += '\t';
      ++at;
      break;
    case 'r':
      out += '\r';
      ++at;
      break;
    case 'n':
      out += '\n';
      ++at;
      break;
    default: out += raw[at];
    }
  }
  return out;
}

std::unexpected<Error> wrong(size_t line, std::string_view what) {
  return fail(Code::invalid, cat("line ", line, ": ", what));
}

Result<std::vector<Node>> read_block(Lexer& lexer, size_t depth, size_t opened) {
  std::vector<Node> nodes;
  Node node;
  for (;;) {
    auto token = TRY(lexer.next());
    switch (token.kind) {
    case Token::Kind::word:
      if (node.words.empty())
        node.line = token.line;
      node.words.push_back(std::move(token.text));
      break;
    case Token::Kind::end:
    case Token::Kind::open:
      if (node.words.empty())
        return wrong(
            token.line, token.kind == Token::Kind::end ? "unexpected ';'" : "unexpected '{'");
      if (token.kind == Token::Kind::open) {
        if (depth >= k_max_depth)
          return wrong(token.line, cat("blocks nest deeper than ", k_max_depth));
        node.block = true;
        node.inside = TRY(read_block(lexer, depth + 1, token.line));
      }
      nodes.push_back(std::exchange(node, {}));
      break;
    case Token::Kind::close:
      if (!node.words.empty())
        return wrong(node.line, cat("'", printable(node.words[0], 60), "' has no ';'"));
      if (depth == 0)
        return wrong(token.line, "unexpected '}'");
      return nodes;
    case Token::Kind::nothing:
      if (!node.words.empty())
        return wrong(node.line, cat("'", printable(node.words[0], 60), "' has no ';'"));
      if (depth != 0)
        return wrong(opened, "'{' is not closed");
      return nodes;
    }
  }
}

bool is_plain(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
      std::string_view("_-./:=~^$@*+?|(),%&!<>[]").find(c) != std::string_view::npos;
}

} // namespace

bool operator==(const Node& a, const Node& b) {
  return a.words == b.words && a.block == b.block && a.inside == b.inside;
}

void Lexer::skip_to_word() {
  while (m_at < m_text.size()) {
    const char c = m_text[m_at];
    if (c == '#') {
      m_at = std::min(m_text.find('\n', m_at), m_text.size());
      continue;
    }
    if (!is_space(c))
      return;
    m_line += c == '\n' ? 1 : 0;
    ++m_at;
  }
}

Result<Token> Lexer::quoted(char quote, size_t line) {
  const size_t start = ++m_at;
  while (m_at < m_text.size() && m_text[m_at] != quote) {
    m_at += m_text[m_at] == '\\' && m_at + 1 < m_text.size() ? 2 : 1;
  }
  if (m_at >= m_text.size())
    return wrong(line, cat("a ", quote, " is not closed"));
  const auto raw = m_text.substr(start, m_at - start);
  m_line += static_cast<size_t>(std::ranges::count(raw, '\n'));
  ++m_at;
  const char after = m_at < m_text.size() ? m_text[m_at] : ' ';
  if (!is_space(after) && after != ';' && after != '{' && after != ')')
    return wrong(m_line,
        cat("unexpected '", printable(std::string_view(&after, 1)), "' after a quoted text"));
  return Token{Token::Kind::word, unescaped(raw), line};
}

// Without quotes; "${" is a variable's, so its brace opens no block.
Token Lexer::word(size_t line) {
  const size_t start = m_at;
  for (bool variable = false; m_at < m_text.size(); ++m_at) {
    const char c = m_text[m_at];
    if (c == '{' && variable) {
      variable = false;
      continue;
    }
    variable = c == '$';
    if (c == '\\' && m_at + 1 < m_text.size()) {
      ++m_at;
      m_line += m_text[m_at] == '\n' ? 1 : 0;
      continue;
    }
    if (is_space(c) || c == ';' || c == '{')
      break;
  }
  return {Token::Kind::word, unescaped(m_text.substr(start, m_at - start)), line};
}

Result<Token> Lexer::next() {
  skip_to_word();
  if (m_at >= m_text.size())
    return Token{Token::Kind::nothing, {}, m_line};
  const char c = m_text[m_at];
  const size_t line = m_line;
  if (c == '"' || c == '\'')
    return quoted(c, line);
  if (c != ';' && c != '{' && c != '}')
    return word(line);
  ++m_at;
  return Token{c == ';' ? Token::Kind::end
          : c == '{'    ? Token::Kind::open
                        : Token::Kind::close,
      {}, line};
}

Result<std::vector<Node>> parse(std::string_view text) {
  if (const auto bad = std::ranges::find_if(text, is_control); bad != text.end())
    return wrong(1 + static_cast<size_t>(std::count(text.begin(), bad, '\n')),
        cat("a control character, ", printable(std::string_view(&*bad, 1))));
  Lexer lexer(text);
  return read_block(lexer, 0, 1);
}

std::string written_word(std::string_view word) {
  if (!word.empty() && std::ranges::all_of(word, is_plain))
    return std::string(word);
  std::string out = "\"";
  for (const char c : word)
    switch (c) {
    case '"':
    case '\\':
      out += '\\';
      out += c;
      break;
    case '\t': out += "\\t"; break;
    case '\r': out += "\\r"; break;
    case '\n': out += "\\n"; break;
    default: out += c;
    }
  return out + '"';
}

std::string write(const std::vector<Node>& nodes, size_t depth) {
  std::string out;
  const std::string indent(depth * 2, ' ');
  for (const auto& node : nodes) {
    out += indent;
    for (size_t at = 0; at < node.words.size(); ++at)
      out += cat(at == 0 ? "" : " ", written_word(node.words[at]));
    out +=
        node.block ? cat(" {\n", write(node.inside, depth + 1), indent, "}\n") : std::string(";\n");
  }
  return out;
}

} // namespace chillbox::nginx
