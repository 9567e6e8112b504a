#include "cli/http/reply_reader.hpp"

#include "base/text.hpp"

#include <strings.h>

#include <algorithm>
#include <charconv>

namespace chillbox::cli {
namespace {

constexpr size_t k_max_head = 64 * 1024;
constexpr size_t k_max_line = 1024; // of a chunk's size

// "" : it has none.
std::string_view header(std::string_view head, std::string_view name) {
  for (const std::string_view line : split(head, '\n'))
    if (line.size() > name.size() && line[name.size()] == ':' &&
        ::strncasecmp(line.data(), name.data(), name.size()) == 0)
      return trim(line.substr(name.size() + 1));
  return {};
}

std::unexpected<Error> no_http(std::string_view bytes) {
  return fail(Code::invalid, cat("what came back is not HTTP: '", printable(bytes, 60), "'"));
}

} // namespace

Result<void> ReplyReader::add(std::string_view bytes) {
  m_bytes += bytes;
  while (TRY(step())) {}
  return {};
}

Result<bool> ReplyReader::step() {
  switch (m_part) {
  case Part::head: return read_head();
  case Part::sized: return pass_on(Part::end);
  case Part::chunk_size: return read_chunk_size();
  case Part::chunk: return pass_on(Part::chunk_end);
  case Part::chunk_end:
  case Part::trailer: {
    const auto end = m_bytes.find("\r\n");
    if (m_bytes.size() > k_max_head || (m_part == Part::chunk_end && end != 0 && m_bytes.size() > 1))
      return no_http(m_bytes);
    if (end == m_bytes.npos)
      return false;
    m_bytes.erase(0, end + 2);
    if (m_part == Part::chunk_end)
      m_part = Part::chunk_size;
    else if (end == 0)
      m_part = Part::end;
    return true;
  }
  case Part::rest:
    m_left = m_bytes.size();
    return m_left > 0 && TRY(pass_on(Part::rest));
  case Part::end: break;
  }
  return false;
}

Result<bool> ReplyReader::read_head() {
  const size_t end = m_bytes.find("\r\n\r\n");
  if (end == m_bytes.npos && m_bytes.size() <= k_max_head)
    return false;
  const auto head = std::string_view(m_bytes).substr(0, end);
  const bool is_http = head.starts_with("HTTP/1.") && head.size() > 11 && head[8] == ' ';
  const uint64_t status = is_http ? parse_u64(head.substr(9, 3)).value_or(0) : 0;
  if (end == m_bytes.npos || status < 100)
    return no_http(m_bytes);
  if (status / 100 != 1) {
    const auto length = header(head, "content-length"), coding = header(head, "transfer-encoding");
    const auto size = parse_u64(length);
    if (!coding.empty() && !(coding.size() == 7 && ::strncasecmp(coding.data(), "chunked", 7) == 0))
      return no_http(cat("Transfer-Encoding: ", coding));
    if (!length.empty() && !size)
      return no_http(cat("Content-Length: ", length));
    m_left = size.value_or(0);
    m_part = !coding.empty() ? Part::chunk_size : size ? Part::sized : Part::rest;
    if (status == 204 || status == 304 || (m_part == Part::sized && m_left == 0))
      m_part = Part::end;
    m_status = static_cast<long>(status);
  }
  m_bytes.erase(0, end + 4);
  return true;
}

// "1a2b;name=value"
Result<bool> ReplyReader::read_chunk_size() {
  const size_t end = m_bytes.find("\r\n");
  if (end == m_bytes.npos && m_bytes.size() <= k_max_line)
    return false;
  const auto line = std::string_view(m_bytes).substr(0, end);
  const auto digits = trim(line.substr(0, line.find(';')));
  const auto read = std::from_chars(digits.data(), digits.data() + digits.size(), m_left, 16);
  if (end == m_bytes.npos || digits.empty() || read.ec != std::errc() ||
      read.ptr != digits.data() + digits.size())
    return no_http(line);
  m_part = m_left == 0 ? Part::trailer : Part::chunk;
  m_bytes.erase(0, end + 2);
  return true;
}

Result<bool> ReplyReader::pass_on(Part next) {
  const auto size = static_cast<size_t>(std::min<uint64_t>(m_left, m_bytes.size()));
  if (size == 0)
    return false;
  TRY(m_take(std::string_view(m_bytes).substr(0, size)));
  m_bytes.erase(0, size);
  m_left -= size;
  if (m_left == 0)
    m_part = next;
  return true;
}

} // namespace chillbox::cli
