// What a process gives up for good, each role in one call, made in its main before it reads a byte
// from anybody. Order: limits, chroot (if any), groups, gid, uid, no_new_privs, Landlock where the
// kernel has it, seccomp last.
#pragma once

#include "base/error.hpp"
#include "os/runner.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace chillbox::os {

// RLIMIT_CORE 0 and PR_SET_DUMPABLE 0: no core file, no ptrace or /proc/PID/mem by the same user
// (faults 79, 80). Every role, first of all.
Result<void> deny_core_and_ptrace();

enum class Profile {
  edge,  // accept, read, write, send and receive on what it has; threads, time, memory. No open,
         // socket, exec, ptrace, kill.
  vault, // read, write, send, receive, exit on what it has. No file, no network, no thread; memory
         // as far as memory_limit.
  log, // as vault, and *at() calls on files below its directory: openat, renameat, unlinkat, flock.
  stager,  // as vault, and *at() calls below its directory: openat, mkdirat, symlinkat, fchmod,
           // unlinkat, ... No network, no exec.
  courier, // read, write, send and receive on what it has and is sent; threads, time, memory. No
           // open, socket, connect, exec.
  dialer,  // as vault, and: a TCP socket, connected to one of connect_ports
};

struct Confinement {
  Profile profile;
  std::optional<User>
      user; // nullopt: stays who it is, without capabilities (the log's; tests that are not root)
  std::optional<std::string> chroot_to;     // the process's whole file system afterwards
  uint64_t memory_limit = 0;                // RLIMIT_AS in bytes, 0: none
  uint64_t file_limit = 0;                  // RLIMIT_FSIZE in bytes, 0: none
  uint64_t open_files = 0;                  // RLIMIT_NOFILE, 0: as it is
  bool locks_memory = false;                // lock_memory(), once what is not needed is given back
  std::vector<uint16_t> connect_ports = {}; // the dialer's, where the kernel knows (Linux 6.7)
};
// A forbidden system call afterwards ends the process by SIGSYS: exit code 159, the call's number
// in the kernel's log.
// - One thread only, so far: user, Landlock and memory limits are a thread's own or unsafe to
//   change under another one. busy otherwise.
// - Whatever opens files lazily must have done so: users and groups (find_user), locale,
//   std::random_device, hardware_concurrency(). The time zone is read here.
// - User root is refused. A parent that must not be outlived (PR_SET_PDEATHSIG) stays so: the
//   change of user would clear it.
// - Under musl a thread that aborts, other than the first, ends by SIGSYS instead of SIGABRT.
Result<void> confine(const Confinement& c);

// mlockall(current and, where the limit can be raised, future, as it is touched); denied where it
// is forbidden. Before confine(): needs root.
Result<void> lock_memory();

} // namespace chillbox::os
