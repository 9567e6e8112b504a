#include "openrc/service_log.hpp"

#include "base/fd.hpp"
#include "base/text.hpp"
#include "os/log_index.hpp"

#include <fcntl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

namespace chillbox::openrc {
namespace {

constexpr std::string_view k_program = "/usr/lib/chillbox/chillbox-log";

struct Pipe {
  Fd read, write;
};

Result<Pipe> make_pipe() {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0)
    return fail_errno("pipe", errno);
  return Pipe{Fd(ends[0]), Fd(ends[1])};
}

struct Words {
  std::string program, name, size, files, release;
};

constexpr int k_dir = 3, k_secrets = 4;

// The starter has no descriptor but the keeper's: pipe and directories. The launcher waits for it,
// so from then on nobody has a copy of what the launcher holds, such as the port that the service
// binds next.
bool keep_only(const Pipe& pipe, const Fd& dir, const Fd& secrets) {
  const Fd null(::open("/dev/null", O_RDWR | O_CLOEXEC));
  const int far_dir = ::fcntl(dir.get(), F_DUPFD_CLOEXEC, k_secrets + 1);
  const int far_secrets = ::fcntl(secrets.get(), F_DUPFD_CLOEXEC, k_secrets + 1); // -1: no set
  for (const auto& [from, to] : {std::pair{pipe.read.get(), 0}, std::pair{null.get(), 1},
           std::pair{null.get(), 2}, std::pair{far_dir, k_dir}})
    if (::dup2(from, to) < 0)
      return false;
  if (far_secrets >= 0 && ::dup2(far_secrets, k_secrets) < 0)
    return false;
  const auto above = static_cast<unsigned>(far_secrets >= 0 ? k_secrets : k_dir) + 1;
  return ::syscall(SYS_close_range, above, ~0U, 0U) == 0;
}

[[noreturn]] void become_keeper(const Words& words, pid_t starter) {
  ::setsid();
  while (::getppid() ==
      starter) // it is ending; what confines the program wants to know whose child it is
    ::usleep(200);
  ::execl(words.program.c_str(), "chillbox-log", words.name.c_str(), words.size.c_str(),
      words.files.c_str(), words.release.c_str(), nullptr);
  ::_exit(1);
}

} // namespace

Result<void> pipe_to_log(const SlotSpec& spec, const os::Paths& paths) {
  if (spec.log.empty() || spec.log_size == 0)
    return {};
  const auto slash = spec.log.rfind('/');
  const std::string path = spec.log.substr(0, slash);
  const Words words{paths.root + std::string(k_program), spec.log.substr(slash + 1),
      std::to_string(spec.log_size), std::to_string(spec.log_files),
      std::to_string(os::release_number(spec.release))};
  if (::access(words.program.c_str(), X_OK) != 0)
    return fail_errno(cat("run ", words.program), errno);
  const Fd dir(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!dir)
    return fail_errno(cat("open ", path), errno);
  const Fd secrets(
      ::open(paths.secrets_of(spec.name.site).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  const auto pipe = TRY(make_pipe());
  // Twice, so that it is init's child: a service does not expect one that it did not start.
  const pid_t starter = ::fork();
  if (starter < 0)
    return fail_errno("fork", errno);
  if (starter == 0) {
    const pid_t self = ::getpid();
    const pid_t keeper = keep_only(pipe, dir, secrets) ? ::fork() : -1;
    if (keeper == 0)
      become_keeper(words, self);
    ::_exit(keeper < 0 ? 1 : 0);
  }
  int status = 0;
  while (::waitpid(starter, &status, 0) < 0 && errno == EINTR) {}
  if (status != 0)
    return fail(Code::failure, "the process that keeps the log cannot be started");
  if (::dup2(pipe.write.get(), STDOUT_FILENO) < 0 || ::dup2(pipe.write.get(), STDERR_FILENO) < 0)
    return fail_errno("redirect output", errno);
  return {};
}

} // namespace chillbox::openrc
