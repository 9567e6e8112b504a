// HTTP/1.1 answers of a member of the engine, read strictly and within limits: a member may be
// hostile. Pure.
#pragma once

#include "base/error.hpp"
#include "control/engine_link.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace chillbox::courier {

inline constexpr size_t k_max_head = 16 * 1024;
// Bytes of a body, or of a line of a watch.
inline constexpr size_t k_max_answer = control::k_max_engine_answer;

struct AnswerHead {
  int status = 0;
  std::optional<uint64_t> length; // nullopt: chunked
  std::optional<int64_t> date;    // Unix seconds
  bool closes = false;            // no other answer follows on this connection
};

// Takes the head off `bytes`; nullopt: it is not complete. corrupt, too_large.
Result<std::optional<AnswerHead>> take_head(std::string& bytes);
// "Sun, 29 Nov 2026 20:50:54 GMT".
std::optional<int64_t> parse_http_date(std::string_view text);

// The body after a head.
class AnswerBody {
public:
  explicit AnswerBody(const AnswerHead& head)
      : m_chunked(!head.length), m_left(head.length.value_or(0)) {}
  // Moves what belongs to the body from `bytes` to `body`. True: it is whole. corrupt; too_large:
  // `body` would be longer than k_max_answer.
  Result<bool> take(std::string& bytes, std::string& body);

private:
  enum class Part { size, data, end, trailer };
  Result<bool> take_line_of(std::string_view line);
  bool m_chunked;
  uint64_t m_left;
  Part m_part = Part::size;
};

} // namespace chillbox::courier
