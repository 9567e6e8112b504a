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

// The lines, head first; no rows: nothing at all. An empty cell is shown as "-".
std::vector<std::string> render(const Table& table);
// Columns that a text takes: UTF-8 characters, each one wide.
size_t columns_of(std::string_view text);
// To standard output with a bold head; without rows the note says what to do.
void print_table(Terminal& terminal, const Table& table, std::string_view when_empty);

} // namespace chillbox::cli
