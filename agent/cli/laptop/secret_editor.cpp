#include "cli/laptop/secret_editor.hpp"

#include "base/fd.hpp"
#include "base/text.hpp"
#include "cli/core/file_input.hpp"
#include "cli/core/interrupt.hpp"
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
#include <filesystem>

namespace chillbox::cli {
namespace {

constexpr size_t k_max_edited = 1 << 20;

// Goes with everything in it.
class MemoryFolder {
public:
  static Result<MemoryFolder> create() {
    for (const std::string& place : {environment("XDG_RUNTIME_DIR"), std::string("/dev/shm")}) {
      if (place.empty() || !os::is_in_memory(place))
        continue;
      std::string path = cat(place, "/chillbox-edit-XXXXXX");
      if (::mkdtemp(path.data()) != nullptr)
        return MemoryFolder(std::move(path));
    }
    return fail(Code::usage,
        "an editor needs a file system in memory (tmpfs), so that no secret reaches a disk, and there is none: set the keys one by one");
  }
  MemoryFolder(MemoryFolder&& other) noexcept : m_path(std::exchange(other.m_path, "")) {}
  MemoryFolder& operator=(MemoryFolder&&) = delete;
  ~MemoryFolder() {
    std::error_code error;
    if (!m_path.empty())
      std::filesystem::remove_all(m_path, error);
  }
  const std::string& path() const { return m_path; }

private:
  explicit MemoryFolder(std::string path) : m_path(std::move(path)) {}
  std::string m_path;
};

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

} // namespace

Result<SecretString> edit_secret(const std::string& name, const SecretString& text) {
  if (::isatty(STDIN_FILENO) != 1)
    return fail(Code::usage, "an editor needs a terminal: use `secrets set` or `secrets import -`");
  const DeferInterrupt defer; // the folder goes first
  const auto folder = TRY(MemoryFolder::create());
  const std::string file = cat(folder.path(), "/", name);
  const Fd made(::open(file.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
  std::string_view rest = text;
  if (!made || os::write_fully(made.get(), rest) != 0)
    return fail_errno(cat("write ", file), errno);
  TRY(run_editor(file));
  const SecretBytes after = TRY(read_secret_input(file, k_max_edited));
  return SecretString(after.text().data(), after.size());
}

} // namespace chillbox::cli
