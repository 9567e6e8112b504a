#include "crash/calls.hpp"

#include <dlfcn.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <climits>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>

namespace chillbox::test {
namespace {

std::atomic<CallHook*> g_hook{nullptr};
std::atomic<pid_t> g_process{0};
thread_local bool t_inside = false; // the hook's own calls do not count

// Not in a child between fork and exec: its memory is a copy.
CallHook* hook() {
  CallHook* found = t_inside ? nullptr : g_hook.load();
  return found != nullptr && ::getpid() == g_process ? found : nullptr;
}

struct Inside {
  Inside() { t_inside = true; }
  ~Inside() { t_inside = false; }
};

std::string path_of(int fd) {
  std::array<char, PATH_MAX> path;
  const ssize_t n =
      ::readlink(("/proc/self/fd/" + std::to_string(fd)).c_str(), path.data(), path.size());
  return n > 0 ? std::string(path.data(), static_cast<size_t>(n)) : std::string();
}

std::string absolute(int dir, const char* path) {
  if (path == nullptr)
    return {};
  if (path[0] == '/')
    return path;
  return (dir == AT_FDCWD ? std::string("/") : path_of(dir) + "/") + path;
}

bool counts(const std::string& path) {
  for (const std::string_view prefix : {"/proc/", "/dev/null", "/dev/pts", "/sys/", "/memfd:"})
    if (path.starts_with(prefix))
      return false;
  return path.starts_with('/') && !path.ends_with(" (deleted)");
}

template <class Real> auto through(Call call, Real real) {
  CallHook* found = hook();
  if (found == nullptr || (call.kind != Call::Kind::spawn && !counts(call.path)))
    return real();
  {
    const Inside inside;
    if (const int err = found->before(call); err != 0) {
      errno = err;
      return static_cast<decltype(real())>(-1);
    }
  }
  const auto result = real();
  if (result < 0 || ::getpid() != g_process) // the child of a fork
    return result;
  const int kept = errno;
  if (call.kind == Call::Kind::write)
    call.bytes = call.bytes.substr(0, static_cast<size_t>(result));
  const Inside inside;
  found->after(call);
  errno = kept;
  return result;
}

// The offset is known before the call only; most calls have no hook and shall not pay.
int64_t position(int fd) {
  if (hook() == nullptr)
    return 0;
  struct stat st{};
  const int flags = ::fcntl(fd, F_GETFL);
  if ((flags & O_APPEND) != 0 && ::fstat(fd, &st) == 0)
    return st.st_size;
  return ::lseek(fd, 0, SEEK_CUR);
}

std::string known_path(int fd) {
  return hook() == nullptr ? std::string() : path_of(fd);
}
std::string known_path(int dir, const char* path) {
  return hook() == nullptr ? std::string() : absolute(dir, path);
}

} // namespace

std::string_view name(Call::Kind kind) {
  constexpr std::array<std::string_view, 16> k_names{"create", "write", "truncate", "sync",
      "sync-all", "rename", "exchange", "mkdir", "symlink", "unlink", "rmdir", "chmod", "chown",
      "mount", "spawn", "link"};
  return k_names[static_cast<size_t>(kind)];
}

void hook_calls(CallHook* hook) {
  g_process = ::getpid();
  g_hook = hook;
}

} // namespace chillbox::test

using namespace chillbox::test;
using Kind = Call::Kind;

#define REAL(NAME)                                                                                 \
  static const auto real = reinterpret_cast<decltype(&::NAME)>(::dlsym(RTLD_NEXT, #NAME))

extern "C" {

// Opening changes something when it makes or empties a file.
#define OPENED(DIR, PATH, CALL)                                                                    \
  mode_t mode = 0;                                                                                 \
  if ((flags & (O_CREAT | O_TMPFILE)) != 0) {                                                      \
    va_list rest;                                                                                  \
    va_start(rest, flags);                                                                         \
    mode = va_arg(rest, mode_t);                                                                   \
    va_end(rest);                                                                                  \
  }                                                                                                \
  const std::string at =                                                                           \
      (flags & (O_CREAT | O_TRUNC)) != 0 ? known_path(DIR, PATH) : std::string();                  \
  if (at.empty())                                                                                  \
    return CALL;                                                                                   \
  const bool is_new = ::access(at.c_str(), F_OK) != 0;                                             \
  if (!is_new && (flags & O_TRUNC) == 0)                                                           \
    return CALL;                                                                                   \
  return through({is_new ? Kind::create : Kind::truncate, at, {}, {},                              \
                     is_new ? static_cast<int64_t>(mode) : 0},                                     \
      [&] { return CALL; })

int open(const char* path, int flags, ...) {
  REAL(open);
  OPENED(AT_FDCWD, path, real(path, flags, mode));
}
int openat(int dir, const char* path, int flags, ...) {
  REAL(openat);
  OPENED(dir, path, real(dir, path, flags, mode));
}

ssize_t write(int fd, const void* data, size_t size) {
  REAL(write);
  return through(
      {Kind::write, known_path(fd), {}, {static_cast<const char*>(data), size}, position(fd)},
      [&] { return real(fd, data, size); });
}
ssize_t pwrite(int fd, const void* data, size_t size, off_t at) {
  REAL(pwrite);
  return through({Kind::write, known_path(fd), {}, {static_cast<const char*>(data), size}, at},
      [&] { return real(fd, data, size, at); });
}
// As between two file systems: what is written is then seen.
ssize_t copy_file_range(int in, off_t* in_at, int out, off_t* out_at, size_t size, unsigned flags) {
  REAL(copy_file_range);
  if (hook() == nullptr)
    return real(in, in_at, out, out_at, size, flags);
  errno = EXDEV;
  return -1;
}
int ftruncate(int fd, off_t size) noexcept {
  REAL(ftruncate);
  return through({Kind::truncate, known_path(fd), {}, {}, size}, [&] { return real(fd, size); });
}
int fsync(int fd) {
  REAL(fsync);
  return through({Kind::sync, known_path(fd)}, [&] { return real(fd); });
}
int fdatasync(int fd) {
  REAL(fdatasync);
  return through({Kind::sync, known_path(fd)}, [&] { return real(fd); });
}
int syncfs(int fd) noexcept {
  REAL(syncfs);
  return through({Kind::sync_all, known_path(fd)}, [&] { return real(fd); });
}

int rename(const char* from, const char* to) noexcept {
  REAL(rename);
  return through({Kind::rename, known_path(AT_FDCWD, from), known_path(AT_FDCWD, to)},
      [&] { return real(from, to); });
}
int renameat(int from_dir, const char* from, int to_dir, const char* to) noexcept {
  REAL(renameat);
  return through({Kind::rename, known_path(from_dir, from), known_path(to_dir, to)},
      [&] { return real(from_dir, from, to_dir, to); });
}
int mkdir(const char* path, mode_t mode) noexcept {
  REAL(mkdir);
  return through({Kind::mkdir, known_path(AT_FDCWD, path), {}, {}, static_cast<int64_t>(mode)},
      [&] { return real(path, mode); });
}
int mkdirat(int dir, const char* path, mode_t mode) noexcept {
  REAL(mkdirat);
  return through({Kind::mkdir, known_path(dir, path), {}, {}, static_cast<int64_t>(mode)},
      [&] { return real(dir, path, mode); });
}
int symlinkat(const char* text, int dir, const char* path) noexcept {
  REAL(symlinkat);
  return through(
      {Kind::symlink, known_path(dir, path), text}, [&] { return real(text, dir, path); });
}
int linkat(int from_dir, const char* from, int to_dir, const char* to, int flags) noexcept {
  REAL(linkat);
  return through({Kind::link, known_path(from_dir, from), known_path(to_dir, to)},
      [&] { return real(from_dir, from, to_dir, to, flags); });
}
int unlink(const char* path) noexcept {
  REAL(unlink);
  return through({Kind::unlink, known_path(AT_FDCWD, path)}, [&] { return real(path); });
}
int unlinkat(int dir, const char* path, int flags) noexcept {
  REAL(unlinkat);
  return through({(flags & AT_REMOVEDIR) != 0 ? Kind::rmdir : Kind::unlink, known_path(dir, path)},
      [&] { return real(dir, path, flags); });
}
int rmdir(const char* path) noexcept {
  REAL(rmdir);
  return through({Kind::rmdir, known_path(AT_FDCWD, path)}, [&] { return real(path); });
}
int chmod(const char* path, mode_t mode) noexcept {
  REAL(chmod);
  return through({Kind::chmod, known_path(AT_FDCWD, path), {}, {}, static_cast<int64_t>(mode)},
      [&] { return real(path, mode); });
}
int fchmod(int fd, mode_t mode) noexcept {
  REAL(fchmod);
  return through({Kind::chmod, known_path(fd), {}, {}, static_cast<int64_t>(mode)},
      [&] { return real(fd, mode); });
}
int fchown(int fd, uid_t user, gid_t group) noexcept {
  REAL(fchown);
  return through({Kind::chown, known_path(fd)}, [&] { return real(fd, user, group); });
}
int fchownat(int dir, const char* path, uid_t user, gid_t group, int flags) noexcept {
  REAL(fchownat);
  return through(
      {Kind::chown, known_path(dir, path)}, [&] { return real(dir, path, user, group, flags); });
}

#ifdef __GLIBC__ // which has a second name for those whose numbers may be large
int open64(const char* path, int flags, ...) {
  REAL(open64);
  OPENED(AT_FDCWD, path, real(path, flags, mode));
}
int openat64(int dir, const char* path, int flags, ...) {
  REAL(openat64);
  OPENED(dir, path, real(dir, path, flags, mode));
}
ssize_t pwrite64(int fd, const void* data, size_t size, off_t at) {
  return pwrite(fd, data, size, at);
}
int ftruncate64(int fd, off_t size) noexcept {
  return ftruncate(fd, size);
}
#endif

int mount(const char* source, const char* target, const char* type, unsigned long flags,
    const void* data) noexcept {
  static const auto real =
      reinterpret_cast<int (*)(const char*, const char*, const char*, unsigned long, const void*)>(
          ::dlsym(RTLD_NEXT, "mount"));
  return through({Kind::mount, known_path(AT_FDCWD, target)},
      [&] { return real(source, target, type, flags, data); });
}

pid_t fork(void) noexcept {
  REAL(fork);
  return through({Kind::spawn, {}}, [&] { return real(); });
}

// The exchange of two directories has no name in every libc.
long syscall(long number, ...) noexcept {
  static const auto real = reinterpret_cast<long (*)(long, ...)>(::dlsym(RTLD_NEXT, "syscall"));
  std::array<long, 6> a{};
  va_list rest;
  va_start(rest, number);
  for (long& argument : a)
    argument = va_arg(rest, long);
  va_end(rest);
  const auto call = [&] { return real(number, a[0], a[1], a[2], a[3], a[4], a[5]); };
  if (number == SYS_clone) // into namespaces, for which fork() has no argument
    return through({Kind::spawn, {}}, call);
  if (number != SYS_renameat2 || hook() == nullptr)
    return call();
  const auto path = [&](size_t i) {
    return absolute(static_cast<int>(a[i]), reinterpret_cast<const char*>(a[i + 1]));
  };
  const bool exchange = (static_cast<unsigned>(a[4]) & RENAME_EXCHANGE) != 0;
  return through({exchange ? Kind::exchange : Kind::rename, path(0), path(2)}, call);
}

} // extern "C"
