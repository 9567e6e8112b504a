// While one is alive, the programs that its thread starts get this soft limit of open files, or
// ours if that is lower.
#pragma once

#include <cstdint>
#include <utility>

namespace chillbox::os {

class SoftFiles {
public:
  explicit SoftFiles(uint64_t most) : m_before(std::exchange(s_most, most)) {}
  SoftFiles(const SoftFiles&) = delete;
  SoftFiles& operator=(const SoftFiles&) = delete;
  ~SoftFiles() { s_most = m_before; }
  static uint64_t most() { return s_most; } // 0: ours

private:
  static inline thread_local uint64_t s_most = 0;
  uint64_t m_before;
};

} // namespace chillbox::os
