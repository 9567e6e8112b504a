// The head of a request (RFC 9112), checked byte by byte. Pure functions on bytes that were read;
// nothing is decoded or repaired, so that a head has one meaning or is refused.
//
// Our own, because a library's parser takes more than this (cpp-httplib 0.11 skips bad lines, takes
// the first of two lengths and decodes %0d%0a in header values) and needs a thread for each
// connection: with cpp-httplib serving, 64 webhooks at once took three times the processor time in
// the edge, a third fewer were accepted in a second, and the edge's memory grew by a quarter.
//
// Refuses: a head over 32 KiB or 64 header lines; bare LF or CR, NUL and other control characters,
// folded lines; header names with '_'; twice the same header where one counts; two lengths, a
// length that is not ^[0-9]{1,10}$, Transfer-Encoding, Content-Encoding, Expect.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace chillbox::edge {

inline constexpr size_t k_max_head = 32 * 1024;
inline constexpr size_t k_max_headers = 64;
inline constexpr size_t k_max_target = 1024;

// Why a request is refused. code: as in the JSON of the answer.
struct Refusal {
  int status = 400;
  std::string_view code = "invalid";
  std::string message;
  std::string_view allow = {}; // of a 405
};

struct Header {
  std::string_view name; // as it came
  std::string_view value;
};

// Views into the bytes that were parsed.
struct RequestHead {
  std::string_view method;
  std::string_view path;   // up to '?'
  std::string_view query;  // after it
  bool keep_alive = false; // the client may send another request on this connection
  std::optional<uint64_t> content_length;
  std::vector<Header> headers;

  std::string_view value(std::string_view name) const; // "" when it is missing
  bool has(std::string_view name) const;
};

// The size of the head at the front of `bytes`, with its empty line; 0: it has not all come.
// `from`: bytes before it were checked already. A refusal as soon as it cannot become a head any
// more.
std::optional<Refusal> find_head(std::string_view bytes, size_t from, size_t& size);
// `bytes`: what find_head measured. A refusal, or nothing and `head`.
std::optional<Refusal> parse_head(std::string_view bytes, RequestHead& head);
// Refuses what would make the body's end or meaning doubtful. After the route, whose 404 or 405
// goes first.
std::optional<Refusal> check_body_headers(const RequestHead& head, bool takes_body, uint64_t limit);
// "Content-Range: bytes FIRST-LAST/SIZE" of a body that is the rest of something: `first` is FIRST,
// 0 without one. Refuses one that does not reach to the end, or is not as long as the body.
std::optional<Refusal> parse_content_range(const RequestHead& head, uint64_t& first);

} // namespace chillbox::edge
