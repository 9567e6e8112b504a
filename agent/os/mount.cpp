#include "os/mount.hpp"

#include "base/fd.hpp"
#include "base/text.hpp"
#include "os/disk.hpp"

#include <linux/magic.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <climits>
#include <cstdlib>
#include <memory>
#include <optional>
#include <vector>

namespace chillbox::os {
namespace {

constexpr size_t k_table_limit = 16 << 20; // hosts with very many containers

struct Mount {
  std::string type;
  std::string options; // the file system's own
};

std::string real_path(const std::string& path) {
  const std::unique_ptr<char, decltype(&std::free)> real(
      ::realpath(path.c_str(), nullptr), &std::free);
  return real ? std::string(real.get()) : path;
}

// As the kernel writes a path in its tables: space, tab, newline and backslash in octal.
std::string escaped(const std::string& path) {
  std::string out;
  for (const char c : path) {
    if (c == ' ' || c == '\t' || c == '\n' || c == '\\')
      out += cat("\\0", (c >> 3) & 7, c & 7);
    else
      out += c;
  }
  return out;
}

// proc(5), /proc/PID/mountinfo: "ID PARENT MAJ:MIN ROOT POINT OPTIONS [FIELD...] - TYPE SOURCE
// OPTIONS". The last one lies on top.
std::optional<Mount> find_mount(const std::string& path) {
  const Result<std::string> table = real_disk().read("/proc/self/mountinfo", k_table_limit);
  if (!table)
    return std::nullopt;
  const std::string point = escaped(real_path(path));
  std::optional<Mount> found;
  for (const std::string_view line : split(*table, '\n')) {
    const size_t dash = line.find(" - ");
    if (dash == std::string_view::npos)
      continue;
    const std::vector<std::string_view> left = split(line.substr(0, dash), ' ');
    const std::vector<std::string_view> right = split(line.substr(dash + 3), ' ');
    if (left.size() >= 6 && right.size() >= 3 && left[4] == point)
      found = Mount{std::string(right[0]), std::string(right[2])};
  }
  return found;
}

bool has_option(const std::string& options, std::string_view wanted) {
  for (const std::string_view option : split(options, ','))
    if (option == wanted)
      return true;
  return false;
}

std::unexpected<Error> fail_swap(const std::string& path) {
  return fail(Code::denied,
      cat("mount tmpfs on ", path,
          ": swap is on and this kernel cannot keep a tmpfs out of it (noswap needs Linux 6.4); turn swap off, or allow it with "
          "allow_swap in chillboxd.toml"));
}

// A mount that already exists is ours if it is what we would have mounted.
Result<bool> take_existing(
    const std::string& path, const Mount& mount, const TmpfsOptions& options) {
  struct statvfs fs{};
  if (::statvfs(path.c_str(), &fs) != 0)
    return fail_errno(cat("look at ", path), errno);
  if (mount.type != "tmpfs" || (fs.f_flag & ST_NOSUID) == 0 || (fs.f_flag & ST_NODEV) == 0)
    return fail(Code::conflict,
        cat("mount tmpfs on ", path, ": another file system (", mount.type, ") is mounted there"));
  const bool noswap = has_option(mount.options, "noswap");
  if (!noswap && !options.allow_swap && swap_is_on())
    return fail_swap(path);
  return noswap;
}

// 0 or an errno.
int mount_new(const std::string& path, const std::string& data) {
  return ::mount("chillbox", path.c_str(), "tmpfs", MS_NOSUID | MS_NODEV, data.c_str()) == 0
      ? 0
      : errno;
}

} // namespace

Result<bool> mount_tmpfs(const std::string& path, const TmpfsOptions& options) {
  if (options.size_bytes == 0)
    return fail(Code::invalid, cat("mount tmpfs on ", path, ": it needs a size"));
  if (const std::optional<Mount> mount = find_mount(path))
    return take_existing(path, *mount, options);
  std::string mode;
  for (int shift = 9; shift >= 0; shift -= 3)
    mode += static_cast<char>('0' + ((options.mode >> shift) & 7));
  const std::string data = cat("size=", options.size_bytes, ",mode=", mode);
  int err = mount_new(path, data + ",noswap");
  if (err == 0)
    return true;
  // EINVAL is all that an older kernel says to an option that it does not know.
  if (err == EINVAL && !options.allow_swap && swap_is_on())
    return fail_swap(path);
  if (err == EINVAL)
    err = mount_new(path, data);
  if (err != 0)
    return fail_errno(cat("mount tmpfs on ", path), err);
  return false;
}

Result<void> unmount(const std::string& path) {
  if (::umount2(path.c_str(), MNT_DETACH | UMOUNT_NOFOLLOW) == 0 || errno == EINVAL ||
      errno == ENOENT)
    return {};
  return fail_errno(cat("unmount ", path), errno);
}

Result<bool> keeps_out_of_swap(const std::string& path) {
  const auto mount = find_mount(path);
  if (!mount)
    return fail(Code::not_found, "nothing is mounted there");
  if (mount->type != "tmpfs")
    return fail(Code::conflict, cat("another file system (", mount->type, ") is mounted there"));
  return has_option(mount->options, "noswap");
}

std::string_view network_kind(int64_t magic) {
  struct Row {
    int64_t magic;
    std::string_view name;
  };
  constexpr std::array k_kinds{Row{0x6969, "nfs"}, Row{0x517B, "smb"}, Row{0xFF534D42, "cifs"},
      Row{0xFE534D42, "smb2"}, Row{0x01021997, "9p"}, Row{0x65735546, "fuse"},
      Row{0x5346414F, "afs"}, Row{0x6B414653, "afs"}, Row{0x00C36400, "ceph"},
      Row{0x73757245, "coda"}, Row{0x7461636F, "ocfs2"}, Row{0x01161970, "gfs2"},
      Row{0x0BD00BD0, "lustre"}, Row{0x19830326, "fhgfs"}, Row{0x564C, "ncp"}};
  for (const auto& row : k_kinds)
    if (row.magic == (magic & 0xFFFFFFFF)) // signed on some machines
      return row.name;
  return "";
}

std::string network_file_system(const std::string& path) {
  struct statfs fs{};
  return ::statfs(path.c_str(), &fs) == 0
      ? std::string(network_kind(static_cast<int64_t>(fs.f_type)))
      : std::string();
}

bool is_in_memory(const std::string& path) {
  struct statfs fs{};
  return ::statfs(path.c_str(), &fs) == 0 &&
      (fs.f_type == TMPFS_MAGIC || static_cast<int64_t>(fs.f_type) == RAMFS_MAGIC);
}

bool swap_is_on() {
  const Result<std::string> table = real_disk().read("/proc/swaps", 1 << 20);
  // A headline and a line for each. Unreadable: as if it were on, since the other answer could
  // leak.
  return !table || split(trim(*table), '\n').size() > 1;
}

} // namespace chillbox::os
