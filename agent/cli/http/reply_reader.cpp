#include "cli/http/reply_reader.hpp"

#include "base/text.hpp"

#include <strings.h>

#include <algorithm>
#include <charconv>

namespace chillbox::cli {
namespace {

constexpr size_t k_max_head = 64 * 1024;
constexpr size_t k_max_line = 4096; // of a chunk's size, or of a trailer

// Nothing of the answer: it may be anything.
Error no_http() {
  return {Code::unreachable, "what answers there does not speak HTTP"};
}

std::string_view header(std::string_view head, std::string_view name) {
  for (const std::string_view line : split(head, '\n'))
    if (line.size() > name.size() && line[name.size()] == ':' &&
        ::strncasecmp(line.data(), name.data(), name.size()) == 0)
      return trim(line.substr(name.size() + 1));
  return {};
}

bool is(std::string_view value, std::string_view word) {
  return value.size() == word.size() && ::strncasecmp(value.data(), word.data(), word.size()) == 0;
}

std::optional<uint64_t> chunk_size(std::string_view line) {
  const auto digits = trim(line.substr(0, line.find(';')));
  uint64_t size = 0;
  const auto [end, problem] =
      std::from_chars(digits.data(), digits.data() + digits.size(), size, 16);
  const bool all = problem == std::errc() && end == digits.data() + digits.size();
  return all ? std::optional(size) : std::nullopt;
}

} // namespace

std::optional<Error> ReplyReader::read_head(std::string_view head) {
  const auto status = head.starts_with("HTTP/1.") && head.size() > 11 && head[8] == ' '
      ? parse_u64(head.substr(9, 3))
      : std::nullopt;
  if (!status || *status < 100)
    return no_http();
  if (*status / 100 == 1)
    return std::nullopt;
  m_status = static_cast<int>(*status);
  const auto length = header(head, "content-length"), coded = header(head, "transfer-encoding");
  m_part = Part::open;
  if (*status == 204 || *status == 304) {
    m_part = Part::over;
  } else if (is(coded, "chunked")) {
    m_part = Part::chunk_size;
  } else if (!coded.empty()) {
    return no_http();
  } else if (!length.empty()) {
    const auto number = parse_u64(length);
    if (!number)
      return no_http();
    m_left = *number;
    m_part = m_left == 0 ? Part::over : Part::length;
  }
  return std::nullopt;
}

// Between chunks.
std::optional<Error> ReplyReader::read_line(std::string_view line) {
  if (m_part == Part::chunk_size) {
    const auto size = chunk_size(line);
    if (!size)
      return no_http();
    m_left = *size;
    m_part = m_left == 0 ? Part::trailer : Part::chunk;
  } else if (m_part == Part::chunk_end) {
    if (!line.empty())
      return no_http();
    m_part = Part::chunk_size;
  } else if (line.empty()) {
    m_part = Part::over;
  }
  return std::nullopt;
}

// False: it needs more bytes, or there is a problem.
bool ReplyReader::step(std::string& bytes, std::string& body, std::optional<Error>& problem) {
  switch (m_part) {
  case Part::over: return false;
  case Part::open:
    body += bytes;
    bytes.clear();
    return false;
  case Part::length:
  case Part::chunk: {
    const size_t size = std::min<uint64_t>(m_left, bytes.size());
    body.append(bytes, 0, size);
    bytes.erase(0, size);
    m_left -= size;
    if (m_left > 0)
      return false;
    m_part = m_part == Part::length ? Part::over : Part::chunk_end;
    return true;
  }
  default: break;
  }
  const bool head = m_part == Part::head;
  const std::string_view mark = head ? "\r\n\r\n" : "\r\n";
  const size_t most = head ? k_max_head : k_max_line;
  const size_t end = bytes.find(mark);
  if (std::min(end, bytes.size()) > most)
    problem = no_http();
  else if (end != bytes.npos)
    problem = head ? read_head(std::string_view(bytes).substr(0, end))
                   : read_line(std::string_view(bytes).substr(0, end));
  if (problem || end == bytes.npos)
    return false;
  bytes.erase(0, end + mark.size());
  return true;
}

Result<void> ReplyReader::take(std::string& bytes, std::string& body) {
  std::optional<Error> problem;
  while (step(bytes, body, problem)) {}
  if (problem)
    return std::unexpected(std::move(*problem));
  return {};
}

} // namespace chillbox::cli
