// Answers as bytes of HTTP/1.1 (RFC 9112): JSON with its length, or the head of an event stream,
// which has none and ends with its connection. Nothing of a request is repeated in a header.
#pragma once

#include "edge/edge.hpp"
#include "edge/monitor_link.hpp"
#include "edge/request_head.hpp"

#include <string>
#include <string_view>

namespace chillbox::edge {

struct Response {
  int status = 500;
  std::string body;         // JSON, or what `type` says
  std::string location;     // "": none
  std::string retry_after;  // seconds; "": none
  std::string_view allow{}; // of a 405
  std::string_view type{"application/json"};
};

// {"error": {"code": ..., "message": ...}}; a 503 with a Retry-After.
Response error_response(int status, std::string_view code, std::string_view message);
Response refusal_response(const Refusal& refusal);
// The monitor's answer; 503 without one.
Response answer_response(const Result<Answer>& answer);
// 500 with a number that the log has as well, next to `cause`.
Response internal_error(std::string_view cause);

// keep: the client may send another request, of at most options.requests. head_only: a HEAD
// request.
std::string to_bytes(
    const Response& response, const EdgeOptions& options, bool keep, bool head_only);
std::string event_stream_head();

} // namespace chillbox::edge
