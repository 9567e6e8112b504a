#include "rollout/answers.hpp"

#include "base/text.hpp"

#include <algorithm>
#include <charconv>

namespace chillbox::rollout {
namespace {

constexpr size_t k_most = 1024 * 1024; // looked at at once: of a longer log only the end
constexpr uint64_t k_few = 20;         // below this many a ratio means nothing
constexpr uint64_t k_points = 20;      // percent of the answers, and so much more than before

// "1764000000.123" in milliseconds.
std::optional<int64_t> millis(std::string_view text) {
  const auto dot = text.find('.');
  int64_t seconds = 0, rest = 0;
  if (dot == std::string_view::npos || text.size() != dot + 4 ||
      std::from_chars(text.data(), text.data() + dot, seconds).ptr != text.data() + dot ||
      std::from_chars(text.data() + dot + 1, text.data() + text.size(), rest).ptr !=
          text.data() + text.size())
    return std::nullopt;
  return seconds * 1000 + rest;
}

struct Line {
  int64_t begun = 0;
  bool bad = false;
};

// "SECONDS STATUS TIME"; a request that NGINX sent on inside has several of both, with "," or ":"
// between them, and "-" for what there was not.
std::optional<Line> read_line(std::string_view text) {
  const auto words = split(text, ' ');
  const auto end = words.empty() ? std::nullopt : millis(words[0]);
  if (!end)
    return std::nullopt;
  Line line{.begun = *end};
  bool any = false;
  for (auto word : std::span(words).subspan(1)) {
    if (word.ends_with(','))
      word.remove_suffix(1);
    if (const auto took = millis(word))
      line.begun -= *took;
    else if (word.size() == 3) {
      any = true;
      line.bad = line.bad || word[0] == '5';
    }
  }
  return any ? std::optional(line) : std::nullopt;
}

} // namespace

void AnswerLog::count(os::Disk& disk, int64_t since, int64_t until, Answers& into) {
  const uint64_t size = disk.size(m_file);
  const uint64_t from = m_at > size ? 0 : m_at; // it was dropped, and begun again
  const auto text =
      disk.tail(m_file, std::max(from, size > k_most ? size - k_most : 0), 2 * k_most);
  if (!text)
    return;
  const auto whole = text->rfind('\n'); // the rest of the last line is still to come
  if (whole == std::string::npos)
    return;
  m_at = std::max(from, size > k_most ? size - k_most : 0) + whole + 1;
  for (const auto one : split(std::string_view(*text).substr(0, whole), '\n'))
    if (const auto line = read_line(one); line && line->begun >= since && line->begun < until) {
      ++into.all;
      into.bad += line->bad ? 1 : 0;
    }
}

bool is_worse(const Answers& now, const Answers& before) {
  const uint64_t usual = before.all < k_few ? 0 : before.bad_percent();
  return now.all >= k_few && now.bad_percent() >= usual + k_points;
}

} // namespace chillbox::rollout
