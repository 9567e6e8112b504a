// What the tests of this room share: a directory that goes away, a child to break things in, and
// system calls that fail on demand.
#pragma once

#include "base/error.hpp"

#include <sys/types.h>

#include <functional>
#include <string>
#include <vector>

namespace os_test {

class TempDir {
public:
  TempDir();
  ~TempDir();
  TempDir(const TempDir&) = delete;
  TempDir& operator=(const TempDir&) = delete;
  const std::string& path() const { return m_path; }
  std::string operator/(const std::string& name) const { return m_path + "/" + name; }

private:
  std::string m_path;
};

bool is_root();
bool as_root();              // else it says that this test was left out
std::string reason(int err); // as messages say it in this C library
bool has(const std::string& text, const std::string& part);

// Collects what did not hold in a child; comes out in the parent as text.
class Report {
public:
  explicit Report(int fd) : m_fd(fd) {}
  void expect(bool holds, const std::string& claim);
  template <class T> void expect_ok(const chillbox::Result<T>& result, const std::string& claim) {
    expect(result.has_value(), result ? claim : claim + ": " + result.error().message);
  }
  template <class T> void expect_error(
      const chillbox::Result<T>& result, chillbox::Code code, const std::string& part) {
    expect(!result, "expected an error with '" + part + "'");
    if (!result)
      expect(result.error().code == code && result.error().message.find(part) != std::string::npos,
          "expected '" + part + "', got " + std::string(chillbox::code_name(result.error().code)) +
              ": " + result.error().message);
  }

private:
  int m_fd;
};

// Runs in a fork. "": all held and it ended by itself.
std::string in_child(const std::function<void(Report&)>& work);
// Runs in a fork; its exit code as a shell says it (159: SIGSYS).
int exit_of(const std::function<int()>& work);

// In a child only: mounts a tmpfs of its own over `dir`, visible to nobody else. Root only.
void private_tmpfs(const std::string& dir, const std::string& options);
// In a child only: from now on `call` fails with `err`. except_fd: but not on this descriptor as
// first argument.
void break_call(long call, int err, int except_fd = -1);

std::string slurp(const std::string& path); // "" when it cannot be read
void spit(const std::string& path, const std::string& text, mode_t mode = 0644);
std::vector<std::string> names(const std::string& dir);
mode_t mode_of(const std::string& path); // permission bits; links not followed

} // namespace os_test
