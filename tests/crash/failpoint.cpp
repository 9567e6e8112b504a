// Preloaded into chillboxd (LD_PRELOAD): each call that changes files or starts a program is a
// failpoint, named "KIND PATH". The program itself is the one that is shipped, it has no code for
// this. What happens is said by the file that CHILLBOX_FAILPOINTS names, shared with whoever tests
// (tests/crash/failpoints.py):
//   left    0: off. Else counted down with each failpoint; the one that makes it 0 strikes, before
//   the call error   0: kill -9 of this process. Else the call fails with this errno, once hits how
//   many failpoints were passed since it was set to 0 text    the name of the one that struck;
//   CHILLBOX_FAILPOINTS.log has the names of all while `log` is not 0
//   only    "": each failpoint counts. Else those alone whose name has it
// Only in the monitor: edge, vault and stager touch no file but what the monitor gave them.
#include "crash/calls.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <string>

namespace {

using namespace chillbox::test;

struct Shared {
  std::atomic<uint64_t> left, error, hits, log;
  std::array<char, 512> text;
  std::array<char, 64> only;
};

// Logs and what is read by nobody but the tests are not the host's state.
bool is_state(const Call& call) {
  return call.kind == Call::Kind::spawn ||
      (call.path.find(".log") == std::string::npos && !call.path.starts_with("/run/failpoints"));
}

class Failpoints final : public CallHook {
public:
  Failpoints(Shared* shared, std::string log) : m_shared(shared), m_log(std::move(log)) {}

  int before(const Call& call) override {
    if (!is_state(call))
      return 0;
    const std::string text = std::string(name(call.kind)) + " " +
        (call.other.empty() || call.kind == Call::Kind::symlink ? call.path : call.other);
    if (text.find(m_shared->only.data()) == std::string::npos)
      return 0;
    ++m_shared->hits;
    if (m_shared->log != 0)
      note(text + "\n");
    if (m_shared->left == 0 || --m_shared->left != 0)
      return 0;
    m_shared->text.fill('\0');
    std::memcpy(
        m_shared->text.data(), text.data(), std::min(text.size(), m_shared->text.size() - 1));
    if (m_shared->error == 0)
      ::kill(::getpid(), SIGKILL);
    return static_cast<int>(m_shared->error);
  }
  void after(const Call&) override {}

private:
  void note(const std::string& line) {
    const int fd = ::open(m_log.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
    if (fd >= 0 && ::write(fd, line.data(), line.size()) < 0)
      ::abort();
    ::close(fd);
  }

  Shared* m_shared;
  std::string m_log;
};

bool is_monitor() {
  std::array<char, 256> line{};
  const int fd = ::open("/proc/self/cmdline", O_RDONLY | O_CLOEXEC);
  const ssize_t n = ::read(fd, line.data(), line.size());
  ::close(fd);
  const std::string all(line.data(), n > 0 ? static_cast<size_t>(n) : 0);
  return all.ends_with(std::string("chillboxd") + '\0') &&
      std::count(all.begin(), all.end(), '\0') == 1;
}

[[gnu::constructor]] void begin() {
  const char* file = ::getenv("CHILLBOX_FAILPOINTS");
  if (file == nullptr || !is_monitor())
    return;
  const std::string path = file;
  const int fd = ::open(file, O_RDWR | O_CLOEXEC);
  void* at = fd < 0 ? MAP_FAILED
                    : ::mmap(nullptr, sizeof(Shared), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  ::close(fd);
  if (at != MAP_FAILED)
    hook_calls(new Failpoints(
        static_cast<Shared*>(at), path + ".log")); // for as long as the process lives
}

} // namespace
