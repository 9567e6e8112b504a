#include "daemon/reexec.hpp"

#include "base/text.hpp"
#include "os/runner.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <utility>

namespace chillbox::daemon {
namespace {

constexpr const char* k_variable =
    "CHILLBOX_HANDOVER"; // FORMAT CONTROL HOOK VAULT PID PEOPLE, numbers; none: -1
constexpr int k_format = 1;
constexpr os::Millis k_try_limit{20'000};

void close_on_exec(int fd, bool yes) {
  if (fd >= 0)
    (void)::fcntl(fd, F_SETFD, yes ? FD_CLOEXEC : 0);
}

void close_on_exec(const Inherited& h, bool yes) {
  for (const int fd : {h.control.get(), h.people.get(), h.hook.get(), h.vault.socket.get()})
    close_on_exec(fd, yes);
}

std::string text_of(const Inherited& h) {
  return cat(k_format, ' ', h.control.get(), ' ', h.hook.get(), ' ', h.vault.socket.get(), ' ',
      h.vault.pid, ' ', h.people.get());
}

} // namespace

Result<Inherited> take_inherited() {
  const char* found = ::getenv(k_variable);
  if (found == nullptr)
    return Inherited{};
  const std::string text = found;
  ::unsetenv(k_variable);
  std::array<int, 6> numbers{}; // an earlier version handed five over
  const int read = std::sscanf(text.c_str(), "%d %d %d %d %d %d", &numbers[0], &numbers[1],
      &numbers[2], &numbers[3], &numbers[4], &numbers[5]);
  if (read < 1 || numbers[0] != k_format)
    return fail(Code::conflict,
        cat("this program cannot take over from the one that runs (", printable(text, 40),
            "): `rc-service chillboxd restart` starts it, and locks the host"));
  Inherited h;
  for (const auto& [fd, number] : {std::pair{&h.control, numbers[1]}, {&h.hook, numbers[2]},
           {&h.vault.socket, numbers[3]}, {&h.people, numbers[5]}})
    if (number > STDERR_FILENO && ::fcntl(number, F_GETFD) >= 0)
      *fd = Fd(number);
  h.vault.pid = h.vault.socket ? numbers[4] : -1;
  close_on_exec(h, true);
  return h;
}

Result<void> try_program(const os::Paths& paths, const std::string& program) {
  os::Command command{
      .argv = {program, "--check"}, .env = {{k_variable, text_of({})}}, .timeout = k_try_limit};
  if (paths.testing())
    command.env.emplace_back("CHILLBOX_ROOT", paths.root);
  const auto exit = os::real_runner().run(command);
  if (!exit)
    return fail(Code::failure, exit.error().message);
  if (exit->ok())
    return {};
  const auto words = std::string_view(exit->err).substr(0, exit->err.find('\n'));
  return fail(Code::failure,
      cat(program, " --check ends with ", exit->code, words.empty() ? "" : ": ",
          printable(words, 500)));
}

Error execute(const std::string& program, const Inherited& inherited) {
  ::setenv(k_variable, text_of(inherited).c_str(), 1);
  close_on_exec(inherited, false);
  char* const argv[] = {const_cast<char*>(program.c_str()), nullptr}; // only read
  ::execv(program.c_str(), argv);
  const int err = errno;
  close_on_exec(inherited, true);
  ::unsetenv(k_variable);
  return fail_errno(cat("execute ", printable(program)), err).error();
}

} // namespace chillbox::daemon
