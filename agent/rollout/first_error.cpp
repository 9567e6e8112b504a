#include "rollout/first_error.hpp"

#include "base/text.hpp"

#include <algorithm>
#include <array>
#include <cctype>
#include <span>

namespace chillbox::rollout {
namespace {

constexpr size_t k_longest = 300;

std::string lower(std::string_view line) {
  std::string out(line.substr(0, k_longest));
  std::ranges::transform(
      out, out.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return out;
}

// "ERROR: ...", "fatal: ...", "sqlalchemy.exc.OperationalError: ...": what was thrown, or a
// program's own word for it.
bool begins_as_error(std::string_view line) {
  const auto colon = line.find(':');
  const std::string word = lower(line.substr(0, colon));
  return colon != std::string_view::npos && word.find_first_of(" \t[(") == std::string::npos &&
      (word.ends_with("error") || word.ends_with("exception") || word == "fatal" ||
          word == "panic");
}

// What a logger or a program puts in front may be anything.
bool mentions_error(std::string_view line) {
  const std::string text = lower(line);
  return std::ranges::any_of(std::array<std::string_view, 7>{"error:", "exception:", "fatal:",
                                 "fatal error", "[error]", "[emerg]", "[critical]"},
      [&](std::string_view word) { return text.find(word) != std::string::npos; });
}

// What gunicorn says after what it is about.
bool is_consequence(std::string_view line) {
  const std::string text = lower(line);
  return std::ranges::any_of(
      std::array<std::string_view, 4>{"exited with code", "reason: app failed to load",
          "reason: worker failed to boot", "shutting down: master"},
      [&](std::string_view words) { return text.find(words) != std::string::npos; });
}

bool mentions_cause(std::string_view line) {
  return mentions_error(line) && !is_consequence(line);
}

bool begins_as_failure(std::string_view line) {
  return line.starts_with("Failed to ") || line.starts_with("failed to ");
}

// Lines that are set in are of a traceback's frames, or of a list.
bool is_set_in(std::string_view line) {
  return line.starts_with(' ') || line.starts_with('\t');
}

// What a line that ends with a colon announces: the error that was caught, else the next line.
std::string_view announced(std::span<const std::string_view> after) {
  const auto caught = std::ranges::find_if(
      after, [](std::string_view line) { return !is_set_in(line) && begins_as_error(line); });
  const auto next =
      std::ranges::find_if(after, [](std::string_view line) { return !trim(line).empty(); });
  return caught != after.end() ? trim(*caught) : next != after.end() ? trim(*next) : "";
}

} // namespace

std::string first_error(std::string_view output) {
  const auto lines = split(output, '\n');
  for (const auto kind : {begins_as_error, mentions_cause, begins_as_failure, mentions_error})
    for (size_t at = 0; at < lines.size(); ++at)
      if (const auto line = trim(lines[at]); !is_set_in(lines[at]) && kind(line))
        return printable(line.ends_with(':')
                ? cat(line, " ", announced(std::span(lines).subspan(at + 1)))
                : std::string(line),
            k_longest);
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
