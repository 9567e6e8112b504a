#include "os/disk_tree.hpp"

#include "base/text.hpp"
#include "os/files.hpp"
#include "os/in_order.hpp"
#include "os/tree_digest.hpp"
#include "os/tree_walk.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>

namespace chillbox::os {
namespace {

constexpr size_t k_frozen_piece = 128 * 1024;

class TreeFreezer {
public:
  TreeFreezer(const Owner* owner, std::optional<uid_t> belongs_to)
      : m_owner(owner), m_belongs_to(belongs_to),
        m_items([this](Item& item, Room& room) { return freeze_item(item, room); },
            [this](Item& item) { return digest_item(item); }) {}

  Result<std::string> digest(Fd fd, const std::string& path) {
    TRY(directory(hold(std::move(fd), path)));
    TRY(m_items.finish());
    return m_digest.done();
  }

private:
  struct Item {
    Held in;
    std::string name; // empty: the directory itself
    mode_t kind, mode = 0;
    std::string target = {};     // of a link
    std::string_view bytes = {}; // of a small file, in the room of its batch
    Fd file = {};                // a large one
    uint64_t size = 0;
  };

  // The directory first: once it is the new owner's, nobody else adds to it or renames in it, and
  // what is read below stays as it was read.
  Result<void> directory(const Held& in) {
    const At& at = in->at;
    struct stat st{};
    if (::fstat(at.fd, &st) != 0)
      return fail_io("look at", at.path, errno);
    TRY(check_owner(st, at, ""));
    TRY(freeze(at.fd, st, 0700, at, ""));
    TRY(m_items.add({.in = in, .name = "", .kind = S_IFDIR, .mode = st.st_mode}));
    for (auto& [name, kind] : TRY(entries_in(at))) {
      if (S_ISDIR(kind)) {
        TRY(directory(TRY(hold_below(*in, name))));
      } else if (S_ISLNK(kind)) {
        TRY(link(in, std::move(name)));
      } else if (S_ISREG(kind)) {
        TRY(m_items.add({.in = in, .name = std::move(name), .kind = kind}));
      } else {
        return fail_kind(at, name, kind);
      }
    }
    return {};
  }

  Result<void> link(const Held& in, std::string name) {
    const At& at = in->at;
    if (m_belongs_to)
      TRY(check_owner(TRY(stat_at(at, name)), at, name));
    if (m_owner != nullptr && ::geteuid() == 0 &&
        ::fchownat(at.fd, name.c_str(), m_owner->uid, m_owner->gid, AT_SYMLINK_NOFOLLOW) != 0)
      return fail_io("change owner of", at.below(name), errno);
    std::string target = TRY(link_target(at, name));
    return m_items.add(
        {.in = in, .name = std::move(name), .kind = S_IFLNK, .target = std::move(target)});
  }

  // In any thread.
  Result<void> freeze_item(Item& item, Room& room) {
    if (!S_ISREG(item.kind))
      return {};
    const At& at = item.in->at;
    OpenFile in = TRY(open_file(at, item.name));
    TRY(check_owner(in.st, at, item.name));
    if (m_owner != nullptr) {
      // Before it gets another owner: its other name may be somebody else's file, /etc/shadow for
      // one. What is frozen already stays as it is: an earlier release has it as well.
      const bool was_frozen = is_frozen(in.st, frozen(in.st, 0400));
      if (in.st.st_nlink > 1 && !was_frozen)
        return fail(Code::denied,
            cat(at.below(item.name), ": it has ", in.st.st_nlink,
                " names; hard links are not allowed"));
      TRY(freeze(in.fd.get(), in.st, 0400, at, item.name));
      if (!was_frozen ||
          ::geteuid() != 0) // else nobody but root could ever write to it, or it was asked for then
        TRY(check_no_writer(in.fd.get(), at, item.name));
    }
    item.mode = in.st.st_mode;
    item.size = static_cast<uint64_t>(in.st.st_size);
    const std::span<char> rest = room.rest();
    if (item.size >= rest.size()) {
      item.file = std::move(in.fd);
      return {};
    }
    // One byte more than there should be, so that a small file takes one call.
    const ssize_t n = ::pread(in.fd.get(), rest.data(), item.size + 1, 0);
    if (n < 0 || static_cast<uint64_t>(n) != item.size) {
      item.file = std::move(in.fd); // what is wrong with it is said there
      return {};
    }
    item.bytes = {rest.data(), item.size};
    room.took(item.size);
    return {};
  }

  // In the order of the tree.
  Result<void> digest_item(const Item& item) {
    const std::string path = relative_path(item.in->relative, item.name);
    if (S_ISDIR(item.kind))
      m_digest.directory(item.mode, path);
    else if (S_ISLNK(item.kind))
      m_digest.link(path, item.target);
    else
      m_digest.file(item.mode, path, item.size);
    m_digest.bytes(item.bytes.data(), item.bytes.size());
    return item.file ? digest_large(item) : Result<void>{};
  }

  Result<void> digest_large(const Item& item) {
    const auto buffer = std::make_unique_for_overwrite<char[]>(k_frozen_piece);
    for (uint64_t left = item.size, read = 0;;) {
      const size_t most = static_cast<size_t>(std::min<uint64_t>(left + 1, k_frozen_piece));
      const ssize_t n = ::pread(item.file.get(), buffer.get(), most, static_cast<off_t>(read));
      if (n < 0 && errno == EINTR)
        continue;
      if (n < 0)
        return fail_io("read", item.in->at.below(item.name), errno);
      if (static_cast<uint64_t>(n) > left || (n == 0 && left > 0))
        return fail(Code::corrupt,
            cat("read ", item.in->at.below(item.name), ": it changed while it was read"));
      m_digest.bytes(buffer.get(), static_cast<size_t>(n));
      left -= static_cast<uint64_t>(n);
      read += static_cast<uint64_t>(n);
      if (left == 0 && static_cast<size_t>(n) < most)
        return {};
    }
  }

  // Whoever opened it before it was frozen, or was handed it by a process that has ended, could
  // write to it for ever. The kernel gives a lease for reading only while nobody has the file open
  // for writing; from here on nobody but root can. Some file systems have no leases.
  static Result<void> check_no_writer(int fd, const At& at, const std::string& name) {
    if (::fcntl(fd, F_SETLEASE, F_RDLCK) == 0)
      ::fcntl(fd, F_SETLEASE, F_UNLCK);
    else if (errno == EAGAIN)
      return fail(
          Code::denied, cat(path_of(at, name), ": a process still has it open for writing"));
    return {};
  }

  Result<void> check_owner(const struct stat& st, const At& at, const std::string& name) const {
    if (m_belongs_to && st.st_uid != *m_belongs_to)
      return fail(Code::denied,
          cat(path_of(at, name), ": it belongs to uid ", st.st_uid, ", not to ", *m_belongs_to));
    return {};
  }

  static std::string path_of(const At& at, const std::string& name) {
    return name.empty() ? at.path : at.below(name);
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

  Result<void> freeze(
      int fd, struct stat& st, mode_t at_least, const At& at, const std::string& name) const {
    if (m_owner == nullptr)
      return {};
    const mode_t mode = frozen(st, at_least);
    if (!is_frozen(st, mode))
      TRY(set_owner_and_mode(fd, *m_owner, mode, path_of(at, name)));
    st.st_mode = (st.st_mode & S_IFMT) | mode;
    return {};
  }

  const Owner* m_owner;
  std::optional<uid_t> m_belongs_to;
  TreeDigest m_digest;
  InOrder<Item> m_items; // gone before what its threads use
};

} // namespace

Result<std::string> digest_tree(
    const std::string& dir, const Owner* freeze_for, std::optional<uid_t> owner) {
  Fd fd = TRY(open_directory(dir));
  const Fd top(::fcntl(fd.get(), F_DUPFD_CLOEXEC, 0));
  ::signal(SIGIO, SIG_IGN); // which root would send by opening a file in the moment of its lease
  TreeFreezer freezer(freeze_for, owner);
  auto digest = TRY(freezer.digest(std::move(fd), dir));
  if (freeze_for != nullptr)
    TRY(sync_filesystem(top.get(), dir));
  return digest;
}

} // namespace chillbox::os
