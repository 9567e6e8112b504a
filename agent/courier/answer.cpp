#include "courier/answer.hpp"

#include "base/text.hpp"

#include <algorithm>
#include <array>
#include <cctype>
#include <ctime>

namespace chillbox::courier {
namespace {

constexpr std::string_view k_line_end = "\r\n";
constexpr size_t k_max_size_line = 200; // of a chunk, with its extensions

std::string lower(std::string_view text) {
  std::string out(text);
  std::ranges::transform(out, out.begin(),
      [](char c) { return static_cast<char>(std::tolower(static_cast<unsigned char>(c))); });
  return out;
}

std::unexpected<Error> corrupt(std::string_view what) {
  return fail(Code::corrupt, cat("the member's answer: ", what));
}

Result<void> read_field(AnswerHead& head, bool& chunked, std::string_view line) {
  const auto colon = line.find(':');
  if (colon == std::string_view::npos || colon == 0)
    return corrupt("a header line without a name");
  const std::string name = lower(line.substr(0, colon));
  const auto value = trim(line.substr(colon + 1));
  if (name == "content-length") {
    const auto length = parse_u64(value);
    if (!length || (head.length && *head.length != *length))
      return corrupt("a wrong Content-Length");
    head.length = *length;
  } else if (name == "transfer-encoding") {
    if (lower(value) != "chunked" || chunked)
      return corrupt("a Transfer-Encoding that is not chunked");
    chunked = true;
  } else if (name == "date") {
    head.date = parse_http_date(value);
  } else if (name == "connection") {
    head.closes = lower(value) == "close";
  }
  return {};
}

// The next line without its end; nullopt: it is not complete.
std::optional<std::string> take_line(std::string& bytes) {
  const auto end = bytes.find(k_line_end);
  if (end == std::string::npos)
    return std::nullopt;
  std::string line = bytes.substr(0, end);
  bytes.erase(0, end + k_line_end.size());
  return line;
}

std::optional<uint64_t> chunk_size(std::string_view line) {
  const auto text = trim(line.substr(0, line.find(';')));
  if (text.empty() || text.size() > 8)
    return std::nullopt;
  uint64_t out = 0;
  for (const char c : text) {
    const int digit = c >= '0' && c <= '9' ? c - '0'
        : c >= 'a' && c <= 'f'             ? c - 'a' + 10
        : c >= 'A' && c <= 'F'             ? c - 'A' + 10
                                           : -1;
    if (digit < 0)
      return std::nullopt;
    out = out * 16 + static_cast<uint64_t>(digit);
  }
  return out;
}

} // namespace

std::optional<int64_t> parse_http_date(std::string_view text) {
  constexpr std::string_view k_months = "JanFebMarAprMayJunJulAugSepOctNovDec";
  if (text.size() != 29 || text.substr(25) != " GMT")
    return std::nullopt;
  const auto number = [&](size_t at, size_t size) -> int {
    int out = 0;
    for (const char c : text.substr(at, size)) {
      if (c < '0' || c > '9')
        return -1;
      out = out * 10 + (c - '0');
    }
    return out;
  };
  const auto month = k_months.find(text.substr(8, 3));
  std::tm when{};
  when.tm_mday = number(5, 2);
  when.tm_mon = static_cast<int>(month / 3);
  when.tm_year = number(12, 4) - 1900;
  when.tm_hour = number(17, 2);
  when.tm_min = number(20, 2);
  when.tm_sec = number(23, 2);
  if (month == std::string_view::npos || month % 3 != 0 || when.tm_mday < 1 || when.tm_year < 70 ||
      when.tm_hour < 0 || when.tm_min < 0 || when.tm_sec < 0)
    return std::nullopt;
  return ::timegm(&when);
}

Result<std::optional<AnswerHead>> take_head(std::string& bytes) {
  const auto end = bytes.find("\r\n\r\n");
  if (end == std::string::npos || end > k_max_head) {
    if (bytes.size() > k_max_head)
      return fail(Code::too_large, cat("the member's answer: a head over ", k_max_head, " bytes"));
    return std::optional<AnswerHead>();
  }
  std::string head_text = bytes.substr(0, end + k_line_end.size());
  bytes.erase(0, end + 4);
  const auto status_line = take_line(head_text).value_or("");
  const auto status = parse_u64(
      std::string_view(status_line).substr(0, 12).substr(std::min<size_t>(9, status_line.size())));
  if (!status_line.starts_with("HTTP/1.1 ") || !status || *status < 100 || *status > 599)
    return corrupt("no status of HTTP/1.1");
  AnswerHead head{.status = static_cast<int>(*status)};
  bool chunked = false;
  while (const auto line = take_line(head_text))
    TRY(read_field(head, chunked, *line));
  if (chunked == head.length.has_value()) // both, or neither
    return corrupt("its length is not clear");
  return std::optional(head);
}

// A line between two chunks. True: it was the last one.
Result<bool> AnswerBody::take_line_of(std::string_view line) {
  if (m_part == Part::size) {
    const auto size = chunk_size(line);
    if (!size)
      return corrupt("a chunk without a size");
    m_left = *size;
    m_part = *size == 0 ? Part::trailer : Part::data;
  } else if (m_part == Part::end) {
    if (!line.empty())
      return corrupt("a chunk that is longer than its size");
    m_part = Part::size;
  }
  return m_part == Part::trailer && line.empty();
}

Result<bool> AnswerBody::take(std::string& bytes, std::string& body) {
  const std::string_view all = bytes;
  size_t at = 0;
  bool whole = false;
  while (!whole) {
    const auto rest = all.substr(at);
    if (m_chunked && m_part != Part::data) {
      const auto end = rest.find(k_line_end);
      if (end == std::string_view::npos && rest.size() > k_max_size_line)
        return corrupt("a chunk without a size");
      if (end == std::string_view::npos)
        break;
      at += end + k_line_end.size();
      whole = TRY(take_line_of(rest.substr(0, end)));
      continue;
    }
    const size_t size = std::min<uint64_t>(m_left, rest.size());
    if (body.size() + size > k_max_answer)
      return fail(
          Code::too_large, cat("the member's answer has more than ", k_max_answer, " bytes"));
    body += rest.substr(0, size);
    at += size;
    m_left -= size;
    if (m_left > 0)
      break;
    whole = !m_chunked;
    m_part = Part::end;
  }
  bytes.erase(0, at);
  return whole;
}

} // namespace chillbox::courier
