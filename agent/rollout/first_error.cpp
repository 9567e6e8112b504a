#include "rollout/first_error.hpp"

#include "base/text.hpp"

#include <algorithm>
#include <cctype>

namespace chillbox::rollout {
namespace {

constexpr size_t k_longest = 300;

// Also "sqlalchemy.exc.OperationalError: ..." and "Exception: ...", and what a logger puts first.
bool is_error(std::string_view line) {
  if (line.empty() || line[0] == ' ' || line[0] == '\t') // of a traceback's frames, or a list
    return false;
  std::string lower(line.substr(0, k_longest));
  std::ranges::transform(
      lower, lower.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  if (lower.starts_with("fatal") || lower.starts_with("panic:") || lower.starts_with("[error]") ||
      lower.find("[emerg]") != std::string::npos)
    return true;
  for (const std::string_view word : {"error:", "exception:", "error -", "[error]"})
    if (lower.find(word) != std::string::npos)
      return true;
  return false;
}

} // namespace

std::string first_error(std::string_view output) {
  for (const auto line : split(output, '\n'))
    if (is_error(line))
      return printable(trim(line), k_longest);
  return {};
}

std::string reason_in(std::string_view output) {
  if (auto error = first_error(output); !error.empty())
    return error;
  const auto text = trim(output);
  const auto last = trim(text.substr(text.rfind('\n') + 1));
  return last.empty() ? std::string() : cat("its last line: ", printable(last, k_longest));
}

} // namespace chillbox::rollout
