// Asks a person, on /dev/tty and never on standard input. Without a terminal it fails at once and
// says what to do instead (faults 77). A passphrase is read without echo into guarded memory, or
// from a descriptor (--passphrase-fd N): its first line.
#pragma once

#include "base/error.hpp"
#include "base/secret.hpp"
#include "cli/core/verb.hpp"

#include <functional>
#include <string>
#include <string_view>

namespace chillbox::cli {

enum class Ask { once, twice };

// usage: no terminal and no --passphrase-fd; invalid: empty, or the two entries differ; too_large:
// over 1,000 bytes.
Result<SecretBytes> ask_passphrase(const Args& args, std::string_view prompt, Ask how);
Result<SecretBytes> read_passphrase(int fd);
// One line without echo, from the terminal alone. `what` is asked for, with `more` about it.
// invalid: empty; too_large: over 4,094 bytes, which is what a terminal takes in a line.
Result<SecretBytes> ask_secret(std::string_view what, std::string_view more);

void say_on_terminal(std::string_view line); // where it is asked; nothing without a terminal
// Asks, and again when `use` answers that it was wrong (denied): three times in all. One that comes
// from a descriptor has one try.
template <class T> Result<T> with_passphrase(const Args& args, std::string_view prompt,
    const std::function<Result<T>(const SecretBytes&)>& use) {
  constexpr int k_tries = 3;
  for (int tried = 1;; ++tried) {
    auto used = use(TRY(ask_passphrase(args, prompt, Ask::once)));
    if (used || used.error().code != Code::denied || tried == k_tries || args.has("passphrase-fd"))
      return used;
    say_on_terminal("wrong passphrase, try again");
  }
}

// Reads a line from the terminal, with echo. usage: no terminal: "MEANING needs a terminal, or
// INSTEAD"; interrupted: the end of the input, which is no empty line.
Result<std::string> ask_line(
    std::string_view prompt, std::string_view meaning, std::string_view instead);

// A yes or no, which -y answers too. usage: there is no terminal.
Result<bool> agree(const Call& call, std::string_view question, bool by_default);
// For what is not done without a yes. failure: "nothing was changed".
Result<void> must_agree(const Call& call, std::string_view question, bool by_default);
// For what a script does without a yes and a person at a terminal does not. failure: as above.
Result<void> must_agree_at_terminal(const Call& call, std::string_view question);

} // namespace chillbox::cli
