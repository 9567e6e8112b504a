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

} // namespace

size_t columns_of(std::string_view text) {
  return static_cast<size_t>(std::ranges::count_if(
      text, [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; }));
}

std::vector<std::string> wrap(std::string_view text, size_t width) {
  std::vector<std::string> lines{""};
  for (const auto word : split(text, ' ')) {
    if (!lines.back().empty() && columns_of(lines.back()) + 1 + columns_of(word) > width)
      lines.emplace_back();
    if (!lines.back().empty())
      lines.back() += ' ';
    lines.back() += word;
  }
  return lines;
}

std::vector<std::string> render(const Table& table) {
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
  std::vector<std::string> lines;
  for (const auto& cells : shown)
    lines.push_back(line_of(cells, widths));
  return lines;
}

void print_table(Terminal& terminal, const Table& table, std::string_view when_empty) {
  const auto lines = render(table);
  if (lines.empty())
    terminal.print_status(when_empty);
  for (size_t i = 0; i < lines.size(); ++i)
    terminal.print(i == 0 ? terminal.out(Style::bold, lines[i]) : lines[i]);
}

} // namespace chillbox::cli
