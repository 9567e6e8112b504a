// A table for people: columns as wide as their widest cell, two spaces between, no trailing spaces,
// no control characters.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace chillbox::cli {

struct Table {
  std::vector<std::string> head;
  std::vector<std::vector<std::string>> rows;
};

class Terminal;

// The lines, head first; no lines for a table without rows. An empty cell becomes "-". In a line
// of `width` columns, what does not fit stands below its row, indented.
std::vector<std::string> render(const Table& table, size_t width = std::string::npos);
// Lines of at most `width` columns, broken at spaces, those after the first indented. A longer word
// has a line of its own.
std::vector<std::string> fold(std::string_view text, size_t width, size_t indent);
// The columns that a text needs: its UTF-8 characters, each one column wide.
size_t columns_of(std::string_view text);
// Prints the table to standard output with a bold head; without rows it prints when_empty as a
// status.
void print_table(Terminal& terminal, const Table& table, std::string_view when_empty);

} // namespace chillbox::cli
