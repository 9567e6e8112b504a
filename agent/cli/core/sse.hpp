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
    std::string id;   // the last id that an event had
    std::string kind; // "message" when the stream gives none
    std::string data; // lines joined by '\n'
  };
  static constexpr size_t k_max_event = 1 << 20;

  // too_large: an event over k_max_event bytes; the parser cannot be used afterwards.
  Result<void> feed(std::string_view bytes, const std::function<void(const Event&)>& on_event);
  // The id of the last complete event, for Last-Event-ID in a new connection; "" before the first.
  const std::string& last_id() const { return m_last_id; }
  // Starts a new connection: an incomplete event is dropped, as the standard requires.
  void reconnect();

private:
  void line(std::string_view text, const std::function<void(const Event&)>& on_event);
  std::string m_line, m_kind, m_data, m_id, m_last_id;
  bool m_has_data = false;
  bool m_after_cr = false; // a line feed now is part of the previous line end
  bool m_first = true;     // a byte order mark is possible here
};

} // namespace chillbox::cli
