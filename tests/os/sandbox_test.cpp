#include "catch.hpp"
#include "support.hpp"

#include "base/secret.hpp"
#include "os/sandbox.hpp"
#include "os/sandbox_calls.hpp"
#include "os/socket.hpp"

#include <fcntl.h>
#include <linux/seccomp.h>
#include <netinet/in.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <stdexcept>
#include <thread>

using namespace chillbox;
using namespace chillbox::os;
using namespace os_test;

namespace {

constexpr int k_sigsys = 128 + SIGSYS;

Confinement confinement(Profile profile) {
  Confinement c{profile, std::nullopt, std::nullopt, 0, 0, 0};
  if (is_root())
    c.user = User{"nobody", 65534, 65534, "/"};
  return c;
}

// The exit code of `work` in a confined child; 96 when it could not be confined.
int confined(const Confinement& c, const std::function<int()>& work) {
  return exit_of([&] { return confine(c) ? work() : 96; });
}

struct Try {
  const char* what;
  std::function<void()> call;
};

long clone_process() {
  return ::syscall(SYS_clone, SIGCHLD, nullptr, nullptr, nullptr, nullptr);
}

// What none of the three may do.
const std::vector<Try> k_never = {
    {"socket", [] { ::socket(AF_UNIX, SOCK_STREAM, 0); }},
    {"socketpair",
        [] {
          int ends[2];
          (void)::socketpair(AF_UNIX, SOCK_STREAM, 0, ends);
        }},
    {"connect",
        [] {
          sockaddr_un a{};
          ::connect(0, reinterpret_cast<sockaddr*>(&a), sizeof a);
        }},
    {"bind",
        [] {
          sockaddr_un a{};
          ::bind(0, reinterpret_cast<sockaddr*>(&a), sizeof a);
        }},
    {"listen", [] { ::listen(0, 1); }},
    {"execve",
        [] {
          char* argv[] = {nullptr};
          ::execve("/bin/true", argv, argv);
        }},
    {"fork",
        [] {
          if (clone_process() == 0)
            ::_exit(0);
        }},
    {"unshare", [] { ::unshare(CLONE_NEWUSER); }},
    {"ptrace", [] { ::ptrace(PTRACE_ATTACH, ::getppid(), nullptr, nullptr); }},
    {"process_vm_readv",
        [] { ::syscall(SYS_process_vm_readv, ::getppid(), nullptr, 0, nullptr, 0, 0); }},
    {"kill the parent", [] { ::kill(::getppid(), 0); }},
    {"kill itself by number", [] { ::kill(::getpid(), 0); }},
    {"tgkill another", [] { ::syscall(SYS_tgkill, ::getppid(), ::getppid(), 0); }},
    {"pidfd_open", [] { ::syscall(SYS_pidfd_open, 1, 0); }},
    {"mount", [] { ::mount("a", "/", "tmpfs", 0, nullptr); }},
    {"umount", [] { ::umount2("/", MNT_DETACH); }},
    {"chroot", [] { (void)!::chroot("/"); }},
    {"link", [] { (void)!::link("/a", "/b"); }},
    {"mknod", [] { ::mknod("/a", S_IFIFO | 0600, 0); }},
    {"chown", [] { (void)!::fchown(0, 0, 0); }},
    {"setxattr", [] { ::fsetxattr(0, "user.a", "", 0, 0); }},
    {"setuid", [] { (void)!::syscall(SYS_setuid, 0); }},
    {"setgroups", [] { ::syscall(SYS_setgroups, 0, nullptr); }},
    {"executable memory",
        [] { ::mmap(nullptr, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0); }},
    {"memory made executable", [] { ::mprotect(nullptr, 4096, PROT_READ | PROT_EXEC); }},
    {"memfd_create", [] { ::memfd_create("a", 0); }},
    {"becoming dumpable", [] { ::prctl(PR_SET_DUMPABLE, 1); }},
    {"another filter", [] { ::syscall(SYS_seccomp, 1, 0, nullptr); }},
    {"typing on a terminal", [] { ::ioctl(0, TIOCSTI, "x"); }},
    {"io_uring", [] { ::syscall(425, 1, nullptr); }},
    {"bpf", [] { ::syscall(SYS_bpf, 0, nullptr, 0); }},
    {"reboot", [] { ::syscall(SYS_reboot, 0, 0, 0, nullptr); }},
};

// Ways to connect a socket of TCP without connect(), which Landlock does not see.
const std::vector<Try> k_no_address = {
    {"sendto an address",
        [] {
          sockaddr_in a{};
          ::sendto(0, "x", 1, 0, reinterpret_cast<sockaddr*>(&a), sizeof a);
        }},
    {"sendto, TCP fast open", [] { ::send(0, "x", 1, MSG_FASTOPEN); }},
    {"sendmsg, TCP fast open",
        [] {
          sockaddr_in a{};
          msghdr message{};
          message.msg_name = &a;
          message.msg_namelen = sizeof a;
          ::sendmsg(0, &message, MSG_FASTOPEN);
        }},
};

// What the two without a file system may not do either.
const std::vector<Try> k_no_files = {
    {"open", [] { ::open("/etc/passwd", O_RDONLY); }},
    {"openat", [] { ::openat(AT_FDCWD, "/etc/passwd", O_RDONLY); }},
    {"stat",
        [] {
          struct stat st{};
          ::stat("/etc/passwd", &st);
        }},
    {"unlink", [] { ::unlink("/none"); }},
    {"mkdir", [] { ::mkdir("/none", 0700); }},
    {"rename", [] { ::rename("/none", "/none2"); }},
    {"symlink", [] { (void)!::symlink("a", "/none"); }},
    {"chmod", [] { ::chmod("/none", 0); }},
    {"fchmod", [] { ::fchmod(0, 0); }},
    {"readlink",
        [] {
          char b[8];
          (void)!::readlink("/proc/self/exe", b, sizeof b);
        }},
    {"chdir", [] { (void)!::chdir("/"); }},
    {"access", [] { ::access("/", F_OK); }},
};

void check_killed(Profile profile, const std::vector<Try>& tries) {
  for (const Try& t : tries) {
    CAPTURE(t.what);
    // The core pattern of a host must not make this slow: deny_core_and_ptrace is part of confine.
    CHECK(confined(confinement(profile), [&] {
      t.call();
      return 0;
    }) == k_sigsys);
  }
}

// What every role does all day.
int live() {
  char buffer[16] = "x";
  int err = 0;
  std::vector<char> heap(5'000'000, 'x');
  heap.resize(20'000'000);
  SecretBytes secret(64);
  err += secret.size() != 64;
  try {
    throw std::runtime_error("caught");
  } catch (const std::exception&) {
    ++buffer[0];
  }
  timespec t{};
  err += ::clock_gettime(CLOCK_MONOTONIC, &t) != 0;
  const time_t now = t.tv_sec;
  tm local{};
  err += ::localtime_r(&now, &local) == nullptr;
  err += ::syscall(SYS_getrandom, buffer, sizeof buffer, 0) != sizeof buffer;
  struct stat st{};
  err += ::fstat(2, &st) != 0;
  err += std::fprintf(stderr, "%s", "") < 0;
  ::isatty(1);
  ::sysconf(_SC_OPEN_MAX);
  ::sysconf(_SC_PHYS_PAGES);
  return err;
}

int talk(const std::pair<Fd, Fd>& pair) {
  if (!send_packet(pair.first.get(), bytes_of("ping"), 2))
    return 1;
  const auto packet = receive_packet(pair.second.get(), 100, Millis{1'000});
  return packet && *packet && text_of((*packet)->bytes) == "ping" && (*packet)->fd ? 0 : 2;
}

} // namespace

TEST_CASE("a forbidden system call ends the edge by SIGSYS [attack-E2]") {
  check_killed(Profile::edge, k_never);
  check_killed(Profile::edge, k_no_files);
}

TEST_CASE("a forbidden system call ends the vault by SIGSYS, threads and new connections too [attack-V2]") {
  check_killed(Profile::vault, k_never);
  check_killed(Profile::vault, k_no_files);
  constexpr unsigned k_thread = CLONE_VM | CLONE_SIGHAND | CLONE_THREAD;
  check_killed(Profile::vault,
      {{"accept", [] { ::accept4(0, nullptr, nullptr, 0); }},
          {"thread", [] { ::syscall(SYS_clone, k_thread, nullptr, nullptr, nullptr, nullptr); }},
          {"setsockopt", [] { ::setsockopt(0, 0, 0, nullptr, 0); }},
          {"ftruncate", [] { (void)!::ftruncate(0, 0); }}});
}

TEST_CASE("a forbidden system call ends the stager by SIGSYS, hard links and devices too [attack-T2]") {
  check_killed(Profile::stager, k_never);
  check_killed(Profile::stager,
      {{"accept", [] { ::accept4(0, nullptr, nullptr, 0); }},
          {"linkat", [] { (void)!::linkat(0, "a", 0, "b", 0); }},
          {"mknodat", [] { ::mknodat(0, "a", S_IFIFO | 0600, 0); }},
          {"fchownat", [] { (void)!::fchownat(0, "a", 0, 0, 0); }}});
}

TEST_CASE("[attack-G35] a forbidden system call ends the courier and the dialer by SIGSYS, and no role connects by sending") {
  check_killed(Profile::courier, k_never);
  for (const Profile profile : {Profile::courier, Profile::dialer}) {
    check_killed(profile, k_no_files);
    check_killed(profile, k_no_address);
  }
  for (const Profile profile : {Profile::edge, Profile::vault, Profile::stager, Profile::log})
    check_killed(profile, k_no_address);
  check_killed(Profile::dialer,
      {{"datagrams", [] { ::socket(AF_INET, SOCK_DGRAM, 0); }},
          {"another protocol than TCP", [] { ::socket(AF_INET6, SOCK_STREAM, 262); }},
          {"a socket of files", [] { ::socket(AF_UNIX, SOCK_STREAM, 0); }},
          {"bind", [] { ::bind(0, nullptr, 0); }}});
  CHECK(confined(confinement(Profile::dialer), [] {
    const Fd socket(::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    return socket ? 0 : 1;
  }) == 0);
  const auto pair = packet_pair().value();
  CHECK(confined(confinement(Profile::courier), [&] { return live() + talk(pair); }) == 0);
}

#if defined(__x86_64__)
TEST_CASE("the system call tables of i386 and x32 are no way around the filter") {
  for (const Profile profile : {Profile::edge, Profile::vault, Profile::stager}) {
    CHECK(confined(confinement(profile), [] {
      ::syscall(0x40000000 | SYS_getpid);
      return 0;
    }) == k_sigsys);
    const int i386 = confined(confinement(profile), [] {
      long result;
      __asm__ volatile("int $0x80"
          : "=a"(result)
          : "a"(20)
          : "memory", "r8", "r9", "r10", "r11"); // getpid there
      return 0;
    });
    CHECK((i386 == k_sigsys || i386 == 128 + SIGSEGV)); // the latter where the kernel has no i386
  }
}
#endif

TEST_CASE("the edge lives: threads, connections, uploads into what it has, packets, time, memory, exceptions") {
  const TempDir dir;
  const Owner me{::geteuid(), ::getegid()};
  const Fd listener = listen_unix(dir / "s", 0666, me, 4).value();
  const Fd client = connect_unix(dir / "s", Millis{1'000}).value();
  const auto pair = packet_pair().value();
  const Fd upload(::open((dir / "up").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  CHECK(confined(confinement(Profile::edge), [&] {
    int err = live() + talk(pair);
    const Result<Fd> server = os::accept(listener.get());
    err += !server || !write_all(client.get(), bytes_of("hello"), Millis{1'000});
    Bytes got(5);
    err += !read_exact(server->get(), got, Millis{1'000});
    sockaddr_un address{};
    socklen_t size = sizeof address;
    err += ::getsockname(server->get(), reinterpret_cast<sockaddr*>(&address), &size) != 0;
    timeval limit{1, 0};
    err += ::setsockopt(server->get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit) != 0;
    err += !write_all(upload.get(), got) || ::fsync(upload.get()) != 0;
    int ran[8] = {};
    std::vector<std::thread> threads;
    for (int& r : ran)
      threads.emplace_back([&r] { r = live() == 0; });
    for (std::thread& thread : threads)
      thread.join();
    for (const int r : ran)
      err += r != 1;
    return err;
  }) == 0);
  CHECK(slurp(dir / "up") == "hello");
}

TEST_CASE("the vault lives: packets, guarded memory, time") {
  const auto pair = packet_pair().value();
  CHECK(confined(confinement(Profile::vault), [&] { return live() + talk(pair); }) == 0);
}

TEST_CASE("the stager lives below its directory and sees no other [attack-T2]") {
  const TempDir dir;
  const TempDir outside;
  const bool root = is_root(); // the child is not
  spit(outside / "file", "secret");
  Confinement c = confinement(Profile::stager);
  if (is_root()) {
    REQUIRE(::chown(dir.path().c_str(), 65534, 65534) == 0);
    c.chroot_to = dir.path();
  }
  const Fd tree(::open(dir.path().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  CHECK(confined(c, [&] {
    int err = live();
    const int at = tree.get();
    err += ::mkdirat(at, "d", 0700) != 0;
    const int fd =
        ::openat(at, "d/file", O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    err += ::write(fd, "text", 4) != 4;
    err += ::fchmod(fd, 0755) != 0;
    err += ::fsync(fd) != 0;
    err += ::close(fd) != 0;
    err += ::symlinkat("file", at, "d/link") != 0;
    err += ::renameat(at, "d/file", at, "d/renamed") != 0;
    err += ::mkdirat(at, "e", 0700) != 0;
    err += ::renameat(at, "d/renamed", at, "e/file") != 0; // from one directory to another
    err += ::unlinkat(at, "d/link", 0) != 0;
    struct stat st{};
    err += ::fstatat(at, "e/file", &st, AT_SYMLINK_NOFOLLOW) != 0 || st.st_size != 4;
    err += names(root ? "/e" : dir / "e").size() != 1;
    if (root) {
      err += ::open("/etc/passwd", O_RDONLY) >= 0;
      err += ::open((outside / "file").c_str(), O_RDONLY) >= 0;
      err +=
          ::openat(at, "../..", O_RDONLY | O_DIRECTORY) >= 0 && ::access("/etc/passwd", F_OK) == 0;
    }
    return err;
  }) == 0);
  CHECK(slurp(dir / "e/file") == "text");
  CHECK(mode_of(dir / "e/file") == 0755);
}

TEST_CASE("clone3 is answered with ENOSYS, since its flags cannot be seen") {
  for (const Profile profile : {Profile::edge, Profile::vault, Profile::stager})
    CHECK(confined(confinement(profile), [] {
      return ::syscall(SYS_clone3, nullptr, 0) == -1 && errno == ENOSYS ? 0 : 1;
    }) == 0);
}

TEST_CASE("abort still is an abort") {
  for (const Profile profile : {Profile::edge, Profile::vault, Profile::stager})
    CHECK(confined(confinement(profile), []() -> int { std::abort(); }) == 128 + SIGABRT);
}

TEST_CASE("[fault-100] limits on memory and file size are errors, not death") {
  const TempDir dir;
  const Fd file(::open((dir / "f").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  Confinement c = confinement(Profile::edge);
  c.memory_limit = 1ULL << 30;
  c.file_limit = 1000;
  CHECK(confined(c, [&] {
    void* huge = std::malloc(2ULL << 30);
    const bool refused = huge == nullptr;
    const std::string text(1001, 'x');
    ssize_t written = ::write(file.get(), text.data(), text.size());
    written += ::write(file.get(), text.data(), 1) == -1 && errno == EFBIG ? 0 : 5000;
    return refused && written == 1000 ? 0 : 1;
  }) == 0);
}

TEST_CASE("root is no role's user, a second thread is no time to confine, a missing root is told") {
  CHECK(in_child([](Report& r) {
    Confinement c = confinement(Profile::edge);
    c.user = User{"root", 0, 0, "/"};
    r.expect_error(confine(c), Code::invalid, "user 'root' is root");
  }) == "");
  CHECK(in_child([](Report& r) {
    std::thread other([] { ::pause(); });
    r.expect_error(confine(confinement(Profile::edge)), Code::busy, "2 threads");
    ::_exit(0);
  }) == "");
  if (!as_root())
    return;
  CHECK(in_child([](Report& r) {
    Confinement c = confinement(Profile::stager);
    c.chroot_to = "/no/such/dir";
    r.expect_error(confine(c), Code::not_found, "make /no/such/dir the root directory");
  }) == "");
  CHECK(in_child([](Report& r) {
    r.expect(::setuid(65534) == 0, "become nobody");
    Confinement c = confinement(Profile::edge);
    c.user = User{"daemon", 1, 1, "/"};
    r.expect_error(confine(c), Code::denied, "become user 'daemon'");
  }) == "");
}

TEST_CASE("the filter is within what the kernel takes, and another architecture's call ends the process") {
  constexpr uint32_t k_another = 0x40000008; // no architecture that we build for
  for (const Profile profile : {Profile::edge, Profile::vault, Profile::log, Profile::stager}) {
    const Filter filter = filter_for(profile, 1).value();
    CHECK(filter.size() < 4096);
    REQUIRE(filter[0].code == (BPF_LD | BPF_W | BPF_ABS));
    REQUIRE(filter[0].k == offsetof(seccomp_data, arch));
    REQUIRE(filter[1].code == (BPF_JMP | BPF_JEQ | BPF_K));
    CHECK(filter[1].k != k_another);
    const size_t otherwise = 2 + size_t{filter[1].jf};
    CHECK(filter[otherwise].code == (BPF_RET | BPF_K));
    CHECK(filter[otherwise].k == SECCOMP_RET_KILL_PROCESS);
  }
}

#ifdef __x86_64__
TEST_CASE("[attack-E2] [attack-V2] the tables of system calls with 32 bits and of x32 are closed") {
  constexpr long k_x32 = 0x40000000;
  for (const Profile profile : {Profile::edge, Profile::vault, Profile::log, Profile::stager}) {
    CHECK(confined(confinement(profile), [] {
      long number = 20; // getpid, by the table of i386
      asm volatile("int $0x80" : "+a"(number) : : "memory");
      return 0;
    }) == k_sigsys);
    CHECK(confined(confinement(profile),
              [] { return ::syscall(k_x32 + SYS_getpid) > 0 ? 0 : 1; }) == k_sigsys);
  }
}
#endif
