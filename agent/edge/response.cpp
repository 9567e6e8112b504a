#include "edge/response.hpp"

#include "base/encoding.hpp"
#include "base/log.hpp"
#include "base/text.hpp"

#include <nlohmann/json.hpp>

namespace chillbox::edge {
namespace {

using Json = nlohmann::json;

constexpr std::string_view k_retry_after = "5"; // seconds
constexpr std::string_view k_common =
    "Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\n";

std::string_view phrase_of(int status) {
  switch (status) {
  case 200: return "OK";
  case 201: return "Created";
  case 202: return "Accepted";
  case 400: return "Bad Request";
  case 401: return "Unauthorized";
  case 403: return "Forbidden";
  case 404: return "Not Found";
  case 405: return "Method Not Allowed";
  case 408: return "Request Timeout";
  case 409: return "Conflict";
  case 411: return "Length Required";
  case 413: return "Content Too Large";
  case 414: return "URI Too Long";
  case 415: return "Unsupported Media Type";
  case 417: return "Expectation Failed";
  case 422: return "Unprocessable Content";
  case 429: return "Too Many Requests";
  case 431: return "Request Header Fields Too Large";
  case 500: return "Internal Server Error";
  case 503: return "Service Unavailable";
  case 505: return "HTTP Version Not Supported";
  default: return "Status"; // a phrase says nothing to a program
  }
}

} // namespace

Response error_response(int status, std::string_view code, std::string_view message) {
  return {.status = status,
      .body = Json{{"error", {{"code", code}, {"message", message}}}}.dump(),
      .location = {},
      .retry_after = std::string(status == 503 ? k_retry_after : "")};
}

Response refusal_response(const Refusal& refusal) {
  Response response = error_response(refusal.status, refusal.code, refusal.message);
  response.allow = refusal.allow;
  return response;
}

Response answer_response(const Result<Answer>& answer) {
  if (!answer) {
    log::warn(answer.error().message);
    return error_response(503, "throttled", "the host gives no answer now: try again");
  }
  Response response{.status = answer->status,
      .body = answer->body,
      .location = {},
      .retry_after = answer->retry_after};
  if (answer->status == 503 && response.retry_after.empty())
    response.retry_after = k_retry_after;
  return response;
}

Response internal_error(std::string_view cause) {
  const std::string id = random_token(6);
  log::error(cat("request ", id, ": ", printable(cause)));
  Response response;
  response.body =
      Json{{"error", {{"code", "failure"}, {"message", "internal error"}, {"request", id}}}}.dump();
  return response;
}

std::string to_bytes(
    const Response& response, const EdgeOptions& options, bool keep, bool head_only) {
  std::string out =
      cat("HTTP/1.1 ", response.status, " ", phrase_of(response.status), "\r\n", k_common,
          "Content-Type: ", response.type, "\r\nContent-Length: ", response.body.size(), "\r\n");
  if (!response.location.empty())
    out += cat("Location: ", response.location, "\r\n");
  if (!response.retry_after.empty())
    out += cat("Retry-After: ", response.retry_after, "\r\n");
  if (!response.allow.empty())
    out += cat("Allow: ", response.allow, "\r\n");
  if (keep)
    out += cat("Keep-Alive: timeout=", options.idle.count() / 1000, ", max=", options.requests,
        "\r\n\r\n");
  else
    out += "Connection: close\r\n\r\n";
  if (!head_only)
    out += response.body;
  return out;
}

std::string event_stream_head() {
  // X-Accel-Buffering: NGINX passes each event on as it comes.
  return cat("HTTP/1.1 200 OK\r\n", k_common,
      "Content-Type: text/event-stream\r\nX-Accel-Buffering: no\r\nConnection: close\r\n\r\n");
}

} // namespace chillbox::edge
