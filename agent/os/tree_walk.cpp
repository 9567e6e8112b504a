#include "os/tree_walk.hpp"

#include "base/text.hpp"
#include "os/files.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <utility>

namespace chillbox::os {

std::string At::below(std::string_view name) const {
  return cat(path, "/", printable(name, 255));
}

Result<std::vector<Entry>> entries_in(const At& at) {
  // Opened again, because duplicates of one descriptor share their position in the directory.
  Fd fd(::openat(at.fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  DIR* stream = fd ? ::fdopendir(fd.get()) : nullptr;
  if (stream == nullptr)
    return fail_io("list", at.path, errno);
  fd.release(); // the stream's now
  std::vector<Entry> entries;
  errno = 0;
  while (const dirent* entry = ::readdir(stream)) {
    const std::string_view name = entry->d_name;
    if (name != "." && name != "..")
      entries.push_back({std::string(name), static_cast<mode_t>(DTTOIF(entry->d_type))});
    errno = 0;
  }
  const int err = errno;
  ::closedir(stream);
  if (err != 0)
    return fail_io("list", at.path, err);
  std::ranges::sort(entries, {}, &Entry::name);
  for (Entry& entry : entries)
    if (entry.kind == DTTOIF(DT_UNKNOWN)) // some file systems do not have it there
      entry.kind = TRY(stat_at(at, entry.name)).st_mode & S_IFMT;
  return entries;
}

Result<std::vector<std::string>> names_in(const At& at) {
  std::vector<std::string> names;
  for (Entry& entry : TRY(entries_in(at)))
    names.push_back(std::move(entry.name));
  return names;
}

Result<struct stat> stat_at(const At& at, const std::string& name) {
  struct stat st{};
  if (::fstatat(at.fd, name.c_str(), &st, AT_SYMLINK_NOFOLLOW) != 0)
    return fail_io("look at", at.below(name), errno);
  return st;
}

Result<Fd> enter(const At& at, const std::string& name) {
  if (at.depth >= k_max_depth)
    return fail(
        Code::denied, cat("enter ", at.below(name), ": more than ", k_max_depth, " levels deep"));
  Fd fd(::openat(at.fd, name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  struct stat outer{}, inner{};
  if (!fd || ::fstat(at.fd, &outer) != 0 || ::fstat(fd.get(), &inner) != 0)
    return fail_io("enter", at.below(name), errno);
  if (outer.st_dev != inner.st_dev)
    return fail(
        Code::denied, cat("enter ", at.below(name), ": another file system is mounted there"));
  return fd;
}

int open_to_read(int directory, const std::string& name) {
  // Not blocking, in case it became a fifo meanwhile.
  constexpr int flags = O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC;
  const int fd = ::openat(directory, name.c_str(), flags | O_NOATIME);
  return fd < 0 && errno == EPERM // it is another's, and we are not root
      ? ::openat(directory, name.c_str(), flags)
      : fd;
}

Result<OpenFile> open_file(const At& at, const std::string& name) {
  OpenFile file{Fd(open_to_read(at.fd, name)), {}};
  if (!file.fd || ::fstat(file.fd.get(), &file.st) != 0)
    return fail_io("open", at.below(name), errno);
  if (!S_ISREG(file.st.st_mode))
    return fail(Code::denied, cat("open ", at.below(name), ": it was exchanged while it was read"));
  return file;
}

Result<OpenFile> open_file(const At& at, const std::string& name, const struct stat& seen) {
  OpenFile file = TRY(open_file(at, name));
  if (file.st.st_ino != seen.st_ino || file.st.st_dev != seen.st_dev)
    return fail(Code::denied, cat("open ", at.below(name), ": it was exchanged while it was read"));
  return file;
}

Result<std::string> link_target(const At& at, const std::string& name) {
  std::array<char, 4096> target;
  const ssize_t n = ::readlinkat(at.fd, name.c_str(), target.data(), target.size());
  if (n < 0)
    return fail_io("read link", at.below(name), errno);
  return std::string(target.data(), static_cast<size_t>(n));
}

std::unexpected<Error> fail_kind(const At& at, const std::string& name, mode_t mode) {
  const std::string_view kind = S_ISFIFO(mode) ? "a fifo"
      : S_ISSOCK(mode)                         ? "a socket"
      : S_ISBLK(mode) || S_ISCHR(mode)         ? "a device"
                                               : "of unknown kind";
  return fail(Code::denied,
      cat(at.below(name), ": it is ", kind,
          "; only files, directories and symbolic links are allowed"));
}

Held hold(Fd top, const std::string& path) {
  const At at{top.get(), path};
  return std::make_shared<HeldDirectory>(HeldDirectory{std::move(top), at, ""});
}

Result<Held> hold_below(const HeldDirectory& in, const std::string& name) {
  Fd fd = TRY(enter(in.at, name));
  const At at{fd.get(), in.at.below(name), in.at.depth + 1};
  return std::make_shared<HeldDirectory>(
      HeldDirectory{std::move(fd), at, relative_path(in.relative, name)});
}

std::string relative_path(const std::string& above, const std::string& name) {
  return above.empty() || name.empty() ? cat(above, name) : cat(above, "/", name);
}

} // namespace chillbox::os
