// chillboxd over its control socket, one exchange a connection.
#pragma once

#include "base/error.hpp"
#include "base/secret.hpp"
#include "cli/core/json_fields.hpp"
#include "control/json.hpp"
#include "os/paths.hpp"

#include <chrono>
#include <functional>
#include <string>
#include <string_view>

namespace chillbox::cli {

struct Question {
  std::string_view verb;
  Fields args = {};
  const SecretBytes* secret = nullptr;
  std::function<void(const Json&)> on_event = {};
  std::chrono::milliseconds timeout{30'000}; // for each frame; negative for ever
  int body = -1;                             // a descriptor whose bytes go behind the request
};

// The text of the result object. unreachable: nobody answers; denied: this user may not ask.
// error_data: what the error carries, as JSON.
Result<std::string> ask(
    const os::Paths& paths, const Question& question, std::string* error_data = nullptr);

// A running daemon takes over what was changed in its files; no daemon is fine. An error says that
// the change is saved.
Result<void> ask_reload(const os::Paths& paths);

} // namespace chillbox::cli
