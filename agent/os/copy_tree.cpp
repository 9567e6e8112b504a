#include "os/disk_tree.hpp"

#include "base/text.hpp"
#include "os/files.hpp"
#include "os/in_order.hpp"
#include "os/tree_stamp.hpp"
#include "os/tree_walk.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>
#include <span>
#include <utility>

namespace chillbox::os {
namespace {

// Stamps what it reads by the very descriptors that it reads from.
class Copier {
public:
  Copier(Owner owner, const TreeCopy& how)
      : m_owner(owner), m_how(how),
        m_items([this](Item& item, Room& room) { return copy_item(item, room); },
            [this](Item& item) { return look_at(item); }) {}
  std::string stamp() { return m_stamp.done(); }

  Result<void> copy(Fd from, const std::string& from_path, Fd to, const std::string& to_path) {
    Fd like = m_how.like.empty() ? Fd{} : open_directory(m_how.like).value_or(Fd{});
    struct stat there{}, here{};
    if (like &&
        (::fstat(like.get(), &there) != 0 || ::fstat(to.get(), &here) != 0 ||
            there.st_dev != here.st_dev))
      like.reset();
    const At source{from.get(), from_path}, target{to.get(), to_path};
    TRY(copy_directory(std::make_shared<Place>(
        Place{std::move(from), std::move(to), std::move(like), source, target, "", false})));
    return m_items.finish();
  }

private:
  // A directory in the three trees; `like` is none where that one has no such directory.
  struct Place {
    Fd source, target, like;
    At from, to;
    std::string relative;
    bool published;
  };
  // What is done to a directory itself has no name: its beginning, of S_IFDIR, and its end, of
  // none.
  struct Item {
    std::shared_ptr<const Place> at;
    std::string name;
    mode_t kind;
    struct stat seen;
  };
  struct File {
    const OpenFile& in;
    mode_t mode;
  };

  Result<void> copy_directory(const std::shared_ptr<const Place>& at) {
    struct stat self{};
    if (::fstat(at->from.fd, &self) != 0)
      return fail_io("look at", at->from.path, errno);
    TRY(m_items.add({at, "", S_IFDIR, self}));
    for (auto& [name, kind] : TRY(entries_in(at->from))) {
      if (S_ISREG(kind))
        TRY(m_items.add({at, std::move(name), kind, {}}));
      else if (S_ISLNK(kind))
        TRY(copy_link(at, std::move(name)));
      else if (S_ISDIR(kind))
        TRY(descend(*at, name));
      else
        return fail_kind(at->from, name, kind);
    }
    return m_items.add({at, "", 0, {}});
  }

  Result<void> descend(const Place& at, const std::string& name) {
    Fd source = TRY(enter(at.from, name));
    if (::mkdirat(at.to.fd, name.c_str(), 0700) != 0)
      return fail_io("make directory", at.to.below(name), errno);
    Fd target = TRY(enter(at.to, name));
    Fd like(!at.like ? -1
                     : ::openat(at.like.get(), name.c_str(),
                           O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    const At from{source.get(), at.from.below(name), at.from.depth + 1};
    const At to{target.get(), at.to.below(name), at.to.depth + 1};
    std::string relative = relative_path(at.relative, name);
    const bool published =
        at.published || std::ranges::find(m_how.published, relative) != m_how.published.end();
    return copy_directory(std::make_shared<Place>(Place{std::move(source), std::move(target),
        std::move(like), from, to, std::move(relative), published}));
  }

  Result<void> copy_link(const std::shared_ptr<const Place>& at, std::string name) {
    const struct stat seen = TRY(stat_at(at->from, name));
    const std::string target = TRY(link_target(at->from, name));
    if (::symlinkat(target.c_str(), at->to.fd, name.c_str()) != 0)
      return fail_io("link", at->to.below(name), errno);
    if (::geteuid() == 0 &&
        ::fchownat(at->to.fd, name.c_str(), m_owner.uid, m_owner.gid, AT_SYMLINK_NOFOLLOW) != 0)
      return fail_io("change owner of", at->to.below(name), errno);
    return m_items.add({at, std::move(name), S_IFLNK, seen});
  }

  // In any thread.
  Result<void> copy_item(Item& item, Room& room) {
    if (!S_ISREG(item.kind))
      return {};
    const Place& at = *item.at;
    const OpenFile in = TRY(open_file(at.from, item.name));
    item.seen = in.st;
    const bool program = (in.st.st_mode & 0111) != 0;
    const mode_t mode = program ? 0750 : 0640, readable = program ? 0005 : 0004;
    const File file{in, at.published ? mode | readable : mode};
    return at.like && is_like(at, item.name, file, room) &&
            ::linkat(at.like.get(), item.name.c_str(), at.to.fd, item.name.c_str(), 0) == 0
        ? Result<void>{}
        : make_file(at, item.name, file, room);
  }

  // In the order of the tree.
  Result<void> look_at(const Item& item) {
    const Place& at = *item.at;
    if (item.kind == 0) // at the end, since the new owner need not be one who may write here
      return set_owner_and_mode(at.to.fd, m_owner, at.published ? 0755 : 0750, at.to.path);
    m_stamp.add(relative_path(at.relative, item.name), item.seen);
    return {};
  }

  // Nobody but root changes the files of that tree: one that is the same has one more name.
  bool is_like(const Place& at, const std::string& name, const File& file, Room& room) const {
    const Fd fd(open_to_read(at.like.get(), name));
    struct stat st{};
    if (!fd || ::fstat(fd.get(), &st) != 0 || st.st_size != file.in.st.st_size ||
        st.st_mode != (S_IFREG | file.mode) ||
        (::geteuid() == 0 && (st.st_uid != m_owner.uid || st.st_gid != m_owner.gid)))
      return false;
    const size_t piece = room.rest().size() / 2;
    char* const one = room.rest().data();
    char* const other = one + piece;
    for (off_t at_byte = 0; at_byte < st.st_size;) {
      const ssize_t n = ::pread(file.in.fd.get(), one, piece, at_byte);
      if (n <= 0 || ::pread(fd.get(), other, static_cast<size_t>(n), at_byte) != n ||
          std::memcmp(one, other, static_cast<size_t>(n)) != 0)
        return false;
      at_byte += n;
    }
    return true;
  }

  Result<void> make_file(const Place& at, const std::string& name, const File& file, Room& room) {
    const Fd out(::openat(
        at.to.fd, name.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
    const std::string path = at.to.below(name);
    if (!out)
      return fail_io("create", path, errno);
    const uint64_t copied = TRY(copy_bytes(file.in.fd.get(), out.get(), path, room));
    if (copied != static_cast<uint64_t>(file.in.st.st_size))
      return fail(Code::corrupt,
          cat("copy ", at.from.below(name), ": ", copied, " bytes came of ", file.in.st.st_size));
    return set_owner_and_mode(out.get(), m_owner, file.mode, path);
  }

  static Result<uint64_t> copy_bytes(int in, int out, const std::string& path, Room& room) {
    const std::span<char> piece = room.rest();
    for (uint64_t copied = 0;;) {
      const ssize_t n = ::pread(in, piece.data(), piece.size(), static_cast<off_t>(copied));
      if (n < 0 && errno == EINTR)
        continue;
      if (n < 0)
        return fail_io("copy to", path, errno);
      if (n == 0)
        return copied;
      TRY(write_file(out, {piece.data(), static_cast<size_t>(n)}, path));
      copied += static_cast<uint64_t>(n);
    }
  }

  Owner m_owner;
  const TreeCopy& m_how;
  TreeStamp m_stamp;
  InOrder<Item> m_items; // gone before what its threads use
};

Result<std::string> copy_into(const std::string& from, const std::string& parent,
    const std::string& temporary, Owner owner, const TreeCopy& how) {
  Fd source = TRY(open_directory(from));
  const Fd above(::open(parent.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!above)
    return fail_io("open directory", parent, errno);
  const std::string path = cat(parent, "/", temporary);
  if (::mkdirat(above.get(), temporary.c_str(), 0700) != 0)
    return fail_io("make directory", path, errno);
  Fd target = TRY(enter(At{above.get(), parent}, temporary));
  Copier copier(owner, how);
  TRY(copier.copy(std::move(source), from, std::move(target), path));
  TRY(sync_filesystem(above.get(), path));
  return copier.stamp();
}

// A mount point: nothing can be renamed over it.
Result<std::string> fill_directory(
    const std::string& from, const std::string& to, Owner owner, const TreeCopy& how) {
  Fd source = TRY(open_directory(from));
  const Fd target = TRY(open_directory(to));
  const At at{target.get(), to};
  if (!TRY(names_in(at)).empty())
    return fail(Code::conflict, cat("copy to ", printable(to, 1024), ": it already exists"));
  Copier copier(owner, how);
  auto copied = copier.copy(std::move(source), from, TRY(open_directory(to)), to);
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
