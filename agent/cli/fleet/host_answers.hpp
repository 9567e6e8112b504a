// What several hosts answer to one question, asked by ssh at the same time. A host that does not
// answer is an answer, too.
#pragma once

#include "base/json.hpp"
#include "cli/fleet/ssh.hpp"
#include "control/messages.hpp"

#include <nlohmann/json.hpp>

#include <optional>
#include <string>
#include <vector>

namespace chillbox::cli {

inline constexpr size_t k_most_answer = 8 << 20;

// {"code":..,"message":..} of a host that failed: its own, or without an answer the last line of
// ssh.
Json host_error(const HostResult& from, const std::string& last_line);

// Whether what it printed is its answer and no error, also with another exit code: `status` has 1
// for a site that is down.
bool is_answer(int code, std::string_view out);

template <class T> struct HostAnswer {
  std::string host;
  int exit = 0;
  std::optional<T> answer;   // if it is one
  std::string code, message; // else
};

// The words are those after "chillboxctl", with --json among them.
template <class T> Result<std::vector<HostAnswer<T>>> ask_hosts(
    const std::vector<Host>& hosts, const std::vector<std::string>& words) {
  ParallelSsh command;
  command.words = words;
  auto results = run_in_parallel(hosts, command);
  if (!results)
    return std::unexpected(results.error());
  std::vector<HostAnswer<T>> answers;
  for (size_t i = 0; i < results->size(); ++i) {
    const HostResult& from = (*results)[i];
    HostAnswer<T> one{
        .host = hosts[i].name, .exit = from.code, .answer = {}, .code = {}, .message = {}};
    auto read = is_answer(from.code, from.out) ? control::read_answer<T>(from.out)
                                               : Result<T>(fail(Code::failure, ""));
    if (read) {
      one.answer = std::move(*read);
    } else if (from.code == 0) {
      one.exit = exit_code(read.error().code);
      one.code = code_name(read.error().code);
      one.message = read.error().message;
    } else {
      const Json error = host_error(from, from.out);
      one.code = error.value("code", "");
      one.message = error.value("message", "");
    }
    answers.push_back(std::move(one));
  }
  return answers;
}

} // namespace chillbox::cli
