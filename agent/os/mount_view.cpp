#include "os/mount_view.hpp"

#include "base/text.hpp"

#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

namespace chillbox::os {
namespace {

// Newer than some C libraries that we build with; the same numbers on every architecture.
constexpr long k_open_tree = 428, k_move_mount = 429, k_mount_setattr = 442;
constexpr unsigned k_clone_tree = 1, k_from_descriptor = 4, k_recursive = 0x8000;
constexpr uint64_t k_read_only = 1; // MOUNT_ATTR_RDONLY

struct Attributes {
  uint64_t set, clear, propagation, user_namespace;
};

long set_attributes(const char* path, unsigned flags, Attributes attributes) {
  return ::syscall(k_mount_setattr, AT_FDCWD, path, flags, &attributes, sizeof attributes);
}

bool is_directory(const std::string& path) {
  struct stat st{};
  return ::stat(path.c_str(), &st) == 0 && S_ISDIR(st.st_mode);
}

bool is_below(std::string_view path, std::string_view dir) {
  return path.size() > dir.size() && path.starts_with(dir) && path[dir.size()] == '/';
}

} // namespace

// Sources are taken first, because their places may be hidden. Read-only comes last, because ways
// have to be made.
MountCalls::MountCalls(const View& view) : m_taken(view.binds.size(), -1) {
  for (size_t i = 0; i < view.binds.size(); ++i)
    m_calls.push_back({Kind::take, view.binds[i].from, {}, i});
  for (const auto& dir : view.hidden)
    if (is_directory(dir))
      m_calls.push_back({Kind::hide, dir, "size=64k,mode=755"});
  for (const auto& scratch : view.scratch) {
    add_way(view, scratch.path, true);
    m_calls.push_back({Kind::scratch, scratch.path, cat("mode=1777,size=", scratch.bytes)});
  }
  for (size_t i = 0; i < view.binds.size(); ++i) {
    add_way(view, view.binds[i].to, is_directory(view.binds[i].from));
    m_calls.push_back({Kind::place, view.binds[i].to, {}, i});
  }
  if (view.own_proc)
    m_calls.push_back({Kind::proc, "/proc", {}});
  if (!view.read_only)
    return;
  m_calls.push_back({Kind::read_only, "/", {}});
  for (const auto& scratch : view.scratch)
    m_calls.push_back({Kind::writable, scratch.path, {}});
  for (const auto& bind : view.binds)
    if (bind.writable)
      m_calls.push_back({Kind::writable, bind.to, {}});
}

// What is missing of a path below a place that is empty in this view.
void MountCalls::add_way(const View& view, const std::string& to, bool directory) {
  size_t from = std::string::npos;
  const auto look = [&](const std::string& empty) {
    if (is_below(to, empty) && is_directory(empty))
      from = std::min(from, empty.size());
  };
  for (const auto& dir : view.hidden)
    look(dir);
  for (const auto& scratch : view.scratch)
    look(scratch.path);
  while (from != std::string::npos) {
    from = to.find('/', from + 1);
    m_calls.push_back({from == std::string::npos && !directory ? Kind::file : Kind::directory,
        to.substr(0, from), {}});
  }
}

// --- In the child: system calls only from here on. ---

int MountCalls::make(const Call& call) {
  const char* path = call.path.c_str();
  switch (call.kind) {
  case Kind::take:
    return m_taken[call.bind] =
               static_cast<int>(::syscall(k_open_tree, AT_FDCWD, path, k_clone_tree | O_CLOEXEC));
  case Kind::hide:
    return ::mount("hidden", path, "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, call.data.c_str());
  case Kind::scratch:
    return ::mount("scratch", path, "tmpfs", MS_NOSUID | MS_NODEV, call.data.c_str());
  case Kind::directory: return ::mkdir(path, 0755) == 0 || errno == EEXIST ? 0 : -1;
  case Kind::file: return ::open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
  case Kind::place:
    return static_cast<int>(
        ::syscall(k_move_mount, m_taken[call.bind], "", AT_FDCWD, path, k_from_descriptor));
  case Kind::proc: return ::mount("proc", path, "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, nullptr);
  case Kind::read_only:
    return static_cast<int>(set_attributes(path, k_recursive, {k_read_only, 0, 0, 0}));
  case Kind::writable: break;
  }
  return static_cast<int>(set_attributes(path, 0, {0, k_read_only, 0, 0}));
}

int MountCalls::make() {
  int number = 0;
  for (const Call& call : m_calls) {
    if (make(call) < 0)
      return number;
    ++number;
  }
  return -1;
}

// --- In the parent ---

std::string MountCalls::what_failed(int number) const {
  const auto at = static_cast<size_t>(number);
  if (at >= m_calls.size())
    return "make its file system";
  const Call& call = m_calls[at];
  const std::string path = printable(call.path);
  switch (call.kind) {
  case Kind::take:
  case Kind::place: {
    // Both paths, whichever it was.
    std::string from, to;
    for (const Call& other : m_calls)
      if (other.bind == call.bind && other.kind == Kind::take)
        from = printable(other.path);
      else if (other.bind == call.bind && other.kind == Kind::place)
        to = printable(other.path);
    return cat("bind ", from, " to ", to);
  }
  case Kind::hide: return cat("hide ", path);
  case Kind::scratch: return cat("mount an empty tmpfs on ", path);
  case Kind::directory:
  case Kind::file: return cat("make ", path);
  case Kind::proc:
    return "mount a /proc of its own (in a container, that one must allow it: LXC calls it nesting)";
  case Kind::read_only: return "make its file system read-only (needs Linux 5.12)";
  case Kind::writable: break;
  }
  return cat("make ", path, " writable");
}

} // namespace chillbox::os
