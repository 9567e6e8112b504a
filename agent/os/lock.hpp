// One at a time, across processes: flock on a file. The lock goes with the process that holds it,
// so a file that a killed one left behind is no lock (faults 103). The file stays: removing it
// would let two hold "it" at once.
#pragma once

#include "base/error.hpp"
#include "base/fd.hpp"

#include <chrono>
#include <string>
#include <string_view>

namespace chillbox::os {

class LockFile {
public:
  // busy, naming the holder: "PATH is held by PID 4711 (what)" (faults 102), which is waited for
  // until `patience` is over.
  static Result<LockFile> take(const std::string& path, std::string_view what,
      std::chrono::milliseconds patience = std::chrono::milliseconds(0));

private:
  explicit LockFile(Fd fd) : m_fd(std::move(fd)) {}
  Fd m_fd;
};

} // namespace chillbox::os
