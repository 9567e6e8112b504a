#include "openrc/private_tmpfs.hpp"

#include "base/text.hpp"
#include "os/disk.hpp"

#include <linux/magic.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statfs.h>

#include <algorithm>
#include <array>
#include <cerrno>

namespace chillbox::openrc {
namespace {

constexpr uint64_t k_share = 8; // of what there is
constexpr uint64_t k_least = 16ULL << 20;
constexpr size_t k_max_mounts = 4 << 20;

// Its size in bytes, for one that everybody may write to; 0: it is none, or on a disk.
uint64_t shared_memory_at(const char* path) {
  struct stat st{};
  struct statfs fs{};
  if (::lstat(path, &st) != 0 || !S_ISDIR(st.st_mode) || (st.st_mode & S_IWOTH) == 0 ||
      ::statfs(path, &fs) != 0 || fs.f_type != TMPFS_MAGIC)
    return 0;
  return std::max(
      static_cast<uint64_t>(fs.f_blocks) * static_cast<uint64_t>(fs.f_bsize), uint64_t{1});
}

// proc_pid_mountinfo(5): the fifth field is where. Ours have no space in their names, which would
// be escaped.
std::vector<std::string> mounts_below(const std::vector<std::string>& tops) {
  std::vector<std::string> found;
  const auto text = os::real_disk().read("/proc/self/mountinfo", k_max_mounts);
  for (const auto line : split(text ? std::string_view(*text) : std::string_view(), '\n')) {
    const auto fields = split(line, ' ');
    if (fields.size() > 4 && std::ranges::any_of(tops, [&](const auto& top) {
          return fields[4].starts_with(top + "/");
        }))
      found.emplace_back(fields[4]);
  }
  return found;
}

} // namespace

Result<void> own_shared_memory(const SlotSpec& spec, const os::Paths& paths) {
  if (::unshare(CLONE_NEWNS) != 0)
    return fail_errno("a mount namespace of its own", errno);
  if (::mount("none", "/", nullptr, MS_REC | MS_SLAVE, nullptr) != 0)
    return fail_errno("mounts of its own", errno);
  for (const auto& place : mounts_below({paths.sites(), paths.stage()}))
    if (!cat(spec.cwd, "/").starts_with(place + "/") &&
        ::umount2(place.c_str(), MNT_DETACH | UMOUNT_NOFOLLOW) != 0)
      return fail_errno(cat("leave ", place), errno);
  for (const char* path : {"/tmp", "/var/tmp", "/dev/shm", "/run/lock"})
    if (const uint64_t size = shared_memory_at(path); size != 0)
      if (::mount("chillbox", path, "tmpfs", MS_NOSUID | MS_NODEV,
              cat("mode=1777,size=", std::max(size / k_share, k_least)).c_str()) != 0)
        return fail_errno(cat("a ", path, " of its own"), errno);
  return {};
}

} // namespace chillbox::openrc
