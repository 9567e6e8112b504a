#include "os/disk_tree.hpp"

#include "base/text.hpp"
#include "os/files.hpp"
#include "os/tree_walk.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>

namespace chillbox::os {
namespace {

constexpr int k_max_passes = 10'000;

Result<void> measure_below(const At& at, TreeSize& size) {
  for (const std::string& name : TRY(names_in(at))) {
    const struct stat st = TRY(stat_at(at, name));
    ++size.entries;
    // Of what somebody removes between two looks the kernel says that it has no name.
    const bool sole = S_ISDIR(st.st_mode) || st.st_nlink <= 1;
    size.freed_entries += sole;
    if (!S_ISDIR(st.st_mode)) {
      size.bytes += static_cast<uint64_t>(st.st_size);
      size.freed_bytes += sole ? static_cast<uint64_t>(st.st_size) : 0;
      continue;
    }
    const Fd fd = TRY(enter(at, name));
    TRY(measure_below(At{fd.get(), at.below(name), at.depth + 1}, size));
  }
  return {};
}

Result<void> links_below(const At& at, const std::string& above, std::vector<TreeLink>& links) {
  for (const auto& [name, kind] : TRY(entries_in(at))) {
    if (S_ISLNK(kind)) {
      std::string target = TRY(link_target(at, name));
      links.push_back({above + name, std::move(target)});
    } else if (S_ISDIR(kind)) {
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

Result<void> empty_directory(const At& top) {
  for (int pass = 0; pass < k_max_passes; ++pass) {
    if (TRY(names_in(top)).empty())
      return {};
    TRY(remove_below(top, top.fd));
  }
  return fail(Code::busy, cat("remove ", top.path, ": somebody keeps adding to it"));
}

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

Result<void> make_tree_readable(const std::string& dir) {
  const Fd fd = TRY(open_directory(dir));
  TRY(publish_below(At{fd.get(), dir}));
  return sync_filesystem(fd.get(), dir);
}

} // namespace chillbox::os
