#include "cli/core/prompt.hpp"

#include "base/fd.hpp"
#include "base/text.hpp"
#include "cli/core/daemon.hpp"
#include "cli/core/interrupt.hpp"

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <optional>

namespace chillbox::cli {
namespace {

constexpr size_t k_max_passphrase = 1000;
// A terminal keeps 4,095 bytes of a line, and drops the rest without a word.
constexpr size_t k_max_typed_line = 4094;

// Until there is something to read, or a signal has come whose effect is deferred: also one that
// came since it was last asked for. false: poll's error.
bool wait_for_input(int fd) {
  sigset_t all, before;
  ::sigfillset(&all);
  ::pthread_sigmask(SIG_BLOCK, &all, &before);
  pollfd readable{fd, POLLIN, 0};
  const bool waited = interrupted() || ::ppoll(&readable, 1, nullptr, &before) >= 0;
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
  return waited;
}

// Reads up to the end of the line, which is left out. It reads one byte at a time, because what
// follows the line is for another reader. nullopt: there was no line any more.
Result<std::optional<size_t>> read_line(int fd, std::span<uint8_t> out, std::string_view what) {
  for (size_t n = 0;;) {
    uint8_t byte = 0;
    const bool waited = wait_for_input(fd);
    if (interrupted())
      return fail(Code::interrupted, "interrupted");
    const ssize_t got = waited ? ::read(fd, &byte, 1) : -1;
    if (got < 0 && errno == EINTR)
      continue;
    if (got < 0)
      return fail_errno(cat("read ", what), errno);
    if (got == 0 && n == 0)
      return std::nullopt;
    if (got == 0 || byte == '\n')
      return n;
    if (n == out.size())
      return fail(Code::too_large, cat(what, ": longer than ", out.size(), " bytes"));
    out[n++] = byte;
  }
}

Result<SecretBytes> read_secret(int fd, std::string_view what, size_t limit) {
  SecretBytes line(limit);
  const size_t size = TRY(read_line(fd, line.span(), what)).value_or(0);
  if (size == 0)
    return fail(Code::invalid, cat(what, ": is empty"));
  line.truncate(size);
  return line;
}

Result<Fd> open_terminal(std::string_view meaning, std::string_view instead) {
  Fd terminal(::open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY));
  if (!terminal)
    return fail(Code::usage, cat(meaning, " needs a terminal, and there is none: ", instead));
  return terminal;
}

Result<SecretBytes> prompt_secret(
    int terminal, std::string_view prompt, std::string_view what, size_t limit) {
  const std::string text = cat(prompt, ": ");
  const EchoOff quiet(terminal); // before the prompt, in case someone types at once
  [[maybe_unused]] const ssize_t n = ::write(terminal, text.data(), text.size());
  return read_secret(terminal, what, limit);
}

Result<SecretBytes> prompt_passphrase(int terminal, std::string_view prompt) {
  return prompt_secret(terminal, prompt, "passphrase", k_max_passphrase);
}

} // namespace

Result<SecretBytes> read_passphrase(int fd) {
  if (::fcntl(fd, F_GETFD) < 0)
    return fail(Code::usage,
        cat("--passphrase-fd ", fd, ": no such descriptor is open: write for example ", fd,
            "<FILE after the command"));
  return read_secret(fd, cat("passphrase from descriptor ", fd), k_max_passphrase);
}

void say_on_terminal(std::string_view line) {
  const Fd terminal(::open("/dev/tty", O_WRONLY | O_CLOEXEC | O_NOCTTY));
  const std::string text = cat(line, "\n");
  [[maybe_unused]] const ssize_t n = ::write(terminal.get(), text.data(), text.size());
}

Result<SecretBytes> ask_passphrase(const Args& args, std::string_view prompt, Ask how) {
  if (args.has("passphrase-fd"))
    return read_passphrase(static_cast<int>(args.number("passphrase-fd", 0)));
  const Fd terminal = TRY(open_terminal("asking for the passphrase", "use --passphrase-fd N"));
  SecretBytes first = TRY(prompt_passphrase(terminal.get(), prompt));
  if (how == Ask::twice) {
    const SecretBytes again = TRY(prompt_passphrase(terminal.get(), "the same passphrase again"));
    if (!same(first.view(), again.view()))
      return fail(Code::invalid, "the two passphrases are not the same: nothing was changed");
  }
  return first;
}

Result<SecretBytes> ask_secret(std::string_view what, std::string_view more) {
  const Fd terminal = TRY(open_terminal("asking for a secret", "give it on standard input"));
  auto typed = prompt_secret(terminal.get(), cat(what, more), what, k_max_typed_line);
  if (!typed && typed.error().code == Code::too_large)
    return fail(Code::too_large, cat(typed.error().message, ": give it on standard input"));
  return typed;
}

Result<std::string> ask_line(
    std::string_view prompt, std::string_view meaning, std::string_view instead) {
  // Through the gate the terminal is the laptop's: its line comes on standard input.
  const Fd terminal = is_at_gate() ? Fd(::dup(STDIN_FILENO)) : TRY(open_terminal(meaning, instead));
  const std::string text = cat(prompt, ": ");
  [[maybe_unused]] const ssize_t n =
      ::write(is_at_gate() ? STDERR_FILENO : terminal.get(), text.data(), text.size());
  std::string line(200, '\0');
  const auto size = TRY(
      read_line(terminal.get(), {reinterpret_cast<uint8_t*>(line.data()), line.size()}, "answer"));
  if (!size)
    return is_at_gate()
        ? fail(Code::usage, cat(meaning, " needs an answer, and there is none: ", instead))
        : fail(Code::interrupted, "no answer");
  line.resize(*size);
  return line;
}

Result<bool> agree(const Call& call, std::string_view question, bool by_default) {
  if (call.args.has("yes"))
    return true;
  const auto answer = ask_line(cat(question, by_default ? " [Y/n]" : " [y/N]"), "", "");
  if (!answer && answer.error().code == Code::usage)
    return fail(Code::usage, cat(question, " There is no terminal to ask on: say -y"));
  const auto word = trim(TRY(answer));
  return word.empty() ? by_default : word.starts_with('y') || word.starts_with('Y');
}

Result<void> must_agree(const Call& call, std::string_view question, bool by_default) {
  if (TRY(agree(call, question, by_default)))
    return {};
  return fail(Code::failure, "nothing was changed");
}

Result<void> must_agree_at_terminal(const Call& call, std::string_view question) {
  auto agreed = must_agree(call, question, false);
  return agreed || agreed.error().code == Code::usage ? Result<void>{} : agreed; // no terminal
}

} // namespace chillbox::cli
