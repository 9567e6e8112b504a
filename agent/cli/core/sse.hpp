// Server-sent events (WHATWG HTML, 9.2.6 "Interpreting an event stream"): bytes in pieces of any
// size, events out. Pure.
#pragma once

#include "base/error.hpp"

#include <functional>
#include <string>
#include <string_view>

namespace chillbox::cli {

class SseParser {
public:
  struct Event {
    std::string id;   // of the last event that had one
    std::string kind; // "message" when the stream names none
    std::string data; // lines joined by '\n'
  };
  static constexpr size_t k_max_event = 1 << 20;

  // too_large: an event over k_max_event bytes; the parser is of no use afterwards.
  Result<void> feed(std::string_view bytes, const std::function<void(const Event&)>& on_event);
  // Of the last whole event: what a new connection says as Last-Event-ID; "" before the first.
  const std::string& last_id() const { return m_last_id; }
  // A new connection: what was begun and not ended is dropped, as the standard wants it.
  void reconnect();

private:
  void line(std::string_view text, const std::function<void(const Event&)>& on_event);
  std::string m_line, m_kind, m_data, m_id, m_last_id;
  bool m_has_data = false;
  bool m_after_cr = false; // a line feed now belongs to the line end before
  bool m_first = true;     // a byte order mark may stand here
};

} // namespace chillbox::cli
