#include "edge/request_head.hpp"

#include "base/text.hpp"

#include <algorithm>
#include <array>

namespace chillbox::edge {
namespace {

using Verdict = std::optional<Refusal>;

// Each of these means one thing only when it is given once.
constexpr std::array<std::string_view, 14> k_single{"host", "content-length", "content-type",
    "authorization", "webhook-id", "webhook-timestamp", "webhook-signature", "x-hub-signature",
    "x-hub-signature-256", "last-event-id", "x-github-delivery", "transfer-encoding", "connection",
    "content-range"};

char lower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

bool same_name(std::string_view a, std::string_view b) {
  return std::ranges::equal(a, b, [](char x, char y) { return lower(x) == lower(y); });
}

// RFC 9110 section 5.6.2, without '_': NGINX drops such names, and a program after it might take
// it for '-'.
bool name_char(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
      std::string_view("!#$%&'*+-.^`|~").find(c) != std::string_view::npos;
}

bool value_char(char c) {
  return c == '\t' || (static_cast<unsigned char>(c) >= 0x20 && c != 0x7F);
}

std::string_view trim_blanks(std::string_view s) {
  while (!s.empty() && (s.front() == ' ' || s.front() == '\t'))
    s.remove_prefix(1);
  while (!s.empty() && (s.back() == ' ' || s.back() == '\t'))
    s.remove_suffix(1);
  return s;
}

Refusal bad(std::string message) {
  return {.status = 400, .code = "invalid", .message = std::move(message)};
}

// METHOD SP TARGET SP HTTP/1.x
Verdict parse_request_line(std::string_view line, RequestHead& head) {
  const auto parts = split(line, ' ');
  if (parts.size() != 3)
    return bad("request line: must be a method, a target and a version, with one space between");
  head.method = parts[0];
  if (head.method.empty() || head.method.size() > 16 ||
      !std::ranges::all_of(head.method, [](char c) { return c >= 'A' && c <= 'Z'; }))
    return bad("request line: the method must be at most 16 upper-case letters");
  const std::string_view target = parts[1];
  if (target.size() > k_max_target)
    return Refusal{.status = 414,
        .code = "too_large",
        .message = cat("request line: a target has at most ", k_max_target, " bytes")};
  if (!target.starts_with('/') ||
      !std::ranges::all_of(target, [](char c) { return c > 0x20 && c < 0x7F; }))
    return bad("request line: the target must begin with '/' and have no byte outside of ASCII");
  if (parts[2] != "HTTP/1.1" && parts[2] != "HTTP/1.0")
    return Refusal{.status = 505,
        .code = "unsupported",
        .message = "request line: the version must be HTTP/1.1 or HTTP/1.0"};
  head.keep_alive = parts[2] == "HTTP/1.1";
  const auto mark = target.find('?');
  head.path = target.substr(0, mark);
  head.query = mark == std::string_view::npos ? std::string_view() : target.substr(mark + 1);
  return std::nullopt;
}

Verdict parse_header_line(std::string_view line, RequestHead& head) {
  if (line.front() == ' ' || line.front() == '\t')
    return bad("header: a folded line");
  const auto colon = line.find(':');
  if (colon == std::string_view::npos || colon == 0 ||
      !std::ranges::all_of(line.substr(0, colon), name_char))
    return bad("header: a name has letters, digits and '-', then ':' without a space");
  const std::string_view value = trim_blanks(line.substr(colon + 1));
  if (!std::ranges::all_of(value, value_char))
    return bad("header: a control character in a value");
  if (head.headers.size() == k_max_headers)
    return Refusal{.status = 431,
        .code = "too_large",
        .message = cat("more than ", k_max_headers, " headers")};
  head.headers.push_back({line.substr(0, colon), value});
  return std::nullopt;
}

Verdict check_single(const RequestHead& head) {
  for (const std::string_view name : k_single)
    if (std::ranges::count_if(
            head.headers, [&](const Header& h) { return same_name(h.name, name); }) > 1)
      return bad(cat("header ", name, ": given twice"));
  return std::nullopt;
}

Verdict parse_length(RequestHead& head) {
  if (!head.has("content-length"))
    return std::nullopt;
  const std::string_view text = head.value("content-length");
  const bool digits = std::ranges::all_of(text, [](char c) { return c >= '0' && c <= '9'; });
  if (text.empty() || text.size() > 10 || !digits)
    return bad("header content-length: must be 1 to 10 digits");
  if (head.has("transfer-encoding"))
    return bad("header transfer-encoding: given together with content-length");
  uint64_t length = 0;
  for (const char c : text)
    length = length * 10 + static_cast<uint64_t>(c - '0');
  head.content_length = length;
  return std::nullopt;
}

} // namespace

std::string_view RequestHead::value(std::string_view name) const {
  const auto found =
      std::ranges::find_if(headers, [&](const Header& h) { return same_name(h.name, name); });
  return found == headers.end() ? std::string_view() : found->value;
}

bool RequestHead::has(std::string_view name) const {
  return std::ranges::any_of(headers, [&](const Header& h) { return same_name(h.name, name); });
}

Verdict find_head(std::string_view bytes, size_t from, size_t& size) {
  size = 0;
  for (size_t i = from; i < bytes.size() && i < k_max_head; ++i) {
    if (bytes[i] == '\0')
      return bad("a NUL in the head");
    if (bytes[i] != '\n')
      continue;
    if (i == 0 || bytes[i - 1] != '\r')
      return bad("a line must end with CR LF");
    if (i == 1)
      return bad("an empty line before the request");
    if (i >= 3 && bytes[i - 2] == '\n') {
      size = i + 1;
      return std::nullopt;
    }
  }
  if (bytes.size() >= k_max_head)
    return Refusal{.status = 431,
        .code = "too_large",
        .message = cat("a head of more than ", k_max_head, " bytes")};
  return std::nullopt;
}

Verdict parse_head(std::string_view bytes, RequestHead& head) {
  bool first = true;
  while (!bytes.starts_with("\r\n")) {
    const auto end = bytes.find("\r\n");
    if (end == std::string_view::npos)
      return bad("a head without its empty line");
    const std::string_view line = bytes.substr(0, end);
    if (line.find('\r') != std::string_view::npos)
      return bad("a CR without LF");
    if (auto refusal = first ? parse_request_line(line, head) : parse_header_line(line, head))
      return refusal;
    first = false;
    bytes.remove_prefix(end + 2);
  }
  if (auto refusal = check_single(head))
    return refusal;
  if (head.keep_alive && !head.has("host"))
    return bad("header host: missing");
  // With "close" or anything that we do not know: one request only.
  const std::string_view connection = head.value("connection");
  head.keep_alive = head.keep_alive && (connection.empty() || same_name(connection, "keep-alive"));
  return parse_length(head);
}

Verdict check_body_headers(const RequestHead& head, bool takes_body, uint64_t limit) {
  if (head.has("transfer-encoding"))
    return Refusal{.status = 411,
        .code = "length_required",
        .message = "a body must come with content-length, not with transfer-encoding"};
  if (head.has("expect"))
    return Refusal{.status = 417, .code = "unsupported", .message = "header expect: not supported"};
  if (head.has("content-encoding"))
    return Refusal{.status = 415,
        .code = "unsupported",
        .message = "header content-encoding: bodies are taken as they are"};
  if (!takes_body && head.content_length.value_or(0) > 0)
    return bad(cat(head.method, " has no body"));
  if (takes_body && !head.content_length)
    return Refusal{
        .status = 411, .code = "length_required", .message = "header content-length: missing"};
  if (takes_body && *head.content_length > limit)
    return Refusal{.status = 413,
        .code = "too_large",
        .message = cat("a body has at most ", limit, " bytes here")};
  return std::nullopt;
}

Verdict parse_content_range(const RequestHead& head, uint64_t& first) {
  first = 0;
  std::string_view text = head.value("content-range");
  if (!head.has("content-range"))
    return std::nullopt;
  const size_t dash = text.find('-'), slash = text.find('/');
  if (text.starts_with("bytes ") && dash < slash && slash != text.npos) {
    const auto from = parse_u64(text.substr(6, dash - 6));
    const auto last = parse_u64(text.substr(dash + 1, slash - dash - 1));
    const auto size = parse_u64(text.substr(slash + 1));
    if (from && last && size && *from <= *last && *last + 1 == *size &&
        *size - *from == head.content_length) {
      first = *from;
      return std::nullopt;
    }
  }
  return bad("header content-range: must be 'bytes FIRST-LAST/SIZE', be as long as the body, and "
             "end with the last byte");
}

} // namespace chillbox::edge
