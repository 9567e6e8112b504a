// Prints an answer of the daemon: unchanged with --json, else as a table or as the verb likes.
#pragma once

#include "cli/core/daemon.hpp"
#include "cli/core/table.hpp"
#include "cli/core/terminal.hpp"
#include "cli/core/verb.hpp"

#include <optional>

namespace chillbox::cli {

inline constexpr uint64_t k_default_lines = 20;
inline constexpr uint64_t k_default_releases = 100;

// The answer; none if it was printed, with --json.
template <class T> Result<std::optional<T>> ask_or_print(Call& call, const Question& question) {
  const auto text = ask(call.paths, question, &call.error_data);
  if (!text)
    return std::unexpected(text.error());
  if (call.terminal.json()) {
    call.terminal.print(*text);
    return std::optional<T>();
  }
  auto answer = control::read_answer<T>(*text);
  if (!answer)
    return std::unexpected(std::move(answer.error()));
  return std::optional<T>(std::move(*answer));
}

// `add_rows` adds the rows of the answer to the table.
template <class T, class Rows> Result<void> show_table(
    Call& call, const Question& question, Table table, std::string_view when_empty, Rows add_rows) {
  const auto answer = ask_or_print<T>(call, question);
  if (!answer)
    return std::unexpected(answer.error());
  if (!*answer)
    return {};
  add_rows(**answer, table);
  print_table(call.terminal, table, when_empty);
  return {};
}

} // namespace chillbox::cli
