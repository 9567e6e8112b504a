#include "catch.hpp"
#include "support.hpp"

#include "os/mount.hpp"

#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>

using namespace chillbox;
using namespace chillbox::os;
using namespace os_test;

namespace {

constexpr TmpfsOptions k_small{1 << 20, 0711, false};

void own_mounts(Report& r) {
  r.expect(::unshare(CLONE_NEWNS) == 0 &&
          ::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0,
      "a mount namespace");
}

void pretend_swap(Report& r, const TempDir& dir, const std::string& lines) {
  spit(dir / "swaps", "Filename\tType\tSize\tUsed\tPriority\n" + lines);
  r.expect(::mount((dir / "swaps").c_str(), "/proc/swaps", nullptr, MS_BIND, nullptr) == 0,
      "another /proc/swaps");
}

} // namespace

TEST_CASE("a tmpfs is mounted once, with its size and mode, without setuid programs and devices") {
  if (!as_root())
    return;
  const TempDir dir;
  ::mkdir((dir / "a b").c_str(), 0755);
  const std::string path = dir / "a b"; // as the kernel's table escapes it
  CHECK(in_child([&](Report& r) {
    own_mounts(r);
    r.expect(!keeps_out_of_swap(path), "not mounted yet");
    const Result<bool> first = mount_tmpfs(path, k_small);
    r.expect_ok(first, "mount");
    r.expect(keeps_out_of_swap(path).has_value(), "mounted");
    r.expect(mode_of(path) == 0711, "its mode");
    struct statvfs fs{};
    ::statvfs(path.c_str(), &fs);
    r.expect(fs.f_blocks * fs.f_frsize == 1 << 20, "its size");
    r.expect((fs.f_flag & ST_NOSUID) != 0 && (fs.f_flag & ST_NODEV) != 0, "nosuid and nodev");
    spit(path + "/kept", "x");
    const Result<bool> second = mount_tmpfs(path, k_small);
    r.expect(second && *second == *first, "the same answer for the one that is there");
    r.expect(slurp(path + "/kept") == "x", "the second time nothing is mounted over it");
    r.expect_ok(unmount(path), "unmount");
    r.expect(!keeps_out_of_swap(path), "gone");
    r.expect_ok(unmount(path), "again");
    r.expect_ok(unmount(dir / "none"), "never there");
  }) == "");
}

TEST_CASE("[fault-81] where the kernel has noswap, it is set; the answer says so") {
  if (!as_root())
    return;
  const TempDir dir;
  CHECK(in_child([&](Report& r) {
    own_mounts(r);
    const Result<bool> noswap = mount_tmpfs(dir.path(), k_small);
    r.expect_ok(noswap, "mount");
    const std::string table = slurp("/proc/self/mounts");
    const size_t line = table.find(" " + dir.path() + " ");
    const bool has_it =
        table.substr(line, table.find('\n', line) - line).find("noswap") != std::string::npos;
    r.expect(noswap && *noswap == has_it, "the answer is what the kernel shows");
  }) == "");
}

TEST_CASE("[fault-81] without noswap and with swap on a tmpfs is refused, unless that is allowed") {
  if (!as_root())
    return;
  const TempDir dir;
  ::mkdir((dir / "t").c_str(), 0755);
  CHECK(in_child([&](Report& r) {
    own_mounts(r);
    pretend_swap(r, dir, "/dev/sda2\tpartition\t1000\t0\t-2\n");
    r.expect(swap_is_on(), "swap is seen");
    // One from before, without noswap.
    ::mount("old", (dir / "t").c_str(), "tmpfs", MS_NOSUID | MS_NODEV, "size=64k");
    r.expect_error(mount_tmpfs(dir / "t", k_small), Code::denied, "swap is on");
    TmpfsOptions allowed = k_small;
    allowed.allow_swap = true;
    const Result<bool> taken = mount_tmpfs(dir / "t", allowed);
    r.expect(taken && !*taken, "allowed, and says that noswap does not hold");
  }) == "");
  CHECK(in_child([&](Report& r) { // an older kernel
    own_mounts(r);
    pretend_swap(r, dir, "/dev/sda2\tpartition\t1000\t0\t-2\n");
    break_call(SYS_mount, EINVAL);
    r.expect_error(mount_tmpfs(dir / "t", k_small), Code::denied, "turn swap off");
  }) == "");
  CHECK(in_child([&](Report& r) {
    own_mounts(r);
    pretend_swap(r, dir, "");
    r.expect(!swap_is_on(), "no swap is seen");
  }) == "");
}

TEST_CASE("another file system at the place of ours is not taken for it; who may not mount is told so") {
  const TempDir dir;
  CHECK(mount_tmpfs(dir.path(), TmpfsOptions{}).error().code == Code::invalid);
  if (!as_root())
    return;
  ::mkdir((dir / "t").c_str(), 0755);
  CHECK(in_child([&](Report& r) {
    own_mounts(r);
    ::mount("/proc", (dir / "t").c_str(), nullptr, MS_BIND, nullptr); // what /tmp is on differs
    ::mount(nullptr, (dir / "t").c_str(), nullptr, MS_BIND | MS_REMOUNT | MS_NOSUID | MS_NODEV,
        nullptr);
    r.expect_error(mount_tmpfs(dir / "t", k_small), Code::conflict,
        "another file system (proc)"); // though as closed as ours
    ::mount("loose", (dir / "t").c_str(), "tmpfs", 0, "size=64k");
    r.expect_error(mount_tmpfs(dir / "t", k_small), Code::conflict, "another file system (tmpfs)");
  }) == "");
  CHECK(in_child([&](Report& r) {
    ::chmod(dir.path().c_str(), 0755);
    r.expect(::setuid(65534) == 0, "become nobody");
    r.expect_error(mount_tmpfs(dir / "t", k_small), Code::denied, "mount tmpfs on " + (dir / "t"));
    r.expect_error(unmount("/proc"), Code::denied, "unmount /proc");
  }) == "");
}

TEST_CASE("[fault-125] file systems of other machines are known by their magic number, those of this one are not meant") {
  CHECK(network_kind(0x6969) == "nfs");
  CHECK(network_kind(static_cast<int32_t>(0xFF534D42)) == "cifs"); // as a 32-bit f_type says it
  CHECK(network_kind(0x65735546) == "fuse");
  for (const int64_t here :
      {0xEF53, 0x01021994, 0x794C7630, 0x58465342}) // ext4, tmpfs, overlay, xfs
    CHECK(network_kind(here).empty());
  CHECK(network_file_system("/proc").empty());
}

TEST_CASE("a tmpfs is in memory, and what is not there or of another kind is not") {
  CHECK(is_in_memory("/dev/shm"));
  CHECK_FALSE(is_in_memory("/proc"));
  CHECK_FALSE(is_in_memory("/does/not/exist"));
}
