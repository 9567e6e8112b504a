// From fork to exec, in one place. Everything is prepared before the fork; between fork and exec
// the child only makes system calls, because another thread may have held any lock of the process
// when it was copied. For this room only: Runner and Child are its users.
//
// The child gets: a session and process group of its own, all signals unblocked and at their
// defaults, umask 022, the descriptors in `fds` and no other. Needs Linux 5.11 (close_range with
// CLOEXEC).
//
// Contained, the child that is reaped is not the program but the first process of a pid namespace
// of its own, which starts the program, passes SIGTERM on to everything in there, and ends as the
// program does. With it the kernel ends whatever is left in the namespace, session or group of its
// own or not, and lets it be reaped only once that is empty. It ends with us, too.
#pragma once

#include "base/error.hpp"
#include "base/fd.hpp"
#include "os/limits.hpp"
#include "os/mount_view.hpp"
#include "os/runner.hpp"

#include <sys/types.h>

#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace chillbox::os {

struct Spawn {
  std::string program; // a path
  std::vector<std::string> argv;
  std::vector<std::pair<std::string, std::string>> env;
  std::string cwd = "/";
  std::optional<User> user;
  std::vector<gid_t> groups; // of the user, besides their own
  bool contained = false;
  bool no_network = false;
  bool no_new_privs = false;
  bool terminal = false;         // descriptor 0 becomes the terminal of its session
  bool ends_with_thread = false; // SIGKILL when the thread that starts it ends (PR_SET_PDEATHSIG)
  View view;
  Limits limits;           // those of each process; `group` replaces the others
  uint64_t soft_files = 0; // its soft limit of open files (soft_files.hpp); 0: ours
  int group = -1;          // the directory of the control group that the program is to be in
  std::vector<std::pair<int, int>> fds; // (ours, number in the child)
};

struct Spawned {
  pid_t pid = -1;
  Fd pidfd;
  Fd status; // for start_error; at its end of file the program runs
};

// An argument or a variable that exec cannot pass on is `invalid`.
Result<Spawned> spawn(const Spawn& plan);
// Why the program did not start, once `status` is readable or the child has ended; nothing when it
// did. The signal that ended one that was contained is put into its exit.
std::optional<Error> start_error(const Spawn& plan, const Fd& status, Exit* exit = nullptr);

int pidfd_signal(int pidfd, int number); // 0, or -1 and errno
// Reaps; the code as a shell says it. Call when the pidfd is readable, or to wait.
Exit reap(int pidfd);
Result<Fd> open_null(int flags);

} // namespace chillbox::os
