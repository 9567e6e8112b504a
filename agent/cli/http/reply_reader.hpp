// The answer to an HTTP request, as its bytes come: interim answers (1xx) are passed over, and the
// body is handed on as it arrives, whether its length is said, it comes in chunks, or it ends with
// the connection (RFC 9112). Strict where two readers could disagree: a length that is no number,
// any transfer coding but chunked.
#pragma once

#include "base/error.hpp"

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

namespace chillbox::cli {

class ReplyReader {
public:
  // Gets the body's bytes; an error ends the reading.
  using Take = std::function<Result<void>(std::string_view)>;
  explicit ReplyReader(Take take) : m_take(std::move(take)) {}

  // invalid: these bytes are no HTTP answer; or the error of Take.
  Result<void> add(std::string_view bytes);
  long status() const { return m_status; } // 0: the head is not whole
  bool is_done() const { return m_part == Part::end; }
  // Whether the answer is whole when the connection ends now.
  bool may_end() const { return is_done() || m_part == Part::rest; }

private:
  enum class Part { head, sized, chunk_size, chunk, chunk_end, trailer, rest, end };
  Result<bool> step(); // false: more bytes are needed
  Result<bool> read_head();
  Result<bool> read_chunk_size();
  Result<bool> pass_on(Part next);

  Take m_take;
  std::string m_bytes; // that came and were not read
  Part m_part = Part::head;
  uint64_t m_left = 0; // of the body or the chunk
  long m_status = 0;
};

} // namespace chillbox::cli
