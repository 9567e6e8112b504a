#include "cli/fleet/gate_host.hpp"

#include "base/fd.hpp"
#include "base/text.hpp"
#include "cli/core/prompt.hpp"
#include "os/host_layout.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>

namespace chillbox::cli {
namespace {

// It is at most 1,000 bytes long, which every pipe holds.
Result<Fd> pipe_line(const SecretBytes& passphrase) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0)
    return fail_errno("make a pipe", errno);
  Fd reads(ends[0]);
  const Fd writes(ends[1]);
  if (::write(writes.get(), passphrase.data(), passphrase.size()) !=
          static_cast<ssize_t>(passphrase.size()) ||
      ::write(writes.get(), "\n", 1) != 1)
    return fail_errno("write to ssh", errno);
  return reads;
}

} // namespace

bool is_gate(const Host& host) {
  const std::string user = cat(os::k_ssh_user, "@");
  return host.target.starts_with(user) || host.target.starts_with(cat("ssh://", user));
}

Result<int> run_asking(const Host& host, SshCommand command, const Questions& questions) {
  if (!is_gate(host))
    return run_on(host, command);
  command.terminal = false;
  Fd input;
  if (questions.passphrase) {
    const SecretBytes passphrase =
        TRY(ask_passphrase({}, cat("passphrase of ", printable(host.name, 200)), Ask::once));
    input = TRY(pipe_line(passphrase));
    command.words.insert(command.words.begin() + 1, "--passphrase-fd=0");
  } else if (questions.answer && ::isatty(STDIN_FILENO) != 1) {
    input = Fd(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  }
  if (input)
    command.input = input.get();
  return run_on(host, command);
}

Result<int> unlock_there(const Host& host, std::vector<std::string> words, bool terminal) {
  return run_asking(host, {std::move(words), terminal, -1, -1}, {.passphrase = true});
}

} // namespace chillbox::cli
