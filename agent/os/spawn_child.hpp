// What happens between fork and exec (os/spawn.hpp). For spawn only.
#pragma once

#include "os/listen_rules.hpp"
#include "os/spawn.hpp"

#include <sys/resource.h>

#include <array>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace chillbox::os {

enum class Step : int {
  ipc,
  network,
  mounts,
  view,
  descriptors,
  terminal,
  program,
  group,
  limits,
  groups,
  gid,
  uid,
  privileges,
  listening,
  parent,
  directory,
  exec,
  ended
};

struct Failure {
  Step step;
  int index; // of the call that makes the view
  int err;   // ended: the signal that did it
};

// All that the child reads, laid out before the fork.
struct Prepared {
  std::vector<char*> argv, envp;
  std::vector<std::string> texts; // what envp points to
  std::vector<Fd> sources; // above every target, so that no dup2 hits one that is still needed
  std::vector<int> targets;
  Fd status;
  Fd group;           // the directory of its control group
  bool moves = false; // there by itself, because it could not begin there
  Fd parent_fd; // of us: readable when we are gone. The number of a parent outside of the namespace
                // cannot be seen
  pid_t parent = ::getpid();
  std::vector<gid_t> groups;
  MountCalls mounts;
  // Of a program that runs as somebody else: no TCP port but a free one, which is nobody's.
  std::optional<ListenRules> listening;
  std::array<std::pair<int, rlim_t>, 5> limits{}; // 0: none
};

// fork(2) without the library's locks, into p.group at once: a process that moves there later waits
// 5 to 11 ms for the kernel. In one of version 1 nothing can begin, and the child moves. -1: errno.
pid_t split_off(Prepared& p, bool into_group, uint64_t flags);

// In the child: makes system calls only. A failure goes to `p.status`, and the child ends.
[[noreturn]] void run_child(const Spawn& plan, Prepared& p);

} // namespace chillbox::os
