#include "cli/core/table.hpp"

#include "base/text.hpp"
#include "cli/core/terminal.hpp"

#include <algorithm>

namespace chillbox::cli {
namespace {

std::string cell(const std::string& text) {
  return text.empty() ? "-" : printable(text, 512);
}

std::string line_of(const std::vector<std::string>& cells, const std::vector<size_t>& widths) {
  std::string line;
  for (size_t i = 0; i < cells.size(); ++i) {
    line += cells[i];
    if (i + 1 < cells.size())
      line.append(widths[i] - columns_of(cells[i]) + 2, ' ');
  }
  return line;
}

// How many bytes its first `columns` characters are.
size_t bytes_for(std::string_view text, size_t columns) {
  size_t at = 0;
  for (size_t seen = 0; at < text.size(); ++at)
    if ((static_cast<unsigned char>(text[at]) & 0xC0) != 0x80 && seen++ == columns)
      break;
  return at;
}

// How many columns a line of that width takes; the last may be cut into lines, see below.
size_t columns_that_fit(const std::vector<size_t>& widths, size_t width) {
  size_t used = 0, count = 0;
  for (const size_t column : widths) {
    used += column + (count == 0 ? 0 : 2);
    if (used > width)
      break;
    ++count;
  }
  return std::max<size_t>(count, 1);
}

// What did not fit, below its row: the words of the last column alone, others with their head.
std::vector<std::string> lines_below(const std::vector<std::string>& head,
    const std::vector<std::string>& cells, size_t from, size_t width, bool is_head) {
  constexpr size_t k_indent = 4;
  std::vector<std::string> parts, lines;
  for (size_t i = from; i < cells.size(); ++i)
    if (cells[i] != "-" && !cells[i].empty())
      parts.push_back(is_head || i + 1 == cells.size() ? cells[i] : cat(head[i], " ", cells[i]));
  if (parts.empty())
    return {};
  const size_t room = std::max(width, 2 * k_indent) - k_indent;
  for (std::string_view line : fold(join(parts, "  "), room, 0))
    for (; !line.empty(); line.remove_prefix(bytes_for(line, room)))
      lines.push_back(cat(std::string(k_indent, ' '), line.substr(0, bytes_for(line, room))));
  return lines;
}

} // namespace

size_t columns_of(std::string_view text) {
  return static_cast<size_t>(std::ranges::count_if(
      text, [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; }));
}

std::vector<std::string> fold(std::string_view text, size_t width, size_t indent) {
  std::vector<std::string> lines;
  std::string line;
  for (const auto word : split(text, ' ')) {
    const bool first = lines.empty() ? line.empty() : line.size() <= indent;
    if (!first && columns_of(line) + 1 + columns_of(word) > width) {
      lines.push_back(std::move(line));
      line = std::string(indent, ' ');
    } else if (!first) {
      line += ' ';
    }
    line += word;
  }
  lines.push_back(std::move(line));
  return lines;
}

std::vector<std::string> render(const Table& table, size_t width) {
  if (table.rows.empty())
    return {};
  std::vector<std::vector<std::string>> shown{table.head};
  for (const auto& row : table.rows) {
    auto& cells = shown.emplace_back();
    for (size_t i = 0; i < table.head.size(); ++i)
      cells.push_back(cell(i < row.size() ? row[i] : ""));
  }
  std::vector<size_t> widths(table.head.size());
  for (const auto& cells : shown)
    for (size_t i = 0; i < cells.size(); ++i)
      widths[i] = std::max(widths[i], columns_of(cells[i]));
  const size_t fitting = columns_that_fit(widths, width);
  std::vector<std::string> lines;
  for (const auto& cells : shown) {
    lines.push_back(
        line_of({cells.begin(), cells.begin() + static_cast<ptrdiff_t>(fitting)}, widths));
    for (auto& more : lines_below(table.head, cells, fitting, width, lines.size() == 1))
      lines.push_back(std::move(more));
  }
  return lines;
}

void print_table(Terminal& terminal, const Table& table, std::string_view when_empty) {
  const auto lines = render(table, terminal.out_width());
  if (lines.empty())
    terminal.print_status(when_empty);
  for (size_t i = 0; i < lines.size(); ++i)
    terminal.print(i == 0 ? terminal.out(Style::bold, lines[i]) : lines[i]);
}

} // namespace chillbox::cli
