// chillbox-log NAME SIZE FILES [RELEASE]: adds standard input to the log NAME in the directory that
// is descriptor 3, notes when it came and from the release with this number, and rotates it by
// size. The values of the site's secret set, whose directory is
// descriptor 4 if there is one, become "[secret]" before they are written. A program of its own,
// because one runs for each service: it is a tenth of the daemon. It ends when nobody has the other
// end any more, whatever else is said to; it is in no control group of the site, and gives up all
// but that directory before it reads a byte.
#include "base/fd.hpp"
#include "base/text.hpp"
#include "os/io.hpp"
#include "os/log_writer.hpp"
#include "os/memory.hpp"
#include "os/sandbox.hpp"
#include "os/secret_mask.hpp"

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <string>

namespace {

using namespace chillbox;

// Out of the service's group, which is limited and in the end killed: its last lines are still to
// come. Without version 2 it stays.
void leave_group() {
  for (const char* group :
      {"/sys/fs/cgroup/chillbox.logs", "/sys/fs/cgroup/unified/chillbox.logs"}) {
    ::mkdir(group, 0755);
    const Fd fd(::open(cat(group, "/cgroup.procs").c_str(), O_WRONLY | O_CLOEXEC));
    if (fd && ::write(fd.get(), "0", 1) == 1)
      return;
  }
}

// Whoever ends the service and all that belongs to it does not mean this one.
void ignore_signals() {
  for (const int number : {SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGPIPE, SIGUSR1, SIGUSR2})
    ::signal(number, SIG_IGN);
}

// Before anything of the site is read, and into memory that never gets to a disk, where that can
// be.
Mask read_mask(int directory) {
  if (::fcntl(directory, F_GETFD) < 0)
    return {};
  (void)os::lock_memory();
  Mask mask = os::mask_of_set(directory);
  ::close(directory);
  return mask;
}

} // namespace

int main(int argc, char** argv) {
  constexpr int k_dir = 3, k_secrets = 4, k_usage = 2;
  if (argc < 4 || argc > 5 || ::fchdir(k_dir) != 0)
    return k_usage;
  leave_group();
  ignore_signals();
  (void)os::deny_core_and_ptrace();
  const Mask mask = read_mask(k_secrets);
  const auto confined =
      os::confine({.profile = os::Profile::log, .user = std::nullopt, .chroot_to = "."});
  os::LogWriter log(Fd(k_dir), argv[1], parse_u64(argv[2]).value_or(0),
      static_cast<uint32_t>(parse_u64(argv[3]).value_or(0)),
      static_cast<uint32_t>(parse_u64(argc > 4 ? argv[4] : "0").value_or(0)));
  if (!confined) { // what is read from a site is read confined or not at all
    log.append(cat("chillbox-log: ", confined.error().message, "\n"));
    return 1;
  }
  os::trim_memory();
  MaskedStream masked(mask);
  static std::array<char, 16 * 1024> buffer;
  for (;;) {
    const ssize_t n = os::read_some(STDIN_FILENO, buffer.data(), buffer.size());
    if (n > 0)
      log.append(masked.feed({buffer.data(), static_cast<size_t>(n)}));
    else
      break;
  }
  log.append(masked.end());
  return 0;
}
