#include "catch.hpp"
#include "support.hpp"

#include "os/disk.hpp"
#include "os/tree_walk.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <map>
#include <thread>
#include <utility>

using namespace chillbox;
using namespace chillbox::os;
using namespace os_test;

namespace {

const Owner k_tree_owner{::geteuid(), ::getegid()};
constexpr uid_t k_tree_stranger = 65534;

void make_dir(const std::string& path, mode_t mode = 0755) {
  REQUIRE(::mkdir(path.c_str(), mode) == 0);
  REQUIRE(::chmod(path.c_str(), mode) == 0);
}

void make_link(const std::string& target, const std::string& path) {
  REQUIRE(::symlink(target.c_str(), path.c_str()) == 0);
}

uid_t owner_of(const std::string& path) {
  struct stat st{};
  return ::lstat(path.c_str(), &st) == 0 ? st.st_uid : static_cast<uid_t>(-1);
}

// app/ with a program, a text, a link inside and a link that leads out.
void make_release(const std::string& top) {
  make_dir(top);
  make_dir(top + "/app");
  spit(top + "/app/run", "#!/bin/sh\n", 0755);
  spit(top + "/app/text", "hello", 0600);
  make_link("text", top + "/app/inside");
  make_link("/etc/passwd", top + "/app/outside");
}

void make_socket(const std::string& path) {
  const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  path.copy(address.sun_path, sizeof address.sun_path - 1);
  REQUIRE(::bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
  ::close(fd);
}

} // namespace

TEST_CASE("a tree is copied with its links as they are, and with the modes of a release") {
  const TempDir dir;
  make_release(dir / "from");
  const auto stamp = real_disk().take_tree(dir / "from", k_tree_owner);
  REQUIRE(stamp);
  CHECK(real_disk().copy_tree(dir / "from", dir / "to", k_tree_owner).value() == *stamp);
  CHECK(slurp(dir / "to/app/text") == "hello");
  CHECK(mode_of(dir / "to") == 0750);
  CHECK(mode_of(dir / "to/app") == 0750);
  CHECK(mode_of(dir / "to/app/run") == 0750);
  CHECK(mode_of(dir / "to/app/text") == 0640);
  CHECK(real_disk().read_link(dir / "to/app/outside").value() == "/etc/passwd");
  CHECK(names(dir.path()) == std::vector<std::string>{"from", "to"});
}

TEST_CASE("the stamp of a copy is another one after any change of what was taken") {
  const TempDir dir;
  make_release(dir / "t");
  std::string stamp = real_disk().take_tree(dir / "t", k_tree_owner).value();
  int copies = 0;
  const auto changed = [&] {
    const auto now =
        real_disk().copy_tree(dir / "t", dir / ("to" + std::to_string(copies++)), k_tree_owner);
    return std::exchange(stamp, now.value()) != stamp;
  };
  CHECK_FALSE(changed());
  spit(dir / "t/app/text", "hellO", 0600); // of the same size
  CHECK(changed());
  ::chmod((dir / "t/app/text").c_str(), 0640);
  CHECK(changed());
  std::filesystem::rename(dir / "t/app/text", dir / "t/app/texs");
  CHECK(changed());
  ::unlink((dir / "t/app/inside").c_str());
  CHECK(changed());
  make_link("run", dir / "t/app/inside");
  CHECK(changed());
  spit(dir / "t/app/one more", "");
  CHECK(changed());
  make_dir(dir / "t/empty");
  CHECK(changed());
  CHECK_FALSE(changed());
}

namespace {

ino_t inode_of(const std::string& path) {
  struct stat st{};
  REQUIRE(::lstat(path.c_str(), &st) == 0);
  return st.st_ino;
}

} // namespace

TEST_CASE("a copy shares with a frozen tree what is the same there, and copies what differs") {
  const TempDir dir;
  make_release(dir / "from");
  for (const char* name : {"longer", "other", "run2", "moved"})
    spit(dir / (std::string("from/app/") + name), "the same", 0644);
  spit(dir / "from/app/large", std::string(300'000, 'x'), 0644);
  REQUIRE(real_disk().copy_tree(dir / "from", dir / "old", k_tree_owner));
  const std::string old = real_disk().freeze_tree(dir / "old", k_tree_owner).value();
  spit(dir / "from/app/longer", "the same, and more", 0644);
  spit(dir / "from/app/other", "the samE", 0644);
  ::chmod((dir / "from/app/run2").c_str(), 0755);
  std::filesystem::rename(dir / "from/app/moved", dir / "from/moved");
  REQUIRE(real_disk().copy_tree(dir / "from", dir / "new", k_tree_owner, {.like = dir / "old"}));
  const auto shared = [&](const std::string& name) {
    return inode_of(dir / ("new/" + name)) == inode_of(dir / ("old/" + name));
  };
  CHECK(shared("app/run"));
  CHECK(shared("app/text"));
  CHECK(shared("app/large"));
  for (const char* name : {"app/longer", "app/other", "app/run2"})
    CHECK_FALSE(shared(name));
  CHECK(slurp(dir / "new/app/longer") == "the same, and more");
  CHECK(slurp(dir / "new/app/other") == "the samE");
  CHECK(mode_of(dir / "new/app/run2") == 0750);
  CHECK(slurp(dir / "new/moved") == "the same");
  // Both are frozen as before, and each goes without the other.
  REQUIRE(real_disk().copy_tree(dir / "from", dir / "alone", k_tree_owner));
  CHECK(real_disk().freeze_tree(dir / "new", k_tree_owner).value() ==
      real_disk().freeze_tree(dir / "alone", k_tree_owner).value());
  CHECK(real_disk().tree_digest(dir / "old").value() == old);
  CHECK(real_disk().measure(dir / "old").value().freed_bytes < 300'000);
  REQUIRE(real_disk().remove_tree(dir / "old"));
  CHECK(slurp(dir / "new/app/large") == std::string(300'000, 'x'));
  CHECK(real_disk().measure(dir / "new").value().freed_bytes > 300'000);
}

TEST_CASE("a copy shares nothing that is another's, for others to read, or in another file system") {
  const TempDir dir;
  make_release(dir / "from");
  REQUIRE(real_disk().copy_tree(dir / "from", dir / "old", k_tree_owner));
  ::chmod((dir / "old/app/run").c_str(), 0755);
  if (is_root())
    REQUIRE(::chown((dir / "old/app/text").c_str(), k_tree_stranger, k_tree_owner.gid) == 0);
  REQUIRE(real_disk().copy_tree(dir / "from", dir / "new", k_tree_owner, {.like = dir / "old"}));
  CHECK(inode_of(dir / "new/app/run") != inode_of(dir / "old/app/run"));
  CHECK(mode_of(dir / "new/app/run") == 0750);
  if (is_root())
    CHECK(owner_of(dir / "new/app/text") == k_tree_owner.uid);
  REQUIRE(real_disk().copy_tree(dir / "from", dir / "first", k_tree_owner, {.like = dir / "none"}));
  CHECK(slurp(dir / "first/app/text") == "hello");
  if (!as_root())
    return;
  CHECK(in_child([&](Report& r) {
    make_dir(dir / "memory");
    private_tmpfs(dir / "memory", "size=128k");
    r.expect_ok(real_disk().copy_tree(
                    dir / "from", dir / "memory/new", k_tree_owner, {.like = dir / "first"}),
        "copy");
    r.expect(slurp(dir / "memory/new/app/text") == "hello", "the same bytes");
  }) == "");
}

TEST_CASE("what is published is copied for everybody to read, and nothing else") {
  const TempDir dir;
  make_release(dir / "from");
  make_dir(dir / "from/app/below");
  spit(dir / "from/app/below/page", "x", 0600);
  spit(dir / "from/appendix", "x", 0600);
  REQUIRE(real_disk().copy_tree(dir / "from", dir / "to", k_tree_owner, {.published = {"app"}}));
  for (const auto& [path, mode] : std::map<std::string, mode_t>{{"to", 0750}, {"to/appendix", 0640},
           {"to/app", 0755}, {"to/app/run", 0755}, {"to/app/text", 0644}, {"to/app/below", 0755},
           {"to/app/below/page", 0644}})
    CHECK(mode_of(dir / path) == mode);
  REQUIRE(real_disk().make_world_readable(dir / "to/app"));
  CHECK(mode_of(dir / "to/app/text") == 0644);
}

TEST_CASE("a large file comes through the copy unchanged, between file systems too") {
  if (!as_root())
    return;
  const TempDir dir, other;
  CHECK(in_child([&](Report& r) {
    private_tmpfs(dir.path(), "size=16m");
    std::string large(5'000'001, 'x');
    for (size_t i = 0; i < large.size(); ++i)
      large[i] = static_cast<char>(i * 31 >> 3);
    ::mkdir((dir / "from").c_str(), 0755);
    spit(dir / "from/large", large);
    spit(dir / "from/empty", "");
    r.expect_ok(
        real_disk().copy_tree(dir / "from", other / "to", Owner{k_tree_stranger, k_tree_stranger}),
        "copy");
    r.expect(slurp(other / "to/large") == large, "the same bytes");
    r.expect(owner_of(other / "to/large") == k_tree_stranger &&
            owner_of(other / "to") == k_tree_stranger,
        "the new owner");
  }) == "");
}

TEST_CASE("fifos, sockets and devices are not copied: the tree is refused by name and nothing stays") {
  const TempDir dir;
  const auto refused = [&](const std::string& part) {
    const Result<std::string> copied =
        real_disk().copy_tree(dir / "from", dir / "to", k_tree_owner);
    REQUIRE_FALSE(copied);
    CHECK(copied.error().code == Code::denied);
    CHECK(has(copied.error().message, part));
    CHECK(names(dir.path()) == std::vector<std::string>{"from"});
  };
  make_release(dir / "from");
  REQUIRE(::mkfifo((dir / "from/app/f").c_str(), 0600) == 0);
  refused("from/app/f: it is a fifo");
  ::unlink((dir / "from/app/f").c_str());
  make_socket(dir / "from/app/s");
  refused("from/app/s: it is a socket");
  ::unlink((dir / "from/app/s").c_str());
  if (is_root() && ::mknod((dir / "from/app/d").c_str(), S_IFCHR | 0600, 0x103) == 0)
    refused("from/app/d: it is a device");
}

TEST_CASE("a copy goes to a new or empty place only, and from a directory only, not through a link to one") {
  const TempDir dir;
  make_release(dir / "from");
  make_dir(dir / "empty"); // as a mount point is
  REQUIRE(real_disk().copy_tree(dir / "from", dir / "empty", k_tree_owner));
  CHECK(real_disk().tree_digest(dir / "empty").value() ==
      real_disk().tree_digest(dir / "empty").value());
  CHECK(real_disk().exists(dir / "empty/app/text"));
  make_dir(dir / "there");
  make_dir(dir / "there/something");
  CHECK(real_disk().copy_tree(dir / "from", dir / "there", k_tree_owner).error().code ==
      Code::conflict);
  make_link("from", dir / "link");
  CHECK_FALSE(real_disk().copy_tree(dir / "link", dir / "to", k_tree_owner));
  CHECK_FALSE(real_disk().copy_tree(dir / "from/app/text", dir / "to", k_tree_owner));
  CHECK(real_disk().copy_tree(dir / "none", dir / "to", k_tree_owner).error().code ==
      Code::not_found);
  CHECK_FALSE(real_disk().exists(dir / "to"));
}

TEST_CASE("the digest of a tree that is root's is taken again when anything in it changed, whatever its times say") {
  if (::geteuid() != 0)
    return; // it is kept for root's trees only
  const TempDir dir;
  const auto digest = [&] { return real_disk().tree_digest(dir / "t", uid_t{0}).value(); };
  make_dir(dir / "t");
  make_dir(dir / "t/a");
  spit(dir / "t/a/b", "one");
  spit(dir / "t/c", "two");
  REQUIRE(::symlink("c", (dir / "t/d").c_str()) == 0);
  std::string before = digest();
  CHECK(digest() == before);
  const auto differs = [&] {
    const auto now = digest();
    const bool is_new = now != before && now == real_disk().tree_digest(dir / "t").value();
    before = now;
    return is_new;
  };
  struct stat st{};
  REQUIRE(::stat((dir / "t/a/b").c_str(), &st) == 0);
  spit(dir / "t/a/b", "eno"); // the same size
  const std::array times{st.st_atim, st.st_mtim};
  REQUIRE(::utimensat(AT_FDCWD, (dir / "t/a/b").c_str(), times.data(), 0) == 0);
  CHECK(differs());
  REQUIRE(::chmod((dir / "t/c").c_str(), 0700) == 0);
  CHECK(differs());
  REQUIRE(::unlink((dir / "t/d").c_str()) == 0);
  REQUIRE(::symlink("a", (dir / "t/d").c_str()) == 0);
  CHECK(differs());
  REQUIRE(::rename((dir / "t/c").c_str(), (dir / "t/a/c").c_str()) == 0);
  CHECK(differs());
  REQUIRE(::chown((dir / "t/a/c").c_str(), 1, 0) == 0);
  CHECK(real_disk().tree_digest(dir / "t", uid_t{0}).error().code == Code::denied);
}

TEST_CASE("[fault-88][fault-91] a disk that fills up, or fails to sync, during a copy leaves nothing at the new place") {
  const TempDir dir;
  make_release(dir / "from");
  CHECK(in_child([&](Report& r) {
    break_call(SYS_syncfs, EIO);
    r.expect_error(
        real_disk().copy_tree(dir / "from", dir / "to", k_tree_owner), Code::failure, "sync ");
  }) == "");
  CHECK(names(dir.path()) == std::vector<std::string>{"from"});
  if (!as_root())
    return;
  const TempDir small;
  spit(dir / "from/large", std::string(300'000, 'x'));
  CHECK(in_child([&](Report& r) {
    private_tmpfs(small.path(), "size=128k");
    r.expect_error(real_disk().copy_tree(dir / "from", small / "to", k_tree_owner), Code::no_space,
        "large: no space left on device");
    r.expect(names(small.path()).empty(), "nothing stays");
  }) == "");
}

TEST_CASE("[fault-91] a tree is synced, and names with it only where they are on the same file system") {
  const TempDir dir;
  make_dir(dir / "names");
  make_dir(dir / "tree");
  CHECK(in_child([&](Report& r) {
    break_call(SYS_fsync, EIO);
    r.expect(
        os::real_disk().sync_with(dir / "tree", dir / "names").has_value(), "synced with the tree");
    break_call(SYS_syncfs, EIO);
    r.expect_error(os::real_disk().sync_with(dir / "tree", dir / "names"), Code::failure, "sync ");
  }) == "");
  if (!as_root())
    return;
  CHECK(in_child([&](Report& r) { // as a release in memory
    private_tmpfs(dir / "tree", "size=128k");
    r.expect(
        os::real_disk().sync_with(dir / "tree", dir / "names").has_value(), "synced for itself");
    break_call(SYS_fsync, EIO);
    r.expect_error(os::real_disk().sync_with(dir / "tree", dir / "names"), Code::failure, "sync ");
  }) == "");
}

TEST_CASE("the manifest is the same for the same tree, and another for another name, mode, text or link") {
  const TempDir dir;
  make_release(dir / "a");
  make_release(dir / "b");
  const std::string digest = real_disk().freeze_tree(dir / "a", k_tree_owner).value();
  CHECK(digest.size() == 64);
  CHECK(real_disk().freeze_tree(dir / "b", k_tree_owner).value() == digest);
  CHECK(real_disk().tree_digest(dir / "a").value() == digest);
  const auto differs = [&] { return real_disk().tree_digest(dir / "b").value() != digest; };
  spit(dir / "b/app/text", "hellO", 0640);
  CHECK(differs());
  spit(dir / "b/app/text", "hello", 0640);
  CHECK_FALSE(differs());
  ::chmod((dir / "b/app/text").c_str(), 0600);
  CHECK(differs());
  ::chmod((dir / "b/app/text").c_str(), 0640);
  std::filesystem::rename(dir / "b/app/text", dir / "b/app/texs");
  CHECK(differs());
  std::filesystem::rename(dir / "b/app/texs", dir / "b/app/text");
  ::unlink((dir / "b/app/inside").c_str());
  make_link("run", dir / "b/app/inside");
  CHECK(differs());
  ::unlink((dir / "b/app/inside").c_str());
  make_link("text", dir / "b/app/inside");
  CHECK_FALSE(differs());
  spit(dir / "b/app/one more", "");
  CHECK(differs());
}

TEST_CASE("moving bytes from one file's name, text or end to another's changes the manifest") {
  const TempDir dir;
  make_dir(dir / "a");
  make_dir(dir / "b");
  spit(dir / "a/x", "12");
  spit(dir / "a/y", "3");
  spit(dir / "b/x", "1");
  spit(dir / "b/y", "23");
  CHECK(real_disk().tree_digest(dir / "a").value() != real_disk().tree_digest(dir / "b").value());
  make_dir(dir / "c");
  make_dir(dir / "d");
  make_link("bc", dir / "c/a");
  make_link("c", dir / "d/ab");
  CHECK(real_disk().tree_digest(dir / "c").value() != real_disk().tree_digest(dir / "d").value());
}

TEST_CASE("a walk goes by the bytes of the names, in whatever order the file system has them") {
  const TempDir dir;
  std::vector<std::string> wanted;
  for (int i = 0; i < 60; ++i)
    wanted.push_back(std::to_string(i * 7919 % 1000));
  for (const std::string& name : wanted)
    spit(dir / name, "");
  std::sort(wanted.begin(), wanted.end());
  const Fd fd(::open(dir.path().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  CHECK(names_in(At{fd.get(), dir.path()}).value() == wanted);
}

TEST_CASE("sealing takes write access and setuid away, and lets the group read") {
  const TempDir dir;
  make_release(dir / "t");
  make_dir(dir / "t/open", 01777);
  spit(dir / "t/open/suid", "x", 06777);
  spit(dir / "t/open/private", "x", 0600);
  const Owner owner = is_root() ? Owner{0, k_tree_stranger} : k_tree_owner;
  REQUIRE(real_disk().freeze_tree(dir / "t", owner));
  CHECK(mode_of(dir / "t/open") == 0755);
  CHECK(mode_of(dir / "t/open/suid") == 0755);
  CHECK(mode_of(dir / "t/open/private") == 0640);
  struct stat st{};
  REQUIRE(::lstat((dir / "t/app/outside").c_str(), &st) == 0);
  CHECK(st.st_gid == owner.gid);
}

TEST_CASE("sealing refuses a hard link and leaves the file's other name alone") {
  const TempDir dir;
  make_release(dir / "t");
  spit(dir / "shadow", "secret", 0600);
  REQUIRE(::link((dir / "shadow").c_str(), (dir / "t/app/stolen").c_str()) == 0);
  const Result<std::string> sealed = real_disk().freeze_tree(
      dir / "t", is_root() ? Owner{k_tree_stranger, k_tree_stranger} : k_tree_owner);
  REQUIRE_FALSE(sealed);
  CHECK(sealed.error().code == Code::denied);
  CHECK(has(sealed.error().message, "t/app/stolen: it has 2 names"));
  CHECK(owner_of(dir / "shadow") == ::geteuid());
  CHECK(mode_of(dir / "shadow") == 0600);
}

TEST_CASE("a tree is not sealed while somebody has a file of it open for writing, by a descriptor or a mapping [attack-C4]") {
  const TempDir dir;
  make_release(dir / "t");
  const int fd = ::open((dir / "t/app/text").c_str(), O_RDWR | O_CLOEXEC);
  REQUIRE(fd >= 0);
  const auto built = [&] { // by the user of a build: what root has frozen was asked for then
    if (is_root())
      REQUIRE(::chown((dir / "t/app/text").c_str(), k_tree_stranger, k_tree_stranger) == 0);
  };
  built();
  Result<std::string> sealed = real_disk().freeze_tree(dir / "t", k_tree_owner);
  REQUIRE_FALSE(sealed);
  CHECK(sealed.error().code == Code::denied);
  CHECK(has(sealed.error().message, "t/app/text: a process still has it open for writing"));
  void* mapped = ::mmap(nullptr, 5, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  REQUIRE(mapped != MAP_FAILED);
  ::close(fd);
  built();
  CHECK_FALSE(real_disk().freeze_tree(dir / "t", k_tree_owner));
  ::munmap(mapped, 5);
  built();
  const int reader = ::open((dir / "t/app/text").c_str(), O_RDONLY | O_CLOEXEC);
  CHECK(real_disk().freeze_tree(dir / "t", k_tree_owner));
  ::close(reader);
}

TEST_CASE("sealing refuses special files without opening them") {
  const TempDir dir;
  make_release(dir / "t");
  REQUIRE(::mkfifo((dir / "t/app/f").c_str(), 0600) == 0);
  CHECK(real_disk().freeze_tree(dir / "t", k_tree_owner).error().code == Code::denied);
  ::unlink((dir / "t/app/f").c_str());
  make_socket(dir / "t/app/s");
  CHECK(real_disk().freeze_tree(dir / "t", k_tree_owner).error().code == Code::denied);
}

TEST_CASE("neither sealing, publishing, measuring nor removing goes through a link") {
  const TempDir dir;
  make_dir(dir / "outside", 0700);
  spit(dir / "outside/file", "text", 0600);
  make_dir(dir / "t");
  make_link("../outside", dir / "t/d");
  make_link("../outside/file", dir / "t/f");
  const Owner nobody = is_root() ? Owner{k_tree_stranger, k_tree_stranger} : k_tree_owner;
  REQUIRE(real_disk().freeze_tree(dir / "t", nobody));
  REQUIRE(real_disk().make_world_readable(dir / "t"));
  CHECK(real_disk().measure(dir / "t").value().entries == 2);
  REQUIRE(real_disk().remove_tree(dir / "t"));
  CHECK(owner_of(dir / "outside") == ::geteuid());
  CHECK(mode_of(dir / "outside") == 0700);
  CHECK(mode_of(dir / "outside/file") == 0600);
  CHECK(slurp(dir / "outside/file") == "text");
  // The top itself as a link: only the link goes.
  make_link("outside", dir / "top");
  CHECK_FALSE(real_disk().freeze_tree(dir / "top", nobody));
  CHECK_FALSE(real_disk().make_world_readable(dir / "top"));
  REQUIRE(real_disk().remove_tree(dir / "top"));
  CHECK(names(dir.path()) == std::vector<std::string>{"outside"});
}

TEST_CASE("a directory that became a link after it was listed is not entered; a file that was exchanged is not opened") {
  const TempDir dir;
  make_dir(dir / "t");
  make_link("..", dir / "t/d");
  spit(dir / "t/a", "a");
  spit(dir / "t/b", "b");
  const Fd fd(::open((dir / "t").c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  const At at{fd.get(), dir / "t"};
  CHECK_FALSE(enter(at, "d"));
  struct stat a = stat_at(at, "a").value();
  CHECK(open_file(at, "a", a));
  CHECK(open_file(at, "b", a).error().code == Code::denied);
  make_link("a", dir / "t/c");
  CHECK_FALSE(open_file(at, "c", a));
}

TEST_CASE("published trees are readable for everybody, executables executable, nothing writable") {
  const TempDir dir;
  make_release(dir / "t");
  ::chmod((dir / "t/app").c_str(), 0750);
  ::chmod((dir / "t/app/run").c_str(), 0750);
  REQUIRE(real_disk().make_world_readable(dir / "t"));
  CHECK(mode_of(dir / "t/app") == 0755);
  CHECK(mode_of(dir / "t/app/run") == 0755);
  CHECK(mode_of(dir / "t/app/text") == 0604);
}

TEST_CASE("a folder is shared step by step: its readers pass above it and read in it, and no link is followed") {
  const TempDir dir;
  const Owner nobody = is_root() ? Owner{k_tree_stranger, k_tree_stranger} : k_tree_owner;
  REQUIRE(real_disk().make_dir(dir / "site", 0700, nobody));
  REQUIRE(real_disk().share_dir(dir / "site", "web/uploads", nobody));
  REQUIRE(real_disk().share_dir(dir / "site", "web/uploads", nobody)); // again
  CHECK(mode_of(dir / "site") == 0710);
  CHECK(mode_of(dir / "site/web") == 0710);
  CHECK(mode_of(dir / "site/web/uploads") == 02750);
  REQUIRE(real_disk().make_dir(dir / "outside", 0700));
  make_link("../outside", dir / "site/link");
  CHECK_FALSE(real_disk().share_dir(dir / "site", "link/uploads", nobody));
  CHECK_FALSE(real_disk().share_dir(dir / "site", "link", nobody));
  CHECK(names(dir / "outside").empty());
  CHECK(mode_of(dir / "outside") == 0700);
  if (is_root()) {
    REQUIRE(real_disk().make_dir(
        dir / "site/theirs", 0700, Owner{k_tree_stranger - 1, k_tree_stranger - 1}));
    CHECK(real_disk().share_dir(dir / "site", "theirs/x", nobody).error().code == Code::denied);
  }
}

TEST_CASE("a tree is measured in bytes and entries") {
  const TempDir dir;
  make_release(dir / "t");
  const TreeSize size = real_disk().measure(dir / "t").value();
  CHECK(size.entries == 5);
  CHECK(size.bytes == 10 + 5 + 4 + 11);
  CHECK(size.freed_bytes == size.bytes);
  CHECK(size.freed_entries == 5);
  CHECK(real_disk().measure(dir / "none").error().code == Code::not_found);
}

TEST_CASE("what releases share takes its place in a copy of each, and is freed by none of them") {
  const TempDir dir;
  make_release(dir / "t");
  std::filesystem::create_hard_link(dir / "t/app/run", dir / "other");
  const TreeSize size = real_disk().measure(dir / "t").value();
  CHECK(size.bytes == 10 + 5 + 4 + 11);
  CHECK(size.entries == 5);
  CHECK(size.freed_bytes == size.bytes - std::filesystem::file_size(dir / "other"));
  CHECK(size.freed_entries == 4);
}

// Of a file that goes between the lookup and the look the kernel says that it has no name.
TEST_CASE("[fault-1061] a tree is measured while its files come and go") {
  const TempDir dir;
  const std::string tree = dir / "t";
  std::filesystem::create_directory(tree);
  std::atomic<bool> enough = false;
  std::thread busy([&] {
    while (!enough)
      for (const char* name : {"a", "b", "c", "d"}) {
        std::ofstream(tree + "/" + name) << "x";
        ::unlink((tree + "/" + name).c_str());
      }
  });
  const auto end = std::chrono::steady_clock::now() + std::chrono::milliseconds(400);
  while (std::chrono::steady_clock::now() < end)
    if (const auto size = real_disk().measure(tree); size)
      CHECK(size->entries <= 4);
  enough = true;
  busy.join();
}

TEST_CASE("a tree is removed however deep it is, and twice is fine") {
  const TempDir dir;
  make_dir(dir / "t");
  const Fd start(::open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  REQUIRE(::chdir((dir / "t").c_str()) == 0);
  for (int i = 0; i < 1500; ++i) {
    REQUIRE(::mkdir("deeper", 0755) == 0);
    REQUIRE(::chdir("deeper") == 0);
  }
  spit("bottom", "x");
  REQUIRE(::fchdir(start.get()) == 0);
  CHECK(real_disk().tree_digest(dir / "t").error().code == Code::denied);
  REQUIRE(real_disk().remove_tree(dir / "t"));
  REQUIRE(real_disk().remove_tree(dir / "t"));
  REQUIRE(real_disk().remove_tree(dir / "none/below"));
  CHECK(names(dir.path()).empty());
}

TEST_CASE("no walk crosses into another file system that is mounted below") {
  if (!as_root())
    return;
  const TempDir dir;
  make_dir(dir / "t");
  make_dir(dir / "t/m");
  CHECK(in_child([&](Report& r) {
    private_tmpfs(dir / "t/m", "size=64k");
    spit(dir / "t/m/kept", "x");
    r.expect_error(real_disk().remove_tree(dir / "t"), Code::denied,
        "t/m: another file system is mounted there");
    r.expect_error(
        real_disk().freeze_tree(dir / "t", k_tree_owner), Code::denied, "is mounted there");
    r.expect(slurp(dir / "t/m/kept") == "x", "what is mounted stays");
  }) == "");
}
