// A log that its writers rotate themselves, by size: NAME, NAME.1, NAME.2 ... (the newest first),
// at most `keep` old ones. Any number of processes may write to the same one. What finds no room is
// dropped, counted, and said in the log once there is room again; nothing here waits for it.
// Everything happens below one directory that was opened before: for a process that can open
// nothing else. When what was written is said next to it (os/log_index.hpp).
#pragma once

#include "base/fd.hpp"

#include <cstdint>
#include <string>
#include <string_view>

namespace chillbox::os {

class LogWriter {
public:
  // keep 0: what is over is gone. size 0: never rotated. release: the N of whose output it is.
  LogWriter(Fd dir, std::string name, uint64_t size, uint32_t keep, uint32_t release = 0);
  void append(std::string_view text);
  uint64_t dropped() const { return m_dropped; } // and not yet reported

private:
  bool open_current();
  void rotate();
  bool put(std::string_view text); // false: no room; what was not written is counted
  void tell_dropped();
  bool full(uint64_t size, uint64_t marks) const;
  void mark(uint64_t written);

  Fd m_dir, m_file, m_marks;
  std::string m_name;
  uint64_t m_size;
  uint32_t m_keep, m_release;
  uint64_t m_dropped = 0;
  bool m_line_begins = true;
  uint64_t m_end = 0;        // of the log, after our last write to it
  uint64_t m_marks_size = 0; // bytes
  int64_t m_marked_ms = 0;   // 0: nothing of this file
};

} // namespace chillbox::os
