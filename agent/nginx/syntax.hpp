// NGINX's own syntax: words, quotes, escapes, comments, "${name}", ';' and braces, by the rules of
// its reader (ngx_conf_read_token). What is accepted can be written again so that NGINX reads
// exactly the same words. Refused: control characters, what NGINX would refuse, nesting deeper than
// k_max_depth. Knows nothing of what a directive means. For this room only.
#pragma once

#include "base/error.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace chillbox::nginx {

inline constexpr size_t k_max_depth = 16;

struct Node {
  std::vector<std::string> words; // the directive's name first; quotes and escapes are resolved
  size_t line = 0;                // of its first word
  bool block = false;             // ends in { ... } instead of ';'
  std::vector<Node> inside;
};

bool operator==(
    const Node& a, const Node& b); // the same words in the same blocks, on whatever line

// The next piece of a text.
struct Token {
  enum class Kind {
    word,
    end,
    open,
    close,
    nothing
  } kind = Kind::nothing; // ';', '{', '}', the end of the text
  std::string text;
  size_t line = 1;
};

class Lexer {
public:
  explicit Lexer(std::string_view text) : m_text(text) {}
  Result<Token> next(); // invalid: "line N: ..."

private:
  void skip_to_word();
  Result<Token> quoted(char quote, size_t line);
  Token word(size_t line);
  std::string_view m_text;
  size_t m_at = 0, m_line = 1;
};

Result<std::vector<Node>> parse(std::string_view text);
std::string write(const std::vector<Node>& nodes, size_t depth = 0);
std::string written_word(std::string_view word); // with quotes where NGINX needs them

} // namespace chillbox::nginx
