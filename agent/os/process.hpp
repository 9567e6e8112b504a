// Long-living children of ours (edge, vault, stager): this same program in another role, with the
// descriptors we give it and no others.
#pragma once

#include "base/error.hpp"
#include "base/fd.hpp"
#include "os/runner.hpp"

#include <sys/types.h>

#include <string>
#include <utility>
#include <vector>

namespace chillbox::os {

struct RoleCommand {
  std::vector<std::string> argv;          // argv[0] is shown by ps
  std::string program = "/proc/self/exe"; // after an upgrade replaced the file still the same one
  std::vector<std::pair<std::string, std::string>> env;
  std::vector<std::pair<int, int>>
      fds; // (ours, number in the child); 0,1,2: /dev/null, ours 2, ours 2 unless given
  // The kernel kills it when the thread that started it ends, so also when we are killed. For a
  // thread that waits for its child; a child of the main thread has it anyway. Any other role must
  // end on its own when its packet pair is closed.
  bool ends_with_thread = false;
};

// A child by pidfd: never signalled by a bare pid that could be somebody else's (faults 110).
// Killed and reaped when it goes.
class Child {
public:
  Child() = default;
  static Result<Child> start(const RoleCommand& command);
  // One that this process started before it executed another program (daemon/reexec.hpp).
  // not_found: not a child of ours that runs.
  static Result<Child> adopt(pid_t pid);
  pid_t release(); // it keeps running, and is neither killed nor reaped from here
  Child(Child&&) noexcept;
  Child& operator=(Child&&) noexcept;
  ~Child();
  pid_t pid() const { return m_pid; }
  int pidfd() const { return m_pidfd.get(); } // readable when it ended: for poll
  bool running() const { return m_pid > 0; }
  void signal(int number);
  // Its pidfd; it is neither killed nor reaped from here any more.
  Fd detach() {
    m_pid = -1;
    return std::move(m_pidfd);
  }
  // Waits for the end and reaps; the code as in Exit::code. timed_out: still running.
  Result<int> wait(Millis timeout = Millis{-1});

private:
  pid_t m_pid = -1;
  Fd m_pidfd;
};

// How a role ended, for messages: "code 3", "code 137 (killed)", "code 159 (a forbidden system
// call)".
std::string end_text(int code);

} // namespace chillbox::os
