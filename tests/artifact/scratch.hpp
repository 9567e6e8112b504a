// A directory of a test's own, removed with all in it.
#pragma once

#include "base/text.hpp"
#include "os/disk.hpp"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

#include <sys/stat.h>

// A message, by a part of it; shows the whole when it is another.
#define CHECK_SAYS(expression, part)                                                               \
  do {                                                                                             \
    const std::string checked_text = (expression);                                                 \
    INFO("said: " << checked_text);                                                                \
    CHECK(checked_text.find(part) != std::string::npos);                                           \
  } while (false)

// A sanitizer makes system calls of its own, which end a process that has given them up.
#ifdef CHILLBOX_SANITIZED
#define NEEDS_CONFINEMENT()                                                                        \
  do {                                                                                             \
    WARN("not under a sanitizer");                                                                 \
    return;                                                                                        \
  } while (false)
#else
#define NEEDS_CONFINEMENT() static_cast<void>(0)
#endif

namespace chillbox::test {

struct Scratch {
  std::string path;
  Scratch() {
    const char* base = std::getenv("TMPDIR");
    std::string pattern = cat(base != nullptr ? base : "/tmp", "/chillbox-test.XXXXXX");
    path = ::mkdtemp(pattern.data());
    ::chmod(path.c_str(), 0755); // other users are in some of these tests
  }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  ~Scratch() {
    std::error_code ignored;
    std::filesystem::remove_all(path, ignored); // without the syncs of Disk
  }
  std::string operator/(std::string_view name) const { return cat(path, "/", name); }
};

inline void write_file(const std::string& path, std::string_view bytes) {
  std::ofstream(path, std::ios::binary)
      .write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
}

inline std::string read_file(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

} // namespace chillbox::test
