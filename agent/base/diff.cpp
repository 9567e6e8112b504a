#include "base/diff.hpp"

#include "base/text.hpp"

#include <algorithm>
#include <cstddef>
#include <vector>

namespace chillbox {
namespace {

constexpr size_t k_around = 3;
constexpr ptrdiff_t k_most_edits = 2'000; // the work grows with its square

struct Edit {
  char sign; // ' ', '-', '+'
  std::string_view line;
};

using Lines = std::vector<std::string_view>; // each with its line end, if it has one

Lines lines_of(std::string_view text) {
  Lines lines;
  while (!text.empty()) {
    const auto end = std::min(text.find('\n'), text.size() - 1) + 1;
    lines.push_back(text.substr(0, end));
    text.remove_prefix(end);
  }
  return lines;
}

// The furthest points of each round, back from the end to the beginning.
std::vector<Edit> walk_back(
    const Lines& a, const Lines& b, const std::vector<std::vector<ptrdiff_t>>& rounds) {
  std::vector<Edit> edits;
  auto x = static_cast<ptrdiff_t>(a.size()), y = static_cast<ptrdiff_t>(b.size());
  for (auto d = static_cast<ptrdiff_t>(rounds.size()) - 1; d >= 0; --d) {
    const auto& v = rounds[static_cast<size_t>(d)]; // as round d found it: what round d - 1 left
    const auto at = [&](ptrdiff_t k) { return v[static_cast<size_t>(k + d + 1)]; };
    const ptrdiff_t k = x - y;
    const bool down = k == -d || (k != d && at(k - 1) < at(k + 1));
    const ptrdiff_t from_x = d == 0 ? 0
        : down                      ? at(k + 1)
                                    : at(k - 1),
                    from_y = d == 0 ? 0 : from_x - (down ? k + 1 : k - 1);
    while (x > from_x && y > from_y) {
      edits.push_back({' ', a[static_cast<size_t>(--x)]});
      --y;
    }
    if (d > 0 && down)
      edits.push_back({'+', b[static_cast<size_t>(--y)]});
    else if (d > 0)
      edits.push_back({'-', a[static_cast<size_t>(--x)]});
  }
  std::ranges::reverse(edits);
  return edits;
}

std::vector<Edit> replaced(const Lines& a, const Lines& b) {
  std::vector<Edit> edits;
  for (const auto line : a)
    edits.push_back({'-', line});
  for (const auto line : b)
    edits.push_back({'+', line});
  return edits;
}

std::vector<Edit> edits_of(const Lines& a, const Lines& b) {
  const auto n = static_cast<ptrdiff_t>(a.size()), m = static_cast<ptrdiff_t>(b.size());
  std::vector<std::vector<ptrdiff_t>> rounds; // of round d: x on the diagonals -d-1 to d+1
  std::vector<ptrdiff_t> v{0, 0, 0};
  for (ptrdiff_t d = 0; d <= std::min(n + m, k_most_edits); ++d) {
    rounds.push_back(v);
    std::vector<ptrdiff_t> next(static_cast<size_t>(2 * d + 5), 0);
    for (ptrdiff_t k = -d; k <= d; k += 2) {
      const auto at = [&](ptrdiff_t diagonal) { return v[static_cast<size_t>(diagonal + d + 1)]; };
      ptrdiff_t x = d == 0                               ? 0
          : k == -d || (k != d && at(k - 1) < at(k + 1)) ? at(k + 1)
                                                         : at(k - 1) + 1;
      ptrdiff_t y = x - k;
      while (x < n && y < m && a[static_cast<size_t>(x)] == b[static_cast<size_t>(y)])
        ++x, ++y;
      next[static_cast<size_t>(k + d + 2)] = x;
      if (x >= n && y >= m)
        return walk_back(a, b, rounds);
    }
    v = std::move(next);
  }
  return replaced(a, b);
}

std::string range(size_t start, size_t count) {
  return cat(count == 0 ? start : start + 1, count == 1 ? "" : cat(",", count));
}

std::string hunk(const std::vector<Edit>& edits, size_t from, size_t to, size_t a, size_t b) {
  size_t in_a = 0, in_b = 0;
  std::string body;
  for (size_t i = from; i < to; ++i) {
    in_a += edits[i].sign != '+';
    in_b += edits[i].sign != '-';
    body += edits[i].sign;
    body += edits[i].line;
    if (!edits[i].line.ends_with('\n'))
      body += "\n\\ No newline at end of file\n";
  }
  return cat("@@ -", range(a, in_a), " +", range(b, in_b), " @@\n", body);
}

} // namespace

std::string unified_diff(std::string_view before, std::string_view after,
    std::string_view before_name, std::string_view after_name) {
  if (before == after)
    return {};
  const auto a = lines_of(before), b = lines_of(after);
  const auto edits = edits_of(a, b);
  std::string out = cat("--- ", before_name, "\n+++ ", after_name, "\n");
  size_t line_a = 0, line_b = 0;
  for (size_t i = 0; i < edits.size();) {
    const auto changed = [&](const Edit& edit) { return edit.sign != ' '; };
    const auto first = static_cast<size_t>(
        std::find_if(edits.begin() + static_cast<ptrdiff_t>(i), edits.end(), changed) -
        edits.begin());
    if (first == edits.size())
      break;
    const size_t from = std::max(i, first - std::min(first, k_around));
    size_t last = first, to = first;
    for (; to < edits.size() && to - last <= 2 * k_around; ++to)
      if (changed(edits[to]))
        last = to;
    to = std::min(last + 1 + k_around, edits.size());
    line_a += from - i;
    line_b += from - i;
    out += hunk(edits, from, to, line_a, line_b);
    for (size_t j = from; j < to; ++j) {
      line_a += edits[j].sign != '+';
      line_b += edits[j].sign != '-';
    }
    i = to;
  }
  return out;
}

} // namespace chillbox
