// Seam: running a program to its end. argv vectors only, never a shell line. The child inherits
// standard streams and nothing else; its process group (and whatever it left behind in it) is
// killed when the deadline passes or the caller stops waiting. What a site has a say in is run
// `contained`: nothing that it started is alive when run() returns.
#pragma once

#include "base/error.hpp"
#include "os/clock.hpp"
#include "os/limits.hpp"
#include "os/mount_view.hpp"

#include <sys/types.h>

#include <array>
#include <atomic>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace chillbox::os {

struct User {
  std::string name;
  uid_t uid = 0;
  gid_t gid = 0;
  std::string home = "/";
};
// not_found when there is no such user (or group).
Result<User> find_user(const std::string& name);
Result<gid_t> find_group(const std::string& name);

// For Command::cancelled: true once `stop` is set; nothing where there is no such flag.
std::function<bool()> when_set(const std::atomic<bool>* stop);

struct Command {
  std::vector<std::string> argv; // argv[0] is a path, or looked up in /usr/sbin:/usr/bin:/sbin:/bin
  std::vector<std::pair<std::string, std::string>>
      env; // the whole environment, besides a PATH when none is given
  std::string cwd = "/";
  std::optional<User> user; // in the user's own group and `groups` only; nullopt: as we are
  std::vector<gid_t> groups;
  std::string input;   // standard input
  std::string secrets; // its descriptor 3: what may be in no argument and no variable; "": none
  Millis timeout{60'000};
  size_t output_limit = 256 * 1024; // of stdout and of stderr; the rest is read and dropped. 0:
                                    // none is kept, on_line gets all
  // In a pid namespace (with a /proc of its own) and an IPC namespace: no session, double fork or
  // signal leads out of it, and with the program all that it started has ended, also when we are
  // killed. Needs root. Not for what has to signal others by their numbers or to leave a daemon.
  bool contained = false;
  Limits limits;           // those of all its processes together need `contained`
  std::string group;       // name of its control group; "": one is made up
  std::string join_group;  // the path of a control group that exists: it begins in there
  bool no_network = false; // an empty network namespace of its own
  bool no_new_privs = true;
  bool leaves_daemon =
      false; // it ends well and leaves a daemon in its group (supervise-daemon): that one lives on
  View view; // of the file system, in a mount namespace of its own
  // Its standard input, output and error are these descriptors of ours, and we read none of it;
  // nullopt: `input`, and two pipes. terminal: all three are one terminal, which becomes its own.
  std::optional<std::array<int, 3>> streams;
  bool terminal = false;
  Millis grace{2'000};      // from SIGTERM to SIGKILL
  std::vector<int> inherit; // descriptors that stay open, under the same numbers
  std::function<void(std::string_view line)> on_line; // each line of stdout and stderr as it comes
  std::function<bool()> cancelled;                    // looked at at least every 200 ms
  int cancel = -1; // a descriptor: it is cancelled once that one is readable
};

struct Exit {
  int code = -1; // 128 + signal when killed by one, as a shell says
  int signal = 0;
  std::string out;
  std::string err;
  std::string reached = {}; // "memory_max", "tasks_max": the limit of its control group that
                            // something of it came up against
  bool ok() const { return code == 0; }
};
// What a hook of backup/ or fetch/ says by its exit code (chillbox-hooks(7)).
Code hook_code(int exit);

// All of the file system read-only, nothing of sites, secrets or users in it but the `readable`
// directories, an empty /tmp of 64 MiB.
View view_of(const std::vector<std::string>& readable);
// For a program that reads what nobody has looked at yet: contained, no network, that view, and
// little memory, time and processes. Of the command, the limits that it has already stay.
void sandbox(Command& command, const std::vector<std::string>& readable);

class Runner {
public:
  virtual ~Runner() = default;
  // timed_out, interrupted (cancelled), not_found (no such program), failure (could not start). A
  // program that ran has an Exit, whatever its code.
  virtual Result<Exit> run(const Command& command) = 0;
};

// A regular file, links followed, that may be executed.
bool is_program(const std::string& path);

Runner& real_runner();

} // namespace chillbox::os
