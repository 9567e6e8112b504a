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

// The lines, head first; no lines for a table without rows. An empty cell becomes "-".
// The text in lines of at most so many columns, broken at spaces; a longer word has one of its own.
std::vector<std::string> wrap(std::string_view text, size_t width);
std::vector<std::string> render(const Table& table);
// The columns that a text needs: its UTF-8 characters, each one column wide.
size_t columns_of(std::string_view text);
// Prints the table to standard output with a bold head; without rows it prints when_empty as a
// status.
void print_table(Terminal& terminal, const Table& table, std::string_view when_empty);

} // namespace chillbox::cli
