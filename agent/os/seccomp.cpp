#include "os/seccomp.hpp"

#include <fcntl.h>
#include <linux/audit.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstddef>
#include <span>

namespace chillbox::os {
namespace {

#if defined(__x86_64__)
constexpr uint32_t k_arch = AUDIT_ARCH_X86_64;
#elif defined(__aarch64__)
constexpr uint32_t k_arch = AUDIT_ARCH_AARCH64;
#else
#error "the system call filter knows x86_64 and aarch64 only"
#endif

// Calls that aarch64 never had, because a newer one does the same.
#if defined(__x86_64__)
#define CHILLBOX_OLD(name) SYS_##name,
#else
#define CHILLBOX_OLD(name)
#endif

// On descriptors that are open already, on the process's own memory and signals, and on the clock.
constexpr auto k_everyone = std::to_array<long>({
    SYS_read,
    SYS_write,
    SYS_readv,
    SYS_writev,
    SYS_close,
    SYS_fstat,
    SYS_lseek,
    SYS_fcntl,
    SYS_dup,
    SYS_dup3,
    CHILLBOX_OLD(dup2) CHILLBOX_OLD(poll) SYS_ppoll,
    SYS_recvmsg,
    SYS_recvfrom,
    SYS_sendmsg,
    SYS_sendto,
    SYS_shutdown,
    SYS_getsockopt,
    // memory; mmap and mprotect have rules of their own
    SYS_brk,
    SYS_munmap,
    SYS_mremap,
    SYS_madvise,
    SYS_mlock,
    SYS_mlock2,
    SYS_munlock,
    // signals
    SYS_rt_sigaction,
    SYS_rt_sigprocmask,
    SYS_rt_sigreturn,
    SYS_rt_sigtimedwait,
    SYS_sigaltstack,
    SYS_restart_syscall,
    // time and chance
    SYS_clock_gettime,
    SYS_clock_getres,
    SYS_clock_nanosleep,
    SYS_nanosleep,
    SYS_gettimeofday,
    CHILLBOX_OLD(time) SYS_getrandom,
    // itself
    SYS_getpid,
    SYS_gettid,
    SYS_getppid,
    SYS_getuid,
    SYS_geteuid,
    SYS_getgid,
    SYS_getegid,
    SYS_getrusage,
    SYS_times,
    SYS_sysinfo,
    SYS_uname,
    SYS_sched_getaffinity,
    SYS_getcpu,
    SYS_sched_yield,
    SYS_futex,
    SYS_membarrier,
    SYS_set_robust_list,
    SYS_set_tid_address,
    SYS_rseq,
    SYS_exit,
    SYS_exit_group,
});

// The HTTP process: connections from a listener that it was given, uploads into files that it was
// given, threads.
constexpr auto k_edge = std::to_array<long>({
    SYS_accept,
    SYS_accept4,
    SYS_getsockname,
    SYS_getpeername,
    SYS_setsockopt,
    CHILLBOX_OLD(select) SYS_pselect6,
    SYS_epoll_create1,
    SYS_epoll_ctl,
    CHILLBOX_OLD(epoll_wait) SYS_epoll_pwait,
    SYS_eventfd2,
    SYS_pipe2,
    SYS_timerfd_create,
    SYS_timerfd_settime,
    SYS_pread64,
    SYS_pwrite64,
    SYS_ftruncate,
    SYS_fallocate,
    SYS_fsync,
    SYS_fdatasync,
    SYS_sendfile,
});

// Files, by descriptor or path: the process's whole file system is one directory. No device, fifo,
// hard link, owner or attribute.
constexpr auto k_stager = std::to_array<long>({
    SYS_openat,
    SYS_openat2,
    CHILLBOX_OLD(open) SYS_newfstatat,
    SYS_statx,
    CHILLBOX_OLD(stat) CHILLBOX_OLD(lstat) SYS_fstatfs,
    SYS_faccessat,
    SYS_faccessat2,
    CHILLBOX_OLD(access) SYS_readlinkat,
    CHILLBOX_OLD(readlink) SYS_getdents64,
    SYS_mkdirat,
    CHILLBOX_OLD(mkdir) SYS_symlinkat,
    CHILLBOX_OLD(symlink) SYS_unlinkat,
    CHILLBOX_OLD(unlink) CHILLBOX_OLD(rmdir) CHILLBOX_OLD(rename) SYS_renameat,
    SYS_renameat2,
    SYS_fchmod,
    SYS_fchmodat,
    CHILLBOX_OLD(chmod) SYS_utimensat,
    SYS_umask,
    SYS_chdir,
    SYS_fchdir,
    SYS_getcwd,
    SYS_pread64,
    SYS_pwrite64,
    SYS_preadv,
    SYS_pwritev,
    SYS_ftruncate,
    SYS_fallocate,
    SYS_fadvise64,
    SYS_copy_file_range,
    SYS_sendfile,
    SYS_fsync,
    SYS_fdatasync,
    SYS_syncfs,
});

// A log: files of one directory are opened, written, renamed and removed.
constexpr auto k_log = std::to_array<long>({
    SYS_openat,
    SYS_newfstatat,
    SYS_statx,
    CHILLBOX_OLD(stat) CHILLBOX_OLD(lstat) SYS_renameat2,
    SYS_renameat,
    SYS_unlinkat,
    SYS_flock,
});

constexpr uint32_t k_thread_must = CLONE_VM | CLONE_SIGHAND | CLONE_THREAD;
constexpr uint32_t k_clone_detached = 0x00400000; // musl sets it; the kernel ignores it
constexpr uint32_t k_thread_may = k_thread_must | CLONE_FS | CLONE_FILES | CLONE_SYSVSEM |
    CLONE_SETTLS | CLONE_PARENT_SETTID | CLONE_CHILD_CLEARTID | k_clone_detached;
constexpr uint32_t k_set_vma = 0x53564d41; // PR_SET_VMA: newer malloc names its memory

// Each rule is complete in itself: the number, the conditions, a verdict. So a jump never leaves
// its rule and stays within 8 bits.
class Program {
public:
  Program() {
    load(offsetof(seccomp_data, arch));
    add(BPF_JMP | BPF_JEQ | BPF_K, k_arch, 1,
        0); // another architecture's table would read our numbers differently
    verdict(SECCOMP_RET_KILL_PROCESS);
    load(offsetof(seccomp_data, nr));
  }

  void allow(std::span<const long> calls) {
    for (const long call : calls) {
      add(BPF_JMP | BPF_JEQ | BPF_K, static_cast<uint32_t>(call), 0, 1);
      verdict(SECCOMP_RET_ALLOW);
    }
  }

  void refuse(long call, int err) {
    add(BPF_JMP | BPF_JEQ | BPF_K, static_cast<uint32_t>(call), 0, 1);
    verdict(SECCOMP_RET_ERRNO | static_cast<uint32_t>(err));
  }

  // Allowed when the argument is one of `values`.
  void allow_values(long call, int argument, std::initializer_list<uint32_t> values) {
    const auto n = static_cast<uint8_t>(values.size());
    // load, n comparisons, kill, allow
    add(BPF_JMP | BPF_JEQ | BPF_K, static_cast<uint32_t>(call), 0, static_cast<uint8_t>(n + 3));
    load(argument_at(argument));
    uint8_t left = n;
    for (const uint32_t value : values)
      add(BPF_JMP | BPF_JEQ | BPF_K, value, left--, 0);
    verdict(SECCOMP_RET_KILL_PROCESS);
    verdict(SECCOMP_RET_ALLOW);
  }

  // Allowed when none of `forbidden` is set in the argument and all of `needed` are.
  void allow_bits(long call, int argument, uint32_t forbidden, uint32_t needed) {
    add(BPF_JMP | BPF_JEQ | BPF_K, static_cast<uint32_t>(call), 0, 6);
    load(argument_at(argument));
    add(BPF_JMP | BPF_JSET | BPF_K, forbidden, 2, 0);
    add(BPF_ALU | BPF_AND | BPF_K, needed, 0, 0);
    add(BPF_JMP | BPF_JEQ | BPF_K, needed, 1, 0);
    verdict(SECCOMP_RET_KILL_PROCESS);
    verdict(SECCOMP_RET_ALLOW);
  }

  std::vector<sock_filter> done() {
    verdict(SECCOMP_RET_KILL_PROCESS);
    return std::move(m_code);
  }

private:
  void add(int code, uint32_t k, uint8_t if_true, uint8_t if_false) {
    m_code.push_back(sock_filter{static_cast<uint16_t>(code), if_true, if_false, k});
  }
  void load(size_t offset) { add(BPF_LD | BPF_W | BPF_ABS, static_cast<uint32_t>(offset), 0, 0); }
  void verdict(uint32_t action) { add(BPF_RET | BPF_K, action, 0, 0); }
  // Its low half: both architectures are little-endian, and the kernel takes every argument that is
  // asked for here as 32 bits.
  static size_t argument_at(int index) {
    return offsetof(seccomp_data, args) + sizeof(uint64_t) * static_cast<size_t>(index);
  }

  std::vector<sock_filter> m_code;
};

void add_rules(Program& program, Profile profile, pid_t self) {
  const auto own = static_cast<uint32_t>(self);
  program.allow(k_everyone);
  program.allow_bits(SYS_mmap, 2, PROT_EXEC, 0);
  program.allow_bits(SYS_mprotect, 2, PROT_EXEC, 0);
  // abort() signals itself: by tgkill, in musl by tkill of its (first) thread.
  program.allow_values(SYS_tgkill, 0, {own});
  program.allow_values(SYS_tkill, 0, {own});
  program.allow_values(SYS_prctl, 0, {PR_SET_NAME, k_set_vma});
  // What a libc asks of an open stream before it buffers it.
  program.allow_values(SYS_ioctl, 1, {TCGETS, TIOCGWINSZ, FIONREAD, FIONBIO});
  // Not fatal, because the libc has another way: clone3 takes its flags from memory, where no
  // filter can see them, and clone does not.
  program.refuse(SYS_clone3, ENOSYS);
  program.refuse(SYS_prlimit64, EPERM);
  switch (profile) {
  case Profile::edge:
    program.allow(k_edge);
    program.allow_bits(SYS_clone, 0, ~k_thread_may, k_thread_must);
    break;
  case Profile::vault: break;
  case Profile::log: program.allow(k_log); return;
  case Profile::stager:
    program.allow(k_stager);
    program.allow_bits(SYS_clone, 0, ~k_thread_may, k_thread_must);
    return;
  }
  // fstat by its newer name: on a descriptor, without a path.
  program.allow_values(SYS_newfstatat, 3, {AT_EMPTY_PATH});
  program.allow_values(SYS_statx, 2, {AT_EMPTY_PATH});
}

} // namespace

std::vector<sock_filter> filter_for(Profile profile, pid_t self) {
  Program program;
  add_rules(program, profile, self);
  return program.done();
}

Result<void> install_filter(const std::vector<sock_filter>& filter) {
  const sock_fprog program{static_cast<unsigned short>(filter.size()),
      const_cast<sock_filter*>(filter.data())}; // only read
  const long result =
      ::syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, &program);
  if (result > 0)
    return fail(Code::failure, "install system call filter: a thread has another one");
  if (result < 0)
    return fail_errno("install system call filter", errno);
  return {};
}

} // namespace chillbox::os
