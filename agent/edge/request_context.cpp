#include "edge/request_context.hpp"

#include "base/text.hpp"

namespace chillbox::edge {
namespace {

// A webhook without a signature gets the same answer as one with a wrong signature (faults 1).
std::optional<Refusal> check_signed(const RequestHead& head) {
  const bool standard = !head.value("webhook-id").empty() &&
      !head.value("webhook-timestamp").empty() && !head.value("webhook-signature").empty();
  if (standard || !head.value("x-hub-signature-256").empty())
    return std::nullopt;
  return Refusal{.status = 401, .code = "denied", .message = "not authorized"};
}

std::optional<Refusal> check(RequestContext& x, std::string_view bytes, uint64_t artifact_max) {
  if (auto refusal = parse_head(bytes, x.head))
    return refusal;
  if (auto refusal = find_route(x.head, x.route))
    return refusal;
  const Action action = x.route.action;
  if (auto refusal =
          check_body_headers(x.head, takes_body(action), body_limit(action, artifact_max)))
    return refusal;
  if (action == Action::hook)
    return check_signed(x.head);
  if (action == Action::upload_artifact) {
    if (auto refusal = parse_content_range(x.head, x.route.from))
      return refusal;
    if (x.route.from > artifact_max - *x.head.content_length)
      return Refusal{.status = 413,
          .code = "too_large",
          .message = cat("an upload has at most ", artifact_max, " bytes")};
  } else if (x.head.has("content-range")) {
    return Refusal{.message = "header content-range: only an artifact can be sent in parts"};
  }
  const bool is_open =
      action == Action::health || action == Action::metrics || action == Action::report;
  if (!is_open && x.route.capability.empty())
    return Refusal{.status = 401, .code = "denied", .message = "not authorized"};
  return std::nullopt;
}

} // namespace

bool read_request(RequestContext& x, uint64_t artifact_max) {
  auto read = x.connection.read_head();
  if (!read) {
    if (read.error().code != Code::timed_out)
      return false;
    x.refusal = Refusal{.status = 408, .code = "timed_out", .message = "the request took too long"};
    return true;
  }
  x.refusal = read->refusal ? std::move(read->refusal) : check(x, read->bytes, artifact_max);
  x.connection.expect_body(x.head.content_length.value_or(0));
  return true;
}

} // namespace chillbox::edge
