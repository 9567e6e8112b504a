#include "catch.hpp"
#include "support.hpp"

#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstddef>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>

namespace os_test {
namespace fs = std::filesystem;
namespace {

// A fork must not go on as a second test program: neither in Catch's signal handlers nor by an
// exception.
template <class Work> [[noreturn]] void run_and_exit(Work work) {
  for (const int number : {SIGABRT, SIGSEGV, SIGTERM, SIGINT, SIGFPE, SIGILL})
    ::signal(number, SIG_DFL);
  try {
    ::_exit(work());
  } catch (...) {
    ::_exit(95);
  }
}

} // namespace

TempDir::TempDir() {
  char name[] = "/tmp/chillbox-os-XXXXXX";
  const char* made = ::mkdtemp(name);
  if (made == nullptr)
    std::abort();
  m_path = made;
}

TempDir::~TempDir() {
  std::error_code ignored;
  fs::remove_all(m_path, ignored);
}

bool is_root() {
  return ::geteuid() == 0;
}

bool as_root() {
  if (!is_root())
    WARN("left out: it needs root");
  return is_root();
}

std::string reason(int err) {
  return chillbox::fail_errno("", err).error().message.substr(2);
}

bool has(const std::string& text, const std::string& part) {
  CAPTURE(text, part);
  CHECK(text.find(part) != std::string::npos);
  return text.find(part) != std::string::npos;
}

void Report::expect(bool holds, const std::string& claim) {
  if (holds)
    return;
  const std::string line = claim + "\n";
  if (::write(m_fd, line.data(), line.size()) < 0)
    ::_exit(99);
}

std::string in_child(const std::function<void(Report&)>& work) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0)
    return "no pipe";
  const pid_t pid = ::fork();
  if (pid == 0) {
    ::close(ends[0]);
    Report report(ends[1]);
    run_and_exit([&] { return work(report), 0; });
  }
  ::close(ends[1]);
  std::string text;
  char buffer[4096];
  for (ssize_t n; (n = ::read(ends[0], buffer, sizeof buffer)) > 0;)
    text.append(buffer, static_cast<size_t>(n));
  ::close(ends[0]);
  int status = 0;
  ::waitpid(pid, &status, 0);
  if (WIFSIGNALED(status))
    text += "ended by signal " + std::to_string(WTERMSIG(status));
  else if (WEXITSTATUS(status) != 0)
    text += "ended with " + std::to_string(WEXITSTATUS(status));
  return text;
}

int exit_of(const std::function<int()>& work) {
  const pid_t pid = ::fork();
  if (pid == 0)
    run_and_exit(work);
  int status = 0;
  ::waitpid(pid, &status, 0);
  return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

void private_tmpfs(const std::string& dir, const std::string& options) {
  if (::unshare(CLONE_NEWNS) != 0 ||
      ::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0 ||
      ::mount("test", dir.c_str(), "tmpfs", 0, options.c_str()) != 0)
    ::_exit(98);
}

void break_call(long call, int err, int except_fd) {
  const auto number = static_cast<uint32_t>(call);
  const auto fd = static_cast<uint32_t>(except_fd);
  sock_filter filter[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, number, 0, 3),
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, args)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, fd, 1, 0),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | static_cast<uint32_t>(err)),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  const sock_fprog program{static_cast<unsigned short>(std::size(filter)), filter};
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
      ::syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) != 0)
    ::_exit(97);
}

std::string slurp(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

void spit(const std::string& path, const std::string& text, mode_t mode) {
  std::ofstream(path, std::ios::binary) << text;
  ::chmod(path.c_str(), mode);
}

std::vector<std::string> names(const std::string& dir) {
  std::vector<std::string> out;
  for (const auto& entry : fs::directory_iterator(dir))
    out.push_back(entry.path().filename());
  std::sort(out.begin(), out.end());
  return out;
}

mode_t mode_of(const std::string& path) {
  struct stat st{};
  return ::lstat(path.c_str(), &st) == 0 ? st.st_mode & 07777 : 0;
}

} // namespace os_test
