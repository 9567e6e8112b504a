#include "cli/laptop/secret_editor.hpp"

#include "base/fd.hpp"
#include "base/text.hpp"
#include "cli/core/file_input.hpp"
#include "cli/core/interrupt.hpp"
#include "cli/core/prompt.hpp"
#include "cli/core/temporary_dir.hpp"
#include "cli/core/terminal.hpp"
#include "cli/fleet/ssh.hpp"
#include "cli/laptop/places.hpp"
#include "os/disk.hpp"
#include "os/io.hpp"
#include "os/mount.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>

namespace chillbox::cli {
namespace {

constexpr size_t k_max_edited = 1 << 20;

Result<TemporaryDir> folder_in_memory() {
  for (const std::string& place : {environment("XDG_RUNTIME_DIR"), std::string("/dev/shm")}) {
    if (place.empty() || !os::is_in_memory(place))
      continue;
    if (auto folder = TemporaryDir::create(place, "chillbox-edit"))
      return folder;
  }
  return fail(Code::usage,
      "an editor needs a file system in memory (tmpfs), so that no secret reaches a disk, and there is none: set the keys one by one");
}

Result<std::string> editor() {
  if (std::string given = TRY(load_user_config(Places::find())).editor; !given.empty())
    return given;
  for (const char* name : {"VISUAL", "EDITOR"})
    if (std::string given = environment(name); !given.empty())
      return given;
  return "vi";
}

// Through sh, as git does: "code --wait" are two words.
Result<void> run_editor(const std::string& file) {
  const std::string program = TRY(editor());
  const SignalsForChild guard;
  const pid_t child = ::fork();
  if (child < 0)
    return fail_errno("start the editor", errno);
  if (child == 0) {
    ::execl("/bin/sh", "sh", "-c", cat(program, " \"$@\"").c_str(), "sh", file.c_str(),
        static_cast<char*>(nullptr));
    ::_exit(127);
  }
  int status = 0;
  while (::waitpid(child, &status, 0) < 0)
    if (errno != EINTR)
      return fail_errno("wait for the editor", errno);
  if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
    return fail(Code::failure,
        cat("the editor (", printable(program, 80), ") failed: nothing was changed"));
  return {};
}

Result<void> take_edited(
    const std::string& file, const std::function<Result<void>(SecretString)>& take) {
  const SecretBytes after = TRY(read_secret_input(file, k_max_edited));
  return take(SecretString(after.text().data(), after.size()));
}

} // namespace

Result<void> check_editor() {
  if (::isatty(STDIN_FILENO) != 1)
    return fail(Code::usage, "an editor needs a terminal: use `secrets set` or `secrets import -`");
  return {};
}

Result<void> edit_secret(Call& call, const std::string& name, const SecretString& text,
    const std::function<Result<void>(SecretString)>& take) {
  TRY(check_editor());
  if (text.size() > k_max_edited)
    return fail(Code::too_large,
        cat(printable(name, 200), " has ", text.size(), " bytes, more than the limit of an edit, ",
            k_max_edited, ": set its keys one by one"));
  const DeferInterrupt defer; // the folder goes first
  const auto folder = TRY(folder_in_memory());
  const std::string file = cat(folder.path(), "/", name);
  const Fd made(::open(file.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
  std::string_view rest = text;
  if (!made || os::write_fully(made.get(), rest) != 0)
    return fail_errno(cat("write ", file), errno);
  while (true) {
    TRY(run_editor(file));
    const auto taken = take_edited(file, take);
    if (taken || interrupted())
      return taken;
    call.terminal.print_error(cat(call.terminal.err(Style::bad, "chillboxctl:"), " ",
        printable(taken.error().message, 2000)));
    const auto again =
        ask_line("edit it again? Without a yes what you typed is gone [Y/n]", "", "");
    if (!again || trim(*again).starts_with('n') || trim(*again).starts_with('N')) {
      call.error_printed = !call.terminal.json();
      return taken;
    }
  }
}

} // namespace chillbox::cli
