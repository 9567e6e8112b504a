// Every call by which a program changes files or starts another program passes through a hook
// before it reaches the kernel: those of this code and those of SQLite. Linked into a test program
// (tests/rollout/calls_test.cpp) to fail or to record them, or preloaded into the chillboxd that is
// shipped (tests/crash/failpoint.cpp) to kill it there. Without a hook nothing happens. Only
// regular files, directories and links count: sockets, pipes, /proc and /dev are nobody's state.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <string_view>

namespace chillbox::test {

struct Call {
  enum class Kind {
    create,
    write,
    truncate,
    sync,
    sync_all,
    rename,
    exchange,
    mkdir,
    symlink,
    unlink,
    rmdir,
    chmod,
    chown,
    mount,
    spawn,
    link
  };
  Kind kind;
  std::string path;            // absolute, as the kernel names it
  std::string other = {};      // rename, exchange, link: the new path; symlink: its text
  std::string_view bytes = {}; // write: what was written
  int64_t number = 0;          // write: offset; truncate: size; create, mkdir, chmod: mode
};
std::string_view name(Call::Kind kind);

class CallHook {
public:
  virtual ~CallHook() = default;
  virtual int before(const Call& call) = 0; // 0: go on; else the call fails with this errno
  virtual void after(const Call& call) = 0; // it succeeded
};
// At most one; nullptr: none. Not while other threads are in a call.
void hook_calls(CallHook* hook);

} // namespace chillbox::test
