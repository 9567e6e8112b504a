// What a program sees of the file system: mounts in a namespace of its own, which nobody else sees
// and which go with its last process. Everything is laid out before the fork as a list of calls;
// the child only makes them. For Command and this room.
#pragma once

#include "base/error.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace chillbox::os {

// `from` as it is outside, also when it is hidden inside. Below a hidden directory the way to `to`
// is made, elsewhere it must be there.
struct Bind {
  std::string from, to;
  bool writable = false; // matters where the view is read-only
};

// An empty tmpfs at `path` that everybody may write to, up to `bytes`.
struct Scratch {
  std::string path;
  uint64_t bytes;
};

struct View {
  std::vector<std::string> hidden; // directories that are empty in it, but for what is bound below
                                   // them; one that does not exist is fine
  std::vector<Scratch> scratch;
  std::vector<Bind> binds;
  bool read_only = false; // all but `scratch` and what is bound as writable (Linux 5.12)
  bool own_proc = false;  // /proc of the process's own pid namespace
  bool plain() const {
    return hidden.empty() && scratch.empty() && binds.empty() && !read_only && !own_proc;
  }
};

class MountCalls {
public:
  MountCalls() = default;
  explicit MountCalls(const View& view);
  // In the child, after unshare(CLONE_NEWNS): system calls only. The number of the one that failed
  // and errno, or -1.
  int make();
  std::string what_failed(int number) const;

private:
  enum class Kind { take, hide, scratch, directory, file, place, proc, read_only, writable };
  struct Call {
    Kind kind;
    std::string path, data;
    size_t bind = 0;
  };
  void add_way(const View& view, const std::string& to, bool directory);
  int make(const Call& call);

  std::vector<Call> m_calls;
  std::vector<int> m_taken; // descriptors of the binds' sources, in the child
};

} // namespace chillbox::os
