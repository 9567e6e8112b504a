// Asks chillboxd through its control socket, one request per connection.
#pragma once

#include "base/error.hpp"
#include "base/secret.hpp"
#include "control/messages.hpp"
#include "os/paths.hpp"

#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

namespace chillbox::cli {

struct Question {
  std::string_view verb;
  control::Arguments args = {};
  const SecretBytes* secret = nullptr;
  std::function<void(const Json&)> on_event = {};
  std::chrono::milliseconds timeout{30'000}; // for each frame; negative: no limit
  int body = -1;                             // a descriptor whose bytes follow the request
};

// Until chillboxd is back after an upgrade or a restart, of which nothing tells: a pause, then it
// is asked again. It is back within a minute, or not at all.
inline constexpr std::chrono::milliseconds k_daemon_pause{250};
inline constexpr int k_daemon_tries = 240;

// From now on questions go by the people's socket, in this person's name (gate.hpp).
void ask_as(std::string person);
bool is_at_gate();

// The text of the result object. unreachable: nobody answers; denied: this user may not ask.
// error_data: the
// error's data.
Result<std::string> ask(
    const os::Paths& paths, const Question& question, control::ErrorData* error_data = nullptr);

// When chillboxd stops or dies while it is asked, as at an upgrade, what was begun continues: the
// next one is asked, with the question that `rest` makes each time; none: the error stays.
using RestOf = std::function<std::optional<Question>()>;
Result<std::string> ask_to_the_end(const os::Paths& paths, const Question& question,
    const RestOf& rest, control::ErrorData* error_data = nullptr);
// Of a chillboxd that may not be back yet.
Result<std::string> ask_next_one(
    const os::Paths& paths, const RestOf& rest, control::ErrorData* error_data, Error lost);

Question end_of_run(uint64_t id); // of a crontab entry or a command; waits for it

// Makes a running daemon read its files again; without a daemon nothing is to be done. The error
// says that the change itself is saved.
Result<void> ask_reload(const os::Paths& paths);

} // namespace chillbox::cli
