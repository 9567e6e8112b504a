#include "os/sandbox.hpp"

#include "base/text.hpp"
#include "os/landlock.hpp"
#include "os/memory.hpp"
#include "os/sandbox_calls.hpp"

#include <grp.h>
#include <linux/capability.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <ctime>

namespace chillbox::os {
namespace {

constexpr int k_most_capabilities = 64;

// `which` has a type of its own in glibc.
template <class Which> Result<void> set_limit(Which which, uint64_t value, std::string_view name) {
  const rlimit limit{static_cast<rlim_t>(value), static_cast<rlim_t>(value)};
  if (::setrlimit(which, &limit) != 0)
    return fail_errno(cat("limit ", name, " to ", value), errno);
  return {};
}

Result<void> check_single_thread() {
  struct stat st{};
  if (::stat("/proc/self/task", &st) != 0)
    return {}; // no /proc: nothing to learn
  const auto threads = static_cast<uint64_t>(st.st_nlink) - 2;
  if (threads != 1)
    return fail(Code::busy, cat("confine: ", threads, " threads run already"));
  return {};
}

Result<void> set_limits(const Confinement& c) {
  if (c.memory_limit != 0) {
    keep_one_heap();
    TRY(set_limit(RLIMIT_AS, c.memory_limit, "memory"));
  }
  if (c.file_limit != 0) {
    TRY(set_limit(RLIMIT_FSIZE, c.file_limit, "file size"));
    ::signal(SIGXFSZ, SIG_IGN); // EFBIG instead of death (faults 100)
  }
  if (c.open_files != 0)
    TRY(set_limit(RLIMIT_NOFILE, c.open_files, "open files"));
  return {};
}

Result<void> enter_root(const std::string& directory) {
  if (::chroot(directory.c_str()) != 0 || ::chdir("/") != 0)
    return fail_errno(cat("make ", directory, " the root directory"), errno);
  return {};
}

// Nothing that is executed later could win a capability back. It needs one itself, so first; a
// container's root may lack it, and then no_new_privs keeps them away alone.
void drop_bounding_set() {
  for (int capability = 0; capability < k_most_capabilities; ++capability)
    ::prctl(PR_CAPBSET_DROP, capability, 0, 0, 0);
}

// Root's number, and of what root may only what its files' modes give to their owner.
Result<void> drop_capabilities() {
  drop_bounding_set();
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  const __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = {};
  if (::syscall(SYS_capset, &header, none) != 0)
    return fail_errno("drop capabilities", errno);
  return {};
}

Result<void> become(const User& user) {
  if (user.uid == 0 || user.gid == 0)
    return fail(Code::invalid, cat("confine: user '", user.name, "' is root"));
  drop_bounding_set();
  const std::string what = cat("become user '", user.name, "'");
  if (::setgroups(1, &user.gid) != 0 || ::setresgid(user.gid, user.gid, user.gid) != 0 ||
      ::setresuid(user.uid, user.uid, user.uid) != 0)
    return fail_errno(what, errno);
  uid_t uid[3] = {};
  gid_t gid[3] = {};
  if (::getresuid(&uid[0], &uid[1], &uid[2]) != 0 || ::getresgid(&gid[0], &gid[1], &gid[2]) != 0)
    return fail_errno(what, errno);
  for (int i = 0; i < 3; ++i)
    if (uid[i] != user.uid || gid[i] != user.gid)
      return fail(Code::denied, cat(what, ": the kernel did something else"));
  if (::setuid(0) == 0)
    return fail(Code::denied, cat(what, ": the way back to root is open"));
  return {};
}

// What the change of user reset without saying so.
Result<void> keep_promises(int death_signal, pid_t parent) {
  TRY(deny_core_and_ptrace());
  if (death_signal != 0 && ::prctl(PR_SET_PDEATHSIG, death_signal) != 0)
    return fail_errno("follow the parent", errno);
  if (::getppid() != parent)
    return fail(Code::interrupted, "confine: the parent is gone");
  return {};
}

} // namespace

Result<void> deny_core_and_ptrace() {
  TRY(set_limit(RLIMIT_CORE, 0, "core files"));
  if (::prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0 || ::prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) != 0)
    return fail_errno("hide memory", errno);
  return {};
}

Result<void> confine(const Confinement& c) {
  TRY(check_single_thread());
  // First, because it needs memory, which may be locked or limited from here on.
  const Filter filter = TRY(filter_for(c.profile, ::getpid()));
  if (c.locks_memory) {
    trim_memory(); // pages that were dropped are not locked
    TRY(lock_memory());
  }
  ::tzset(); // opens the time zone file, which nothing does later
  int death_signal = 0;
  const pid_t parent = ::getppid();
  if (::prctl(PR_GET_PDEATHSIG, &death_signal) != 0)
    return fail_errno("confine", errno);
  TRY(set_limits(c));
  if (c.chroot_to)
    TRY(enter_root(*c.chroot_to));
  TRY(c.user ? become(*c.user) : drop_capabilities());
  TRY(keep_promises(death_signal, parent));
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
    return fail_errno("set no_new_privs", errno);
  // The stager without a root of its own (a test that is not root) writes where we cannot know.
  const bool has_files = c.profile == Profile::stager || c.profile == Profile::log;
  if (!has_files)
    TRY(restrict_with_landlock(nullptr, c.connect_ports));
  else if (c.chroot_to)
    TRY(restrict_with_landlock("/"));
  if (const int err = load_filter(filter, true); err != 0)
    return fail_errno("load system call filter", err);
  return {};
}

Result<void> lock_memory() {
  // With a limit in the way, memory asked for after the change of user would be refused. Where not
  // even root may raise it (a container without CAP_SYS_RESOURCE) only what exists now gets
  // locked; keys that come later lock themselves as far as the limit goes.
  const Result<void> raised =
      set_limit(RLIMIT_MEMLOCK, static_cast<uint64_t>(RLIM_INFINITY), "locked memory");
  rlimit limit{};
  const bool unlimited =
      raised || (::getrlimit(RLIMIT_MEMLOCK, &limit) == 0 && limit.rlim_cur == RLIM_INFINITY);
  // As it is touched: else the whole of every library would have to be read in.
  if (::mlockall(MCL_CURRENT | MCL_ONFAULT | (unlimited ? MCL_FUTURE : 0)) == 0)
    return {};
  const int err = errno;
  Error error = fail_errno("lock memory", err).error();
  error.code = Code::denied;
  return std::unexpected(std::move(error));
}

} // namespace chillbox::os
