// The steps of a walk through a tree that somebody else may write in: from one open directory to
// the next, never by path, never through a link, never into another file system, at most
// k_max_depth levels.
#pragma once

#include "base/error.hpp"
#include "base/fd.hpp"

#include <sys/stat.h>

#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace chillbox::os {

// Deeper than any release (the stager refuses more than 32 levels, a venv adds a dozen); it bounds
// stack and descriptors.
constexpr int k_max_depth = 64;

// Where the walk is. The path is for messages only; what counts is the descriptor.
struct At {
  int fd;
  std::string path;
  int depth = 0;
  std::string below(std::string_view name) const; // as a message shows it
};

struct OpenFile {
  Fd fd;
  struct stat st;
};

struct Entry {
  std::string name;
  mode_t kind; // S_IFREG and the like, as the directory has it
};

// A directory whose entries are looked at later, in any thread: it stays open until then.
struct HeldDirectory {
  Fd fd;
  At at;
  std::string relative; // below the top of the walk; "" : the top
};
using Held = std::shared_ptr<const HeldDirectory>;
Held hold(Fd top, const std::string& path);
Result<Held> hold_below(const HeldDirectory& in, const std::string& name);

// "above/name", or the one of them that is not empty.
std::string relative_path(const std::string& above, const std::string& name);
Result<std::vector<std::string>> names_in(const At& at); // sorted by bytes
Result<std::vector<Entry>> entries_in(const At& at);     // by their names
Result<struct stat> stat_at(const At& at, const std::string& name);
Result<Fd> enter(const At& at, const std::string& name);
// The regular file that `seen` described: between the two calls it could have become something
// else.
Result<OpenFile> open_file(const At& at, const std::string& name, const struct stat& seen);
// The regular file of this name.
Result<OpenFile> open_file(const At& at, const std::string& name);
// As openat, and the time of the last access stays: to write one a file costs more than to read it.
int open_to_read(int directory, const std::string& name);
Result<std::string> link_target(const At& at, const std::string& name);
std::unexpected<Error> fail_kind(const At& at, const std::string& name, mode_t mode);

} // namespace chillbox::os
