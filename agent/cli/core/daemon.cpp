#include "cli/core/daemon.hpp"

#include "cli/core/connection.hpp"

#include "base/fd.hpp"
#include "base/text.hpp"
#include "cli/core/terminal.hpp"
#include "control/control.hpp"
#include "os/socket.hpp"

#include <nlohmann/json.hpp>

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <thread>

namespace chillbox::cli {
namespace {

constexpr os::Millis k_daemon_timeout{5'000};

std::string s_person; // "": an operator asks

Result<Fd> connect(const os::Paths& paths) {
  const std::string path = s_person.empty() ? paths.control_socket() : paths.people_socket();
  if (::access(path.c_str(), R_OK | W_OK) != 0 && errno == EACCES)
    return fail(Code::denied,
        cat("you may not use ", path, ": run it as root, or join the group chillbox-admin"));
  auto fd = os::connect_unix(path, k_daemon_timeout);
  if (!fd)
    return fail(Code::unreachable, cat("chillboxd does not answer: ", fd.error().message));
  return fd;
}

} // namespace

void ask_as(std::string person) {
  s_person = std::move(person);
}

bool is_at_gate() {
  return !s_person.empty();
}

Result<std::string> ask(
    const os::Paths& paths, const Question& question, control::ErrorData* error_data) {
  int connection = -1;
  return ask_connected(paths, question, connection, error_data);
}

Result<std::string> ask_connected(const os::Paths& paths, const Question& question, int& connection,
    control::ErrorData* error_data) {
  say_command(cat("ask ", paths.control_socket(), " ", question.verb));
  const Fd fd = TRY(connect(paths));
  connection = fd.get();
  control::Arguments args = question.args;
  if (is_at_gate())
    args.person = s_person;
  return control::call(fd.get(), question.verb, args, question.secret, question.on_event,
      question.timeout, error_data, question.body);
}

Result<std::string> ask_to_the_end(const os::Paths& paths, const Question& question,
    const RestOf& rest, control::ErrorData* error_data) {
  int connection = -1;
  auto text = ask_connected(paths, question, connection, error_data);
  const bool nobody_was_there = connection < 0;
  if (text || text.error().code != Code::unreachable || nobody_was_there)
    return text;
  return ask_next_one(paths, rest, error_data, text.error());
}

Result<std::string> ask_next_one(
    const os::Paths& paths, const RestOf& rest, control::ErrorData* error_data, Error lost) {
  for (int tried = 0; tried < k_daemon_tries; ++tried) {
    const auto next = rest();
    if (!next)
      break;
    std::this_thread::sleep_for(k_daemon_pause);
    auto text = ask(paths, *next, error_data);
    if (text || text.error().code != Code::unreachable)
      return text;
    lost = text.error();
  }
  return std::unexpected(std::move(lost));
}

Question end_of_run(uint64_t id) {
  return {.verb = "run_show",
      .args = {.number = id, .wait = true},
      .timeout = std::chrono::milliseconds(-1)};
}

Result<void> ask_reload(const os::Paths& paths) {
  const auto answer = ask(paths, {.verb = "reload"});
  if (!answer && answer.error().code != Code::unreachable)
    return within("saved, but chillboxd found something wrong", answer.error());
  return {};
}

} // namespace chillbox::cli
