// Prints an answer of the daemon: unchanged with --json, else as a table.
#pragma once

#include "cli/core/daemon.hpp"
#include "cli/core/table.hpp"
#include "cli/core/terminal.hpp"
#include "cli/core/verb.hpp"

namespace chillbox::cli {

inline constexpr uint64_t k_default_lines = 20;

// `rows` adds the rows of the answer to the table.
template <class Rows> Result<void> show_table(
    Call& call, const Question& question, Table table, std::string_view when_empty, Rows rows) {
  const auto answer = ask(call.paths, question, &call.error_data);
  if (!answer)
    return std::unexpected(answer.error());
  if (call.terminal.json()) {
    call.terminal.print(*answer);
    return {};
  }
  TRY(rows(*answer, table));
  print_table(call.terminal, table, when_empty);
  return {};
}

} // namespace chillbox::cli
