// One file of a log, read by descriptor: its lines with their times, from a time on or from the
// last ones on, without reading what lies before. The bytes are a site's: nothing of them is
// believed, and a line without end costs no more memory than a long one.
#pragma once

#include "base/error.hpp"
#include "base/fd.hpp"
#include "os/open_log.hpp"

#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <vector>

namespace chillbox::cli {

struct LogText {
  std::string text;
  int64_t ms = 0;        // 0: not known
  bool own_time = false; // the line itself begins with it
  bool cut = false;      // it was longer
  uint32_t release = 0;  // the N of VERSION-N, 0: not known
};

class LogFile {
public:
  static constexpr size_t k_longest_line = 64 * 1024;

  LogFile(Fd text, Fd marks);
  // From the first line that may have been written then, to the last one. Of a file whose lines
  // have no times nothing is left.
  Result<void> select(int64_t since_ms, int64_t until_ms);
  // From the last `lines` on, one that has no end not counted; how many there are.
  Result<uint64_t> seek_last(uint64_t lines);
  // nullopt: nothing more for now. to_the_end: a line that has no end is one, too.
  Result<std::optional<LogText>> next(bool to_the_end = false);
  // Where times begin to be known; 0: nowhere, or from the beginning on.
  int64_t known_from_ms() const;
  uint64_t bytes_read() const { return m_read; }
  bool is(const Fd& file) const; // the same file

private:
  Result<size_t> read_on(); // how many bytes came
  std::string take(size_t length);
  Result<std::string> read_at(uint64_t offset, size_t most);
  Result<void> load_marks();
  Result<void> select_by_marks(int64_t since_ms, int64_t until_ms);
  Result<void> bisect(int64_t since_ms);
  void go_to(uint64_t offset);
  LogText line_of(std::string text, uint64_t offset, bool cut);
  uint64_t size() const;

  Fd m_text, m_marks_file;
  std::vector<os::LogMark> m_marks;
  uint64_t m_marks_to = 0; // bytes of their file that were read
  std::string m_buffer;    // of the file; what is after m_taken begins at m_at
  size_t m_taken = 0;
  uint64_t m_at = 0, m_end = std::numeric_limits<uint64_t>::max();
  uint64_t m_read = 0;
  bool m_skip = false;   // to the end of this line
  int64_t m_last_ms = 0; // without marks: of the last line with a time of its own
};

} // namespace chillbox::cli
