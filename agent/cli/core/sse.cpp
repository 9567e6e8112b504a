#include "cli/core/sse.hpp"

#include "base/text.hpp"

namespace chillbox::cli {

Result<void> SseParser::feed(
    std::string_view bytes, const std::function<void(const Event&)>& on_event) {
  for (const char c : bytes) {
    const bool ends_cr = std::exchange(m_after_cr, c == '\r');
    if (c == '\n' && ends_cr)
      continue;
    if (c != '\n' && c != '\r') {
      if (m_line.size() + m_data.size() >= k_max_event)
        return fail(Code::too_large, cat("event stream: an event over ", k_max_event, " bytes"));
      m_line += c;
      continue;
    }
    std::string_view text = m_line;
    if (std::exchange(m_first, false) && text.starts_with("\xef\xbb\xbf"))
      text.remove_prefix(3);
    line(text, on_event);
    m_line.clear();
  }
  return {};
}

void SseParser::line(std::string_view text, const std::function<void(const Event&)>& on_event) {
  if (text.empty()) {
    m_last_id = m_id; // only now: an event that was cut off does not count
    if (m_has_data)
      on_event({m_last_id, m_kind.empty() ? "message" : m_kind, m_data});
    m_kind.clear();
    m_data.clear();
    m_has_data = false;
    return;
  }
  const auto colon = text.find(':');
  if (colon == 0)
    return; // a comment keeps the connection alive
  const auto field = text.substr(0, colon);
  auto value = colon == std::string_view::npos ? std::string_view() : text.substr(colon + 1);
  if (value.starts_with(' '))
    value.remove_prefix(1);
  if (field == "data") {
    if (m_has_data)
      m_data += '\n';
    m_data += value;
    m_has_data = true;
  } else if (field == "event") {
    m_kind = value;
  } else if (field == "id" && value.find('\0') == std::string_view::npos) {
    m_id = value;
  }
}

void SseParser::reconnect() {
  m_line.clear();
  m_kind.clear();
  m_data.clear();
  m_id = m_last_id;
  m_has_data = m_after_cr = false;
  m_first = true;
}

} // namespace chillbox::cli
