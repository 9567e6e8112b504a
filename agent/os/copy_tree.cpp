#include "os/disk_tree.hpp"

#include "base/text.hpp"
#include "os/files.hpp"
#include "os/tree_stamp.hpp"
#include "os/tree_walk.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>

namespace chillbox::os {
namespace {

constexpr size_t k_piece = 128 * 1024;

// Stamps what it reads by the very descriptors that it reads from.
class Copier {
public:
  Copier(Owner owner, const TreeCopy& how)
      : m_owner(owner), m_how(how), m_buffer(std::make_unique<char[]>(2 * k_piece)) {}
  std::string stamp() { return m_stamp.done(); }

  Result<void> copy(const At& from, const At& to) {
    const Fd like = m_how.like.empty() ? Fd{} : open_directory(m_how.like).value_or(Fd{});
    struct stat there{}, here{};
    const bool same = like && ::fstat(like.get(), &there) == 0 && ::fstat(to.fd, &here) == 0 &&
        there.st_dev == here.st_dev;
    return copy_directory({from, to, same ? like.get() : -1, "", false});
  }

private:
  // Where the walk is in the three trees; `like` is -1 where that one has no such directory.
  struct Place {
    const At& from;
    const At& to;
    int like;
    std::string relative;
    bool published;
  };
  struct File {
    const OpenFile& in;
    std::string path; // of the copy, for messages
    mode_t mode;
  };

  Result<void> copy_directory(const Place& at) {
    struct stat self{};
    if (::fstat(at.from.fd, &self) != 0)
      return fail_io("look at", at.from.path, errno);
    m_stamp.add(at.relative, self);
    for (const auto& [name, kind] : TRY(entries_in(at.from))) {
      const std::string path = at.relative.empty() ? name : cat(at.relative, "/", name);
      if (S_ISREG(kind))
        TRY(copy_file(at, name, path));
      else if (S_ISLNK(kind))
        TRY(copy_link(at, name, path));
      else if (S_ISDIR(kind))
        TRY(descend(at, name, path));
      else
        return fail_kind(at.from, name, kind);
    }
    // Last, since the new owner need not be one who may write here.
    return set_owner_and_mode(at.to.fd, m_owner, at.published ? 0755 : 0750, at.to.path);
  }

  Result<void> descend(const Place& at, const std::string& name, const std::string& relative) {
    const Fd source = TRY(enter(at.from, name));
    if (::mkdirat(at.to.fd, name.c_str(), 0700) != 0)
      return fail_io("make directory", at.to.below(name), errno);
    const Fd target = TRY(enter(at.to, name));
    const Fd like(at.like < 0
            ? -1
            : ::openat(at.like, name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    const At from{source.get(), at.from.below(name), at.from.depth + 1};
    const At to{target.get(), at.to.below(name), at.to.depth + 1};
    return copy_directory({from, to, like.get(), relative,
        at.published || std::ranges::find(m_how.published, relative) != m_how.published.end()});
  }

  Result<void> copy_link(const Place& at, const std::string& name, const std::string& relative) {
    m_stamp.add(relative, TRY(stat_at(at.from, name)));
    const std::string target = TRY(link_target(at.from, name));
    if (::symlinkat(target.c_str(), at.to.fd, name.c_str()) != 0)
      return fail_io("link", at.to.below(name), errno);
    if (::geteuid() == 0 &&
        ::fchownat(at.to.fd, name.c_str(), m_owner.uid, m_owner.gid, AT_SYMLINK_NOFOLLOW) != 0)
      return fail_io("change owner of", at.to.below(name), errno);
    return {};
  }

  Result<void> copy_file(const Place& at, const std::string& name, const std::string& relative) {
    const OpenFile in = TRY(open_file(at.from, name));
    m_stamp.add(relative, in.st);
    const bool program = (in.st.st_mode & 0111) != 0;
    const mode_t mode = program ? 0750 : 0640, readable = program ? 0005 : 0004;
    const File file{in, at.to.below(name), at.published ? mode | readable : mode};
    return at.like >= 0 && is_like(at, name, file) &&
            ::linkat(at.like, name.c_str(), at.to.fd, name.c_str(), 0) == 0
        ? Result<void>{}
        : make_file(at, name, file);
  }

  // Nobody but root changes the files of that tree: one that is the same has one more name.
  bool is_like(const Place& at, const std::string& name, const File& file) const {
    const Fd fd(::openat(at.like, name.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
    struct stat st{};
    if (!fd || ::fstat(fd.get(), &st) != 0 || st.st_size != file.in.st.st_size ||
        st.st_mode != (S_IFREG | file.mode) ||
        (::geteuid() == 0 && (st.st_uid != m_owner.uid || st.st_gid != m_owner.gid)))
      return false;
    char* const other = m_buffer.get() + k_piece;
    for (off_t at_byte = 0; at_byte < st.st_size;) {
      const ssize_t n = ::pread(file.in.fd.get(), m_buffer.get(), k_piece, at_byte);
      if (n <= 0 || ::pread(fd.get(), other, static_cast<size_t>(n), at_byte) != n ||
          std::memcmp(m_buffer.get(), other, static_cast<size_t>(n)) != 0)
        return false;
      at_byte += n;
    }
    return true;
  }

  Result<void> make_file(const Place& at, const std::string& name, const File& file) {
    const Fd out(::openat(
        at.to.fd, name.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
    if (!out)
      return fail_io("create", file.path, errno);
    const uint64_t copied = TRY(copy_bytes(file.in.fd.get(), out.get(), file.path));
    if (copied != static_cast<uint64_t>(file.in.st.st_size))
      return fail(Code::corrupt,
          cat("copy ", at.from.below(name), ": ", copied, " bytes came of ", file.in.st.st_size));
    return set_owner_and_mode(out.get(), m_owner, file.mode, file.path);
  }

  Result<uint64_t> copy_bytes(int in, int out, const std::string& path) {
    for (uint64_t copied = 0;;) {
      const ssize_t n = ::pread(in, m_buffer.get(), k_piece, static_cast<off_t>(copied));
      if (n < 0 && errno == EINTR)
        continue;
      if (n < 0)
        return fail_io("copy to", path, errno);
      if (n == 0)
        return copied;
      TRY(write_file(out, {m_buffer.get(), static_cast<size_t>(n)}, path));
      copied += static_cast<uint64_t>(n);
    }
  }

  Owner m_owner;
  const TreeCopy& m_how;
  std::unique_ptr<char[]> m_buffer; // two pieces
  TreeStamp m_stamp;
};

Result<std::string> copy_into(const std::string& from, const std::string& parent,
    const std::string& temporary, Owner owner, const TreeCopy& how) {
  const Fd source = TRY(open_directory(from));
  const Fd above(::open(parent.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!above)
    return fail_io("open directory", parent, errno);
  const std::string path = cat(parent, "/", temporary);
  if (::mkdirat(above.get(), temporary.c_str(), 0700) != 0)
    return fail_io("make directory", path, errno);
  const Fd target = TRY(enter(At{above.get(), parent}, temporary));
  Copier copier(owner, how);
  TRY(copier.copy(At{source.get(), from}, At{target.get(), path}));
  TRY(sync_filesystem(target.get(), path));
  return copier.stamp();
}

// A mount point: nothing can be renamed over it.
Result<std::string> fill_directory(
    const std::string& from, const std::string& to, Owner owner, const TreeCopy& how) {
  const Fd source = TRY(open_directory(from));
  const Fd target = TRY(open_directory(to));
  const At at{target.get(), to};
  if (!TRY(names_in(at)).empty())
    return fail(Code::conflict, cat("copy to ", printable(to, 1024), ": it already exists"));
  Copier copier(owner, how);
  auto copied = copier.copy(At{source.get(), from}, at);
  if (copied)
    copied = sync_filesystem(target.get(), to);
  if (copied)
    return copier.stamp();
  if (auto emptied = empty_directory(at); !emptied)
    copied.error().message += cat(" (and its rest stays: ", emptied.error().message, ")");
  return std::unexpected(std::move(copied).error());
}

} // namespace

Result<std::string> copy_whole_tree(
    const std::string& from, const std::string& to, Owner owner, const TreeCopy& how) {
  struct stat st{};
  if (::lstat(to.c_str(), &st) == 0)
    return S_ISDIR(st.st_mode)
        ? fill_directory(from, to, owner, how)
        : fail(Code::conflict, cat("copy to ", printable(to, 1024), ": it already exists"));
  const std::string parent = parent_of(to), temporary = temporary_name(base_of(to));
  const std::string path = cat(parent, "/", temporary);
  Result<std::string> copied = copy_into(from, parent, temporary, owner, how);
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

} // namespace chillbox::os
