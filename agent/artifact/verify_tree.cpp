#include "artifact/stager.hpp"

#include "artifact/policy.hpp"
#include "base/fd.hpp"
#include "base/text.hpp"
#include "os/tree_walk.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>

#include <array>
#include <cerrno>
#include <memory>

namespace chillbox::artifact {
namespace {

struct Walk {
  std::optional<uid_t> owner;
  StageLimits limits;
  dev_t device = 0;
  uint64_t entries = 0;
  StageStats stats;
};

std::unexpected<Error> found(std::string_view path, std::string_view what) {
  return fail(Code::denied, cat("staged tree: '", printable(path), "' ", what));
}

Result<void> check_common(Walk& walk, const struct stat& st, const std::string& path) {
  if (walk.owner && st.st_uid != *walk.owner)
    return found(path, cat("belongs to uid ", st.st_uid, ", not to the stager"));
  if (st.st_dev != walk.device)
    return found(path, "lies on another file system");
  if (++walk.entries > walk.limits.entries)
    return fail(Code::too_large, cat("staged tree: more than ", walk.limits.entries, " entries"));
  return {};
}

Result<void> check_mode(const struct stat& st, const std::string& path) {
  const mode_t mode = st.st_mode & 07777;
  if (mode == 0755 || (mode == 0644 && S_ISREG(st.st_mode)))
    return {};
  static constexpr char k_octal[] = "01234567";
  const std::array<char, 4> digits{
      k_octal[mode >> 9 & 7], k_octal[mode >> 6 & 7], k_octal[mode >> 3 & 7], k_octal[mode & 7]};
  return found(path, cat("has mode ", std::string_view(digits.data(), digits.size())));
}

Result<void> check_file(Walk& walk, const struct stat& st, const std::string& path) {
  TRY(check_mode(st, path));
  if (st.st_nlink != 1)
    return found(path, cat("has ", st.st_nlink, " hard links"));
  walk.stats.bytes += static_cast<uint64_t>(st.st_size);
  if (walk.stats.bytes > walk.limits.bytes)
    return fail(
        Code::too_large, cat("staged tree: over the limit of ", walk.limits.bytes, " bytes"));
  ++walk.stats.files;
  return {};
}

Result<void> walk_folder(Walk& walk, const os::At& at, const std::string& above);

Result<void> walk_entry(
    Walk& walk, const os::At& at, const std::string& name, const std::string& path) {
  TRY_IN("staged tree", check_path(path)); // and with it the depth
  const struct stat st = TRY(os::stat_at(at, name));
  TRY(check_common(walk, st, path));
  if (S_ISLNK(st.st_mode)) {
    TRY_IN("staged tree", check_link(path, TRY(os::link_target(at, name))));
    ++walk.stats.links;
    return {};
  }
  if (S_ISREG(st.st_mode))
    return check_file(walk, st, path);
  if (!S_ISDIR(st.st_mode))
    return found(path, "is neither file, folder nor symlink");
  TRY(check_mode(st, path));
  ++walk.stats.directories;
  const Fd below = TRY(os::enter(at, name));
  return walk_folder(walk, os::At{below.get(), at.below(name), at.depth + 1}, path);
}

// Takes the names one by one, not all of them first: an endless folder ends at the limit.
Result<void> walk_folder(Walk& walk, const os::At& at, const std::string& above) {
  Fd listing(openat(at.fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  const std::unique_ptr<DIR, int (*)(DIR*)> dir(fdopendir(listing.get()), closedir);
  if (!dir)
    return fail_errno(cat("list ", printable(at.path)), errno);
  (void)listing.release(); // closedir closes it
  for (;;) {
    errno = 0;
    const dirent* entry = readdir(dir.get());
    if (entry == nullptr)
      return errno == 0 ? Result<void>{} : fail_errno(cat("list ", printable(at.path)), errno);
    const std::string name = entry->d_name;
    if (name != "." && name != "..")
      TRY(walk_entry(walk, at, name, above.empty() ? name : cat(above, "/", name)));
  }
}

} // namespace

Result<StageStats> verify_tree(
    const std::string& tree, std::optional<uid_t> owner, const StageLimits& limits) {
  Fd root(open(tree.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  struct stat st{};
  if (!root || fstat(root.get(), &st) != 0)
    return fail_errno(cat("open ", tree), errno);
  Walk walk{.owner = owner, .limits = limits, .device = st.st_dev, .entries = 0, .stats = {}};
  if (owner && st.st_uid != *owner)
    return found(tree, "belongs to another user");
  TRY(walk_folder(walk, os::At{root.get(), tree}, ""));
  return walk.stats;
}

} // namespace chillbox::artifact
