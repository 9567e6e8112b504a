// A log that its writers rotate themselves, by size: NAME, NAME.1, NAME.2 ... (the newest first),
// at most `keep` old ones. Any number of processes may write to the same one. What finds no room is
// dropped, counted, and said in the log once there is room again; nothing here waits for it.
// Everything happens below one directory that was opened before: for a process that can open
// nothing else.
#pragma once

#include "base/fd.hpp"

#include <cstdint>
#include <string>
#include <string_view>

namespace chillbox::os {

class LogWriter {
public:
  // keep 0: what is over is gone. size 0: never rotated.
  LogWriter(Fd dir, std::string name, uint64_t size, uint32_t keep);
  void append(std::string_view text);
  uint64_t dropped() const { return m_dropped; } // and not yet reported

private:
  bool open_current();
  void rotate();
  bool put(std::string_view text); // false: no room; what was not written is counted
  void tell_dropped();

  Fd m_dir, m_file;
  std::string m_name;
  uint64_t m_size;
  uint32_t m_keep;
  uint64_t m_dropped = 0;
  bool m_line_begins = true;
};

} // namespace chillbox::os
