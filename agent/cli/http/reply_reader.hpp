// An answer of HTTP/1, read from the bytes as they come. Pure. Its body has a length, comes in
// chunks, or ends with the connection; interim answers (1xx) are passed over.
#pragma once

#include "base/error.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace chillbox::cli {

class ReplyReader {
public:
  // Moves what belongs to the body from the front of `bytes` to the end of `body`. unreachable:
  // this is no answer of HTTP/1, or one whose head has no end.
  Result<void> take(std::string& bytes, std::string& body);
  int status() const { return m_status; } // 0: not known yet
  bool is_whole() const { return m_part == Part::over; }
  // Whether it is whole if the connection ends here.
  bool ends_with_connection() const { return is_whole() || m_part == Part::open; }

private:
  enum class Part { head, length, open, chunk_size, chunk, chunk_end, trailer, over };
  bool step(std::string& bytes, std::string& body, std::optional<Error>& problem);
  std::optional<Error> read_head(std::string_view head);
  std::optional<Error> read_line(std::string_view line);
  Part m_part = Part::head;
  int m_status = 0;
  uint64_t m_left = 0; // of the body, or of this chunk
};

} // namespace chillbox::cli
