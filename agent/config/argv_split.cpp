// Words of a command line, as a shell would split them, and nothing else that a shell does.
#include "config/site.hpp"

#include "base/text.hpp"

namespace chillbox::config {
namespace {

bool blank(char c) {
  return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

// From the opening quote at line[at] to its end; appends what it holds. Within "..." a \ quotes
// only " and \ (and nothing is expanded, so that $ and ` need none).
Result<size_t> quoted(std::string_view line, size_t at, std::string& word) {
  const char quote = line[at];
  for (size_t i = at + 1; i < line.size(); ++i) {
    if (line[i] == quote)
      return i + 1;
    if (quote == '"' && line[i] == '\\' && i + 1 < line.size() &&
        (line[i + 1] == '"' || line[i + 1] == '\\'))
      ++i;
    word += line[i];
  }
  return fail(Code::invalid,
      cat("the ", quote == '"' ? "double" : "single", " quote at character ", at + 1,
          " has no end"));
}

} // namespace

Result<std::vector<std::string>> split_argv(std::string_view line) {
  std::vector<std::string> words;
  std::string word;
  bool open = false; // '' is a word too
  for (size_t i = 0; i < line.size();) {
    const char c = line[i];
    if (blank(c)) {
      if (open)
        words.push_back(std::exchange(word, {}));
      open = false;
      ++i;
      continue;
    }
    open = true;
    if (c == '\'' || c == '"') {
      i = TRY(quoted(line, i, word));
    } else if (c == '\\') {
      if (i + 1 == line.size())
        return fail(Code::invalid, "a '\\' at the end quotes nothing");
      word += line[i + 1];
      i += 2;
    } else {
      word += c;
      ++i;
    }
  }
  if (open)
    words.push_back(std::move(word));
  return words;
}

} // namespace chillbox::config
