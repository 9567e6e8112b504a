#include "os/disk_tree.hpp"

#include "base/text.hpp"
#include "os/files.hpp"
#include "os/tree_digest.hpp"
#include "os/tree_walk.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <memory>

namespace chillbox::os {
namespace {

constexpr size_t k_frozen_piece = 128 * 1024;

class TreeFreezer {
public:
  TreeFreezer(const Owner* owner, std::optional<uid_t> belongs_to)
      : m_owner(owner), m_belongs_to(belongs_to),
        m_buffer(std::make_unique<char[]>(k_frozen_piece)) {}
  std::string digest() { return m_digest.done(); }

  // The directory first: once it is the new owner's, nobody else adds to it or renames in it, and
  // what is read below stays as it was read.
  Result<void> directory(const At& at, const std::string& relative) {
    struct stat st{};
    if (::fstat(at.fd, &st) != 0)
      return fail_io("look at", at.path, errno);
    TRY(check_owner(st, at.path));
    TRY(freeze(at.fd, st, 0700, at.path));
    m_digest.directory(st.st_mode, relative);
    for (const Entry& there : TRY(entries_in(at)))
      TRY(entry(at, there, relative));
    return {};
  }

private:
  Result<void> entry(const At& at, const Entry& entry, const std::string& relative) {
    const auto& [name, kind] = entry;
    const std::string path = relative.empty() ? name : cat(relative, "/", name);
    if (S_ISDIR(kind)) {
      const Fd fd = TRY(enter(at, name));
      return directory(At{fd.get(), at.below(name), at.depth + 1}, path);
    }
    if (S_ISLNK(kind))
      return link(at, name, path);
    if (S_ISREG(kind))
      return file(at, name, path);
    return fail_kind(at, name, kind);
  }

  Result<void> link(const At& at, const std::string& name, const std::string& relative) {
    if (m_belongs_to)
      TRY(check_owner(TRY(stat_at(at, name)), at.below(name)));
    if (m_owner != nullptr && ::geteuid() == 0 &&
        ::fchownat(at.fd, name.c_str(), m_owner->uid, m_owner->gid, AT_SYMLINK_NOFOLLOW) != 0)
      return fail_io("change owner of", at.below(name), errno);
    m_digest.link(relative, TRY(link_target(at, name)));
    return {};
  }

  Result<void> file(const At& at, const std::string& name, const std::string& relative) {
    OpenFile in = TRY(open_file(at, name));
    TRY(check_owner(in.st, at.below(name)));
    // Before it gets another owner: its other name may be somebody else's file, /etc/shadow for
    // one. What is frozen already stays as it is: an earlier release has it as well.
    if (m_owner != nullptr && in.st.st_nlink > 1 && !is_frozen(in.st, frozen(in.st, 0400)))
      return fail(Code::denied,
          cat(at.below(name), ": it has ", in.st.st_nlink, " names; hard links are not allowed"));
    TRY(freeze(in.fd.get(), in.st, 0400, at.below(name)));
    if (m_owner != nullptr)
      TRY(check_no_writer(in.fd.get(), at.below(name)));
    m_digest.file(in.st.st_mode, relative, static_cast<uint64_t>(in.st.st_size));
    // One byte more than there should be, so that a small file takes one call.
    for (uint64_t left = static_cast<uint64_t>(in.st.st_size), read = 0;;) {
      const size_t most = static_cast<size_t>(std::min<uint64_t>(left + 1, k_frozen_piece));
      const ssize_t n = ::pread(in.fd.get(), m_buffer.get(), most, static_cast<off_t>(read));
      if (n < 0 && errno == EINTR)
        continue;
      if (n < 0)
        return fail_io("read", at.below(name), errno);
      if (static_cast<uint64_t>(n) > left || (n == 0 && left > 0))
        return fail(Code::corrupt, cat("read ", at.below(name), ": it changed while it was read"));
      m_digest.bytes(m_buffer.get(), static_cast<size_t>(n));
      left -= static_cast<uint64_t>(n);
      read += static_cast<uint64_t>(n);
      if (left == 0 && static_cast<size_t>(n) < most)
        return {};
    }
  }

  // Whoever opened it before it was frozen, or was handed it by a process that has ended, could
  // write to it for ever. The kernel gives a lease for reading only while nobody has the file open
  // for writing; from here on nobody but root can. Some file systems have no leases.
  static Result<void> check_no_writer(int fd, const std::string& path) {
    if (::fcntl(fd, F_SETLEASE, F_RDLCK) == 0)
      ::fcntl(fd, F_SETLEASE, F_UNLCK);
    else if (errno == EAGAIN)
      return fail(Code::denied, cat(path, ": a process still has it open for writing"));
    return {};
  }

  Result<void> check_owner(const struct stat& st, const std::string& path) const {
    if (m_belongs_to && st.st_uid != *m_belongs_to)
      return fail(
          Code::denied, cat(path, ": it belongs to uid ", st.st_uid, ", not to ", *m_belongs_to));
    return {};
  }

  // Nothing for others to write, no setuid; the group reads what the owner reads, because the
  // site's user is in the group only.
  static mode_t frozen(const struct stat& st, mode_t at_least) {
    return (st.st_mode & 0755) | at_least | ((st.st_mode & 0500) >> 3);
  }
  bool is_frozen(const struct stat& st, mode_t mode) const {
    return (st.st_mode & 07777) == mode &&
        (::geteuid() != 0 || (st.st_uid == m_owner->uid && st.st_gid == m_owner->gid));
  }

  Result<void> freeze(int fd, struct stat& st, mode_t at_least, const std::string& path) {
    if (m_owner == nullptr)
      return {};
    const mode_t mode = frozen(st, at_least);
    if (!is_frozen(st, mode))
      TRY(set_owner_and_mode(fd, *m_owner, mode, path));
    st.st_mode = (st.st_mode & S_IFMT) | mode;
    return {};
  }

  const Owner* m_owner;
  std::optional<uid_t> m_belongs_to;
  std::unique_ptr<char[]> m_buffer;
  TreeDigest m_digest;
};

} // namespace

Result<std::string> digest_tree(
    const std::string& dir, const Owner* freeze_for, std::optional<uid_t> owner) {
  const Fd fd = TRY(open_directory(dir));
  ::signal(SIGIO, SIG_IGN); // which root would send by opening a file in the moment of its lease
  TreeFreezer freezer(freeze_for, owner);
  TRY(freezer.directory(At{fd.get(), dir}, ""));
  if (freeze_for != nullptr)
    TRY(sync_filesystem(fd.get(), dir));
  return freezer.digest();
}

} // namespace chillbox::os
