#include "os/sandbox_calls.hpp"

#include <fcntl.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>

#if !defined(__x86_64__) && !defined(__aarch64__)
#error "the lists of system calls are for x86_64 and aarch64 only"
#endif

namespace chillbox::os {
namespace {

// aarch64 never had open, stat and the like, because a newer call does the same.

// On descriptors that are open already, on the process's own memory and signals, and on the clock.
constexpr auto k_everyone = std::to_array<int>(
    {SCMP_SYS(read), SCMP_SYS(write), SCMP_SYS(readv), SCMP_SYS(writev), SCMP_SYS(close),
        SCMP_SYS(fstat), SCMP_SYS(lseek), SCMP_SYS(fcntl), SCMP_SYS(dup), SCMP_SYS(dup3),
        SCMP_SYS(dup2), SCMP_SYS(poll), SCMP_SYS(ppoll), SCMP_SYS(recvmsg), SCMP_SYS(recvfrom),
        SCMP_SYS(shutdown), SCMP_SYS(getsockopt), // sendto and sendmsg have rules of their own
        // memory; mmap and mprotect have, too
        SCMP_SYS(brk), SCMP_SYS(munmap), SCMP_SYS(mremap), SCMP_SYS(madvise), SCMP_SYS(mlock),
        SCMP_SYS(mlock2), SCMP_SYS(munlock),
        // signals
        SCMP_SYS(rt_sigaction), SCMP_SYS(rt_sigprocmask), SCMP_SYS(rt_sigreturn),
        SCMP_SYS(rt_sigtimedwait), SCMP_SYS(sigaltstack), SCMP_SYS(restart_syscall),
        // time and chance
        SCMP_SYS(clock_gettime), SCMP_SYS(clock_getres), SCMP_SYS(clock_nanosleep),
        SCMP_SYS(nanosleep), SCMP_SYS(gettimeofday), SCMP_SYS(time), SCMP_SYS(getrandom),
        // itself
        SCMP_SYS(getpid), SCMP_SYS(gettid), SCMP_SYS(getppid), SCMP_SYS(getuid), SCMP_SYS(geteuid),
        SCMP_SYS(getgid), SCMP_SYS(getegid), SCMP_SYS(getrusage), SCMP_SYS(times),
        SCMP_SYS(sysinfo), SCMP_SYS(uname), SCMP_SYS(sched_getaffinity), SCMP_SYS(getcpu),
        SCMP_SYS(sched_yield), SCMP_SYS(futex), SCMP_SYS(membarrier), SCMP_SYS(set_robust_list),
        SCMP_SYS(set_tid_address), SCMP_SYS(rseq), SCMP_SYS(exit), SCMP_SYS(exit_group)});

// The HTTP process: connections from a listener that it was given, uploads into files that it was
// given, threads.
constexpr auto k_edge =
    std::to_array<int>({SCMP_SYS(accept), SCMP_SYS(accept4), SCMP_SYS(getsockname),
        SCMP_SYS(getpeername), SCMP_SYS(setsockopt), SCMP_SYS(select), SCMP_SYS(pselect6),
        SCMP_SYS(epoll_create1), SCMP_SYS(epoll_ctl), SCMP_SYS(epoll_wait), SCMP_SYS(epoll_pwait),
        SCMP_SYS(eventfd2), SCMP_SYS(pipe2), SCMP_SYS(timerfd_create), SCMP_SYS(timerfd_settime),
        SCMP_SYS(pread64), SCMP_SYS(pwrite64), SCMP_SYS(ftruncate), SCMP_SYS(fallocate),
        SCMP_SYS(fsync), SCMP_SYS(fdatasync), SCMP_SYS(sendfile), SCMP_SYS(splice)});

// Files, by descriptor or path: the process's whole file system is one directory. No device, fifo,
// hard link, owner or attribute.
constexpr auto k_stager = std::to_array<int>({SCMP_SYS(openat), SCMP_SYS(openat2), SCMP_SYS(open),
    SCMP_SYS(newfstatat), SCMP_SYS(statx), SCMP_SYS(stat), SCMP_SYS(lstat), SCMP_SYS(fstatfs),
    SCMP_SYS(faccessat), SCMP_SYS(faccessat2), SCMP_SYS(access), SCMP_SYS(readlinkat),
    SCMP_SYS(readlink), SCMP_SYS(getdents64), SCMP_SYS(mkdirat), SCMP_SYS(mkdir),
    SCMP_SYS(symlinkat), SCMP_SYS(symlink), SCMP_SYS(unlinkat), SCMP_SYS(unlink), SCMP_SYS(rmdir),
    SCMP_SYS(rename), SCMP_SYS(renameat), SCMP_SYS(renameat2), SCMP_SYS(fchmod), SCMP_SYS(fchmodat),
    SCMP_SYS(chmod), SCMP_SYS(utimensat), SCMP_SYS(umask), SCMP_SYS(chdir), SCMP_SYS(fchdir),
    SCMP_SYS(getcwd), SCMP_SYS(pread64), SCMP_SYS(pwrite64), SCMP_SYS(preadv), SCMP_SYS(pwritev),
    SCMP_SYS(ftruncate), SCMP_SYS(fallocate), SCMP_SYS(fadvise64), SCMP_SYS(copy_file_range),
    SCMP_SYS(sendfile), SCMP_SYS(fsync), SCMP_SYS(fdatasync), SCMP_SYS(syncfs)});

// A log: files of one directory are opened, written, renamed and removed.
constexpr auto k_log = std::to_array<int>(
    {SCMP_SYS(openat), SCMP_SYS(newfstatat), SCMP_SYS(statx), SCMP_SYS(stat), SCMP_SYS(lstat),
        SCMP_SYS(renameat2), SCMP_SYS(renameat), SCMP_SYS(unlinkat), SCMP_SYS(flock)});

// Connections to addresses that it has.
constexpr auto k_dialer = std::to_array<int>({SCMP_SYS(connect), SCMP_SYS(setsockopt)});

// On a socket that is connected already. To an address, or with MSG_FASTOPEN, they would connect
// it, and Landlock does not see that.
void allow_sending(FilterRules& rules) {
  const scmp_arg_cmp no_address{4, SCMP_CMP_EQ, 0, 0}; // a pointer: all of its bits
  rules.add(SCMP_ACT_ALLOW, SCMP_SYS(sendto), {masked(3, MSG_FASTOPEN, 0), no_address});
  rules.allow_bits(SCMP_SYS(sendmsg), 2, MSG_FASTOPEN, 0);
}

// TCP alone: by datagrams, or by another protocol, it would reach any address.
void allow_tcp(FilterRules& rules) {
  constexpr uint32_t k_type = ~static_cast<uint32_t>(SOCK_NONBLOCK | SOCK_CLOEXEC);
  for (const uint32_t family : {uint32_t{AF_INET}, uint32_t{AF_INET6}})
    rules.add(SCMP_ACT_ALLOW, SCMP_SYS(socket),
        {masked(0, ~0U, family), masked(1, k_type, SOCK_STREAM), masked(2, ~0U, 0)});
}

constexpr uint32_t k_thread_must = CLONE_VM | CLONE_SIGHAND | CLONE_THREAD;
constexpr uint32_t k_clone_detached = 0x00400000; // musl sets it; the kernel ignores it
constexpr uint32_t k_thread_may = k_thread_must | CLONE_FS | CLONE_FILES | CLONE_SYSVSEM |
    CLONE_SETTLS | CLONE_PARENT_SETTID | CLONE_CHILD_CLEARTID | k_clone_detached;
constexpr uint32_t k_set_vma = 0x53564d41; // PR_SET_VMA: newer malloc names its memory

void add_rules(FilterRules& rules, Profile profile, pid_t self) {
  const auto own = static_cast<uint32_t>(self);
  rules.allow(k_everyone);
  allow_sending(rules);
  rules.allow_bits(SCMP_SYS(mmap), 2, PROT_EXEC, 0);
  rules.allow_bits(SCMP_SYS(mprotect), 2, PROT_EXEC, 0);
  // abort() signals itself: by tgkill, in musl by tkill of its (first) thread.
  rules.allow_values(SCMP_SYS(tgkill), 0, {own});
  rules.allow_values(SCMP_SYS(tkill), 0, {own});
  rules.allow_values(SCMP_SYS(prctl), 0, {PR_SET_NAME, k_set_vma});
  // What a libc asks of an open stream before it buffers it.
  rules.allow_values(SCMP_SYS(ioctl), 1, {TCGETS, TIOCGWINSZ, FIONREAD, FIONBIO});
  // Not fatal, because the libc has another way: clone3 takes its flags from memory, where no
  // filter can see them, and clone does not.
  rules.add(SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3));
  rules.add(SCMP_ACT_ERRNO(EPERM), SCMP_SYS(prlimit64));
  switch (profile) {
  case Profile::edge:
    rules.allow(k_edge);
    rules.allow_bits(SCMP_SYS(clone), 0, ~k_thread_may, k_thread_must);
    break;
  case Profile::vault: break;
  case Profile::courier: rules.allow_bits(SCMP_SYS(clone), 0, ~k_thread_may, k_thread_must); break;
  case Profile::dialer:
    allow_tcp(rules);
    rules.allow(k_dialer);
    break;
  case Profile::log: rules.allow(k_log); return;
  case Profile::stager:
    rules.allow(k_stager);
    rules.allow_bits(SCMP_SYS(clone), 0, ~k_thread_may, k_thread_must);
    return;
  }
  // fstat by its newer name: on a descriptor, without a path.
  rules.allow_values(SCMP_SYS(newfstatat), 3, {AT_EMPTY_PATH});
  rules.allow_values(SCMP_SYS(statx), 2, {AT_EMPTY_PATH});
}

} // namespace

Result<Filter> filter_for(Profile profile, pid_t self) {
  FilterRules rules(SCMP_ACT_KILL_PROCESS);
  add_rules(rules, profile, self);
  return rules.done();
}

} // namespace chillbox::os
