#include "os/disk_tree.hpp"

#include "base/text.hpp"
#include "os/files.hpp"
#include "os/tree_digest.hpp"
#include "os/tree_walk.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <memory>

namespace chillbox::os {
namespace {

constexpr size_t k_copied_piece = 128 * 1024;
constexpr int k_max_passes = 10'000;

Result<void> measure_below(const At& at, TreeSize& size) {
  for (const std::string& name : TRY(names_in(at))) {
    const struct stat st = TRY(stat_at(at, name));
    ++size.entries;
    if (!S_ISDIR(st.st_mode)) {
      size.bytes += static_cast<uint64_t>(st.st_size);
      continue;
    }
    const Fd fd = TRY(enter(at, name));
    TRY(measure_below(At{fd.get(), at.below(name), at.depth + 1}, size));
  }
  return {};
}

Result<void> links_below(const At& at, const std::string& above, std::vector<TreeLink>& links) {
  for (const std::string& name : TRY(names_in(at))) {
    const struct stat st = TRY(stat_at(at, name));
    if (S_ISLNK(st.st_mode)) {
      std::string target = TRY(link_target(at, name));
      links.push_back({above + name, std::move(target)});
    } else if (S_ISDIR(st.st_mode)) {
      const Fd fd = TRY(enter(at, name));
      TRY(links_below(At{fd.get(), at.below(name), at.depth + 1}, cat(above, name, "/"), links));
    }
  }
  return {};
}

// What lies too deep is moved up to `top` and removed in a later pass: a hostile build can nest
// deeper than there are descriptors.
Result<void> remove_below(const At& at, int top) {
  for (const std::string& name : TRY(names_in(at))) {
    if (::unlinkat(at.fd, name.c_str(), 0) == 0 || errno == ENOENT)
      continue;
    if (errno != EISDIR)
      return fail_io("remove", at.below(name), errno);
    if (at.depth + 1 >= k_max_depth) {
      if (::renameat(at.fd, name.c_str(), top, temporary_name("deep").c_str()) != 0)
        return fail_io("move", at.below(name), errno);
      continue;
    }
    const Fd fd = TRY(enter(at, name));
    TRY(remove_below(At{fd.get(), at.below(name), at.depth + 1}, top));
    if (::unlinkat(at.fd, name.c_str(), AT_REMOVEDIR) != 0 && errno != ENOENT)
      return fail_io("remove directory", at.below(name), errno);
  }
  return {};
}

Result<void> empty_directory(const At& top) {
  for (int pass = 0; pass < k_max_passes; ++pass) {
    if (TRY(names_in(top)).empty())
      return {};
    TRY(remove_below(top, top.fd));
  }
  return fail(Code::busy, cat("remove ", top.path, ": somebody keeps adding to it"));
}

// Computes the digest of what it reads, from the very bytes that it writes: nothing can be
// exchanged between the two.
class Copier {
public:
  explicit Copier(Owner owner)
      : m_owner(owner), m_buffer(std::make_unique<char[]>(k_copied_piece)) {}
  std::string digest() { return m_digest.done(); }

  Result<void> copy_directory(const At& from, const At& to, const std::string& relative) {
    struct stat self{};
    if (::fstat(from.fd, &self) != 0)
      return fail_io("look at", from.path, errno);
    m_digest.directory(self.st_mode, relative);
    for (const std::string& name : TRY(names_in(from))) {
      const struct stat st = TRY(stat_at(from, name));
      const std::string path = relative.empty() ? name : cat(relative, "/", name);
      if (S_ISREG(st.st_mode))
        TRY(copy_file(from, to, name, path, st));
      else if (S_ISLNK(st.st_mode))
        TRY(copy_link(from, to, name, path));
      else if (S_ISDIR(st.st_mode))
        TRY(descend(from, to, name, path));
      else
        return fail_kind(from, name, st.st_mode);
    }
    // Last, since the new owner need not be one who may write here.
    return set_owner_and_mode(to.fd, m_owner, 0750, to.path);
  }

private:
  Result<void> descend(
      const At& from, const At& to, const std::string& name, const std::string& relative) {
    const Fd source = TRY(enter(from, name));
    if (::mkdirat(to.fd, name.c_str(), 0700) != 0)
      return fail_io("make directory", to.below(name), errno);
    const Fd target = TRY(enter(to, name));
    return copy_directory(At{source.get(), from.below(name), from.depth + 1},
        At{target.get(), to.below(name), to.depth + 1}, relative);
  }

  Result<void> copy_link(
      const At& from, const At& to, const std::string& name, const std::string& relative) {
    const std::string target = TRY(link_target(from, name));
    m_digest.link(relative, target);
    if (::symlinkat(target.c_str(), to.fd, name.c_str()) != 0)
      return fail_io("link", to.below(name), errno);
    if (::geteuid() == 0 &&
        ::fchownat(to.fd, name.c_str(), m_owner.uid, m_owner.gid, AT_SYMLINK_NOFOLLOW) != 0)
      return fail_io("change owner of", to.below(name), errno);
    return {};
  }

  Result<void> copy_file(const At& from, const At& to, const std::string& name,
      const std::string& relative, const struct stat& seen) {
    const OpenFile in = TRY(open_file(from, name, seen));
    const Fd out(
        ::openat(to.fd, name.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
    if (!out)
      return fail_io("create", to.below(name), errno);
    m_digest.file(in.st.st_mode, relative, static_cast<uint64_t>(in.st.st_size));
    const uint64_t copied = TRY(copy_bytes(in.fd.get(), out.get(), to.below(name)));
    if (copied != static_cast<uint64_t>(in.st.st_size))
      return fail(Code::corrupt,
          cat("copy ", from.below(name), ": ", copied, " bytes came of ", in.st.st_size));
    return set_owner_and_mode(
        out.get(), m_owner, (in.st.st_mode & 0111) != 0 ? 0750 : 0640, to.below(name));
  }

  Result<uint64_t> copy_bytes(int in, int out, const std::string& path) {
    for (uint64_t copied = 0;;) {
      const ssize_t n = read_fully(in, m_buffer.get(), k_copied_piece);
      if (n < 0)
        return fail_io("copy to", path, errno);
      if (n == 0)
        return copied;
      m_digest.bytes(m_buffer.get(), static_cast<size_t>(n));
      TRY(write_file(out, {m_buffer.get(), static_cast<size_t>(n)}, path));
      copied += static_cast<uint64_t>(n);
    }
  }

  Owner m_owner;
  std::unique_ptr<char[]> m_buffer;
  TreeDigest m_digest;
};

Result<std::string> copy_into(
    const std::string& from, const std::string& parent, const std::string& temporary, Owner owner) {
  const Fd source = TRY(open_directory(from));
  const Fd above(::open(parent.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!above)
    return fail_io("open directory", parent, errno);
  const std::string path = cat(parent, "/", temporary);
  if (::mkdirat(above.get(), temporary.c_str(), 0700) != 0)
    return fail_io("make directory", path, errno);
  const Fd target = TRY(enter(At{above.get(), parent}, temporary));
  Copier copier(owner);
  TRY(copier.copy_directory(At{source.get(), from}, At{target.get(), path}, ""));
  TRY(sync_filesystem(target.get(), path));
  return copier.digest();
}

// A mount point: nothing can be renamed over it.
Result<std::string> fill_directory(const std::string& from, const std::string& to, Owner owner) {
  const Fd source = TRY(open_directory(from));
  const Fd target = TRY(open_directory(to));
  const At at{target.get(), to};
  if (!TRY(names_in(at)).empty())
    return fail(Code::conflict, cat("copy to ", printable(to, 1024), ": it already exists"));
  Copier copier(owner);
  auto copied = copier.copy_directory(At{source.get(), from}, at, "");
  if (copied)
    copied = sync_filesystem(target.get(), to);
  if (copied)
    return copier.digest();
  if (auto emptied = empty_directory(at); !emptied)
    copied.error().message += cat(" (and its rest stays: ", emptied.error().message, ")");
  return std::unexpected(std::move(copied).error());
}

Result<void> publish_file(const At& at, const std::string& name, const struct stat& seen) {
  const OpenFile file = TRY(open_file(at, name, seen));
  const mode_t mode = file.st.st_mode & 07777;
  const mode_t wanted = mode | 0004 | ((mode & 0111) != 0 ? 0001 : 0);
  if (mode != wanted && ::fchmod(file.fd.get(), wanted) != 0)
    return fail_io("change mode of", at.below(name), errno);
  return {};
}

Result<void> publish_below(const At& at) {
  struct stat self{};
  if (::fstat(at.fd, &self) != 0 || ::fchmod(at.fd, (self.st_mode & 07777) | 0005) != 0)
    return fail_io("change mode of", at.path, errno);
  for (const std::string& name : TRY(names_in(at))) {
    const struct stat st = TRY(stat_at(at, name));
    if (S_ISREG(st.st_mode)) {
      TRY(publish_file(at, name, st));
    } else if (S_ISDIR(st.st_mode)) {
      const Fd fd = TRY(enter(at, name));
      TRY(publish_below(At{fd.get(), at.below(name), at.depth + 1}));
    } else if (!S_ISLNK(st.st_mode)) {
      return fail_kind(at, name, st.st_mode);
    }
  }
  return {};
}

} // namespace

Result<TreeSize> measure_tree(const std::string& dir) {
  const Fd fd = TRY(open_directory(dir));
  TreeSize size;
  TRY(measure_below(At{fd.get(), dir}, size));
  return size;
}

Result<std::vector<TreeLink>> links_of_tree(const std::string& dir) {
  const Fd fd = TRY(open_directory(dir));
  std::vector<TreeLink> links;
  TRY(links_below(At{fd.get(), dir}, "", links));
  return links;
}

Result<void> remove_whole_tree(const std::string& path) {
  const std::string parent = parent_of(path), name = base_of(path);
  const Fd above(::open(parent.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!above && errno == ENOENT)
    return {};
  if (!above)
    return fail_io("open directory", parent, errno);
  if (::unlinkat(above.get(), name.c_str(), 0) != 0) {
    if (errno == ENOENT)
      return {};
    if (errno != EISDIR)
      return fail_io("remove", path, errno);
    const Fd fd = TRY(enter(At{above.get(), parent}, name));
    TRY(empty_directory(At{fd.get(), path}));
    if (::unlinkat(above.get(), name.c_str(), AT_REMOVEDIR) != 0)
      return fail_io("remove directory", path, errno);
  }
  return sync_names(above.get(), parent);
}

Result<std::string> copy_whole_tree(const std::string& from, const std::string& to, Owner owner) {
  struct stat st{};
  if (::lstat(to.c_str(), &st) == 0)
    return S_ISDIR(st.st_mode)
        ? fill_directory(from, to, owner)
        : fail(Code::conflict, cat("copy to ", printable(to, 1024), ": it already exists"));
  const std::string parent = parent_of(to), temporary = temporary_name(base_of(to));
  const std::string path = cat(parent, "/", temporary);
  Result<std::string> copied = copy_into(from, parent, temporary, owner);
  if (copied && ::rename(path.c_str(), to.c_str()) != 0)
    copied = fail_io("rename to", to, errno);
  if (copied) {
    TRY(sync_directory(parent));
    return copied;
  }
  if (Result<void> removed = remove_whole_tree(path); !removed)
    copied.error().message += cat(" (and its rest stays: ", removed.error().message, ")");
  return copied;
}

Result<void> make_tree_readable(const std::string& dir) {
  const Fd fd = TRY(open_directory(dir));
  TRY(publish_below(At{fd.get(), dir}));
  return sync_filesystem(fd.get(), dir);
}

} // namespace chillbox::os
