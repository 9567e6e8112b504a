#include "os/disk.hpp"

#include "base/log.hpp"
#include "base/text.hpp"
#include "os/atomic_file.hpp"
#include "os/disk_tree.hpp"
#include "os/files.hpp"
#include "os/shared_dir.hpp"
#include "os/tree_walk.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <map>
#include <memory>
#include <mutex>

namespace chillbox::os {
namespace {

struct CloseDir {
  void operator()(DIR* dir) const { ::closedir(dir); }
};

Result<OpenFile> open_regular(const std::string& path) {
  // Not blocking, because opening a fifo would wait for its writer.
  OpenFile file{Fd(::open(path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC)), {}};
  if (!file.fd || ::fstat(file.fd.get(), &file.st) != 0)
    return fail_io("read", path, errno);
  if (!S_ISREG(file.st.st_mode))
    return fail(Code::invalid, cat("read ", printable(path, 1024), ": not a regular file"));
  return file;
}

Result<std::string> read_file(const std::string& path, size_t limit) {
  const OpenFile file = TRY(open_regular(path));
  const auto size = static_cast<size_t>(file.st.st_size); // 0 of the kernel's own
  if (std::array<char, 4096> page; size > 0 && size <= std::min(limit, page.size())) {
    const ssize_t got = read_some(file.fd.get(), page.data(), page.size());
    if (got == file.st.st_size)
      return std::string(page.data(), size); // in one call
    if (::lseek(file.fd.get(), 0, SEEK_SET) < 0)
      return fail_io("read", path, errno);
  }
  return read_all(file.fd.get(), limit, cat("read ", printable(path, 1024)));
}

Result<std::string> read_tail(const std::string& path, uint64_t from, size_t limit) {
  const OpenFile file = TRY(open_regular(path));
  const auto size = static_cast<uint64_t>(file.st.st_size);
  // Shorter than where we were: it was rotated, and all of it is new.
  uint64_t at = from > size ? 0 : from;
  at = std::max(at, size > limit ? size - limit : 0);
  std::string out(static_cast<size_t>(size - at), '\0');
  if (::lseek(file.fd.get(), static_cast<off_t>(at), SEEK_SET) < 0)
    return fail_io("read", path, errno);
  const ssize_t got = read_fully(file.fd.get(), out.data(), out.size());
  if (got < 0)
    return fail_io("read", path, errno);
  out.resize(static_cast<size_t>(got));
  return out;
}

// mkdir with its missing parents, each made durable in its own parent.
Result<void> make_missing(const std::string& path, mode_t mode) {
  for (int attempt = 0; attempt < 2; ++attempt) {
    if (::mkdir(path.c_str(), mode) == 0)
      return sync_directory(parent_of(path));
    if (errno == EEXIST)
      return {};
    if (errno != ENOENT || parent_of(path) == path)
      break;
    TRY(make_missing(parent_of(path), 0755));
  }
  return fail_io("make directory", path, errno);
}

Result<void> make_directory(const std::string& path, mode_t mode, Owner owner) {
  struct stat st{};
  if (::lstat(path.c_str(), &st) != 0)
    TRY(make_missing(path, 0700)); // closed until owner and mode are right
  const Fd fd = TRY(open_directory(path));
  if (::fstat(fd.get(), &st) != 0)
    return fail_io("make directory", path, errno);
  const bool owned = ::geteuid() != 0 || (st.st_uid == owner.uid && st.st_gid == owner.gid);
  if (owned && (st.st_mode & 07777) == mode)
    return {};
  TRY(set_owner_and_mode(fd.get(), owner, mode, path));
  return sync_file(fd.get(), path);
}

Result<void> make_new_directory(const std::string& path) {
  TRY(make_missing(parent_of(path), 0755));
  if (::mkdir(path.c_str(), 0700) == 0)
    return sync_directory(parent_of(path));
  return errno == EEXIST ? fail(Code::conflict, cat(printable(path, 1024), " already exists"))
                         : Result<void>(fail_io("make directory", path, errno));
}

Result<std::optional<Found>> look_up(const std::string& path) {
  struct stat st{};
  if (::lstat(path.c_str(), &st) == 0)
    return Found{.directory = S_ISDIR(st.st_mode), .owner = {st.st_uid, st.st_gid}};
  if (errno == ENOENT || errno == ENOTDIR)
    return std::optional<Found>();
  return fail_io("look at", path, errno);
}

Result<void> switch_link(const std::string& target, const std::string& path) {
  const std::string dir = parent_of(path);
  const Fd fd(::open(dir.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd)
    return fail_io("open directory", dir, errno);
  const std::string temporary = temporary_name(base_of(path));
  if (::symlinkat(target.c_str(), fd.get(), temporary.c_str()) != 0)
    return fail_io("link", path, errno);
  // A rename over the old link: a reader finds one or the other, never none.
  if (::renameat(fd.get(), temporary.c_str(), fd.get(), base_of(path).c_str()) != 0) {
    const int err = errno;
    ::unlinkat(fd.get(), temporary.c_str(), 0);
    return fail_io("link", path, err);
  }
  return sync_names(fd.get(), dir);
}

Result<std::vector<std::string>> list_names(const std::string& dir) {
  std::vector<std::string> names;
  const std::unique_ptr<DIR, CloseDir> stream(
      ::opendir(dir.c_str())); // close-on-exec by its contract
  if (!stream && errno == ENOENT)
    return names;
  if (!stream)
    return fail_io("list", dir, errno);
  errno = 0;
  while (const dirent* entry = ::readdir(stream.get())) {
    const std::string_view name = entry->d_name;
    if (name != "." && name != "..")
      names.emplace_back(name);
    errno = 0;
  }
  if (errno != 0)
    return fail_io("list", dir, errno);
  std::sort(names.begin(), names.end());
  return names;
}

class RealDisk final : public Disk {
public:
  Result<std::string> read(const std::string& path, size_t limit) override {
    return read_file(path, limit);
  }

  Result<std::optional<std::string>> read_link(const std::string& path) override {
    std::array<char, 4096> target;
    const ssize_t n = ::readlink(path.c_str(), target.data(), target.size());
    if (n >= 0)
      return std::optional(std::string(target.data(), static_cast<size_t>(n)));
    if (errno == ENOENT)
      return std::optional<std::string>();
    if (errno == EINVAL)
      return fail(
          Code::invalid, cat("read link ", printable(path, 1024), ": it is not a symbolic link"));
    return fail_io("read link", path, errno);
  }

  Result<std::vector<std::string>> list(const std::string& dir) override { return list_names(dir); }

  bool exists(const std::string& path) override {
    struct stat st{};
    return ::lstat(path.c_str(), &st) == 0;
  }

  uint64_t size(const std::string& file) override {
    struct stat st{};
    return ::stat(file.c_str(), &st) == 0 ? static_cast<uint64_t>(st.st_size) : 0;
  }

  Result<std::string> tail(const std::string& file, uint64_t from, size_t limit) override {
    return read_tail(file, from, limit);
  }

  Result<Space> space(const std::string& path) override {
    struct statvfs fs{};
    if (::statvfs(path.c_str(), &fs) != 0)
      return fail_io("measure space of", path, errno);
    const uint64_t block = fs.f_frsize;
    return Space{fs.f_bavail * block, fs.f_blocks * block, fs.f_favail, fs.f_files};
  }

  Result<TreeSize> measure(const std::string& dir) override { return measure_tree(dir); }

  Result<void> make_dir(const std::string& path, mode_t mode, Owner owner) override {
    return make_directory(path, mode, owner);
  }

  Result<std::optional<Found>> find(const std::string& path) override { return look_up(path); }
  Result<void> make_new_dir(const std::string& path) override { return make_new_directory(path); }

  Result<void> write(
      const std::string& path, std::string_view bytes, mode_t mode, Owner owner) override {
    AtomicFile file = TRY(AtomicFile::create(path, mode, owner));
    TRY(file.write(bytes));
    return file.commit();
  }

  Result<void> set_link(const std::string& target, const std::string& path) override {
    return switch_link(target, path);
  }

  Result<void> rename(const std::string& from, const std::string& to) override {
    if (::rename(from.c_str(), to.c_str()) != 0)
      return fail_io(cat("rename ", printable(from, 1024), " to"), to, errno);
    // The new name first: a crash between the two then leaves both names, not neither.
    TRY(sync_directory(parent_of(to)));
    if (parent_of(from) != parent_of(to))
      TRY(sync_directory(parent_of(from)));
    return {};
  }

  Result<void> remove(const std::string& path) override {
    if (::unlink(path.c_str()) == 0)
      return sync_directory(parent_of(path));
    if (errno == ENOENT)
      return {};
    return fail_io("remove", path, errno);
  }

  Result<void> remove_tree(const std::string& path) override { return remove_whole_tree(path); }

  Result<std::string> take_tree(const std::string& dir, Owner owner) override {
    return stamp_of_tree(dir, &owner);
  }
  Result<std::string> copy_tree(
      const std::string& from, const std::string& to, Owner owner, const TreeCopy& how) override {
    return copy_whole_tree(from, to, owner, how);
  }

  Result<std::string> freeze_tree(const std::string& dir, Owner owner) override {
    return digest_tree(dir, &owner);
  }
  Result<void> sync_with(const std::string& tree, const std::string& directory) override {
    const Fd top = TRY(open_directory(tree));
    struct stat there{}, here{};
    if (::fstat(top.get(), &there) != 0)
      return fail_io("look at", tree, errno);
    if (::stat(directory.c_str(), &here) != 0)
      return fail_io("look at", directory, errno);
    TRY(sync_filesystem(top.get(), tree));
    return there.st_dev == here.st_dev ? Result<void>{} : sync_directory(directory);
  }
  Result<void> share_dir(const std::string& top, const std::string& below, Owner owner) override {
    return share_directory(top, below, owner);
  }
  Result<void> make_world_readable(const std::string& dir) override {
    return make_tree_readable(dir);
  }
  // What is root's alone is read again only when its stamp is another one: that costs a tenth.
  Result<std::string> tree_digest(const std::string& dir, std::optional<uid_t> owner) override {
    if (owner != uid_t{0})
      return digest_tree(dir, nullptr, owner);
    const auto stamp = TRY(stamp_of_tree(dir)); // before the reading: what changes later shows
    {
      const std::lock_guard lock(m_mutex);
      if (const auto known = m_digests.find(dir);
          known != m_digests.end() && known->second.stamp == stamp)
        return known->second.digest;
    }
    auto digest = TRY(digest_tree(dir, nullptr, owner));
    const std::lock_guard lock(m_mutex);
    if (m_digests.size() >= k_known_digests)
      m_digests.clear();
    m_digests[dir] = {stamp, digest};
    return digest;
  }
  Result<std::vector<TreeLink>> tree_links(const std::string& dir) override {
    return links_of_tree(dir);
  }

  Result<void> append(const std::string& path, std::string_view bytes, mode_t mode) override {
    const Fd fd(::open(
        path.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, mode));
    if (!fd)
      return fail_io("append to", path, errno);
    return write_file(fd.get(), bytes, path);
  }

private:
  static constexpr size_t k_known_digests = 256;
  struct Known {
    std::string stamp, digest;
  };
  std::mutex m_mutex;
  std::map<std::string, Known> m_digests; // of trees that are root's alone
};

} // namespace

Result<void> write_if_changed(
    Disk& disk, const std::string& path, std::string_view text, mode_t mode, Owner owner) {
  const auto now = disk.read(path, text.size() + 1);
  return now && *now == text ? Result<void>{} : disk.write(path, text, mode, owner);
}

Disk& real_disk() {
  static RealDisk disk;
  return disk;
}

void sweep_temporaries(const std::string& dir, std::string_view beginning) {
  for (const std::string& name : list_names(dir).value_or(std::vector<std::string>{})) {
    if (!is_temporary_name(name) || !std::string_view(name).substr(1).starts_with(beginning))
      continue;
    const std::string path = cat(dir, "/", name);
    if (auto removed = remove_whole_tree(path); !removed)
      log::warn(removed.error().message);
    else
      log::info(cat(path, ": removed, because it was not written to the end"));
  }
}

std::string shortage_of(const FileSystem& disk, uint32_t reserve_percent) {
  const Space& space = disk.space;
  if (space.free_bytes < space.total_bytes / 100 * reserve_percent)
    return cat(disk.path, ": ", human_size(space.free_bytes), " of ", human_size(space.total_bytes),
        " free, less than the reserve of ", reserve_percent, " %: deploys are refused");
  if (space.total_inodes != 0 && space.free_inodes < space.total_inodes / 50)
    return cat(disk.path, ": ", space.free_inodes, " of ", space.total_inodes, " inodes free");
  return {};
}

} // namespace chillbox::os
