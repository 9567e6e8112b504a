// The head of an HTTP request, as the edge reads it.
#include "edge/request_head.hpp"
#include "edge/route.hpp"
#include "fuzz.hpp"

#include <algorithm>

using namespace chillbox;
using namespace chillbox::edge;
using fuzz::claim;

namespace {

// The same bytes in two pieces must give the same.
void claim_same_in_pieces(std::string_view bytes, size_t cut, size_t whole, bool refused) {
  size_t size = 0;
  auto refusal = find_head(bytes.substr(0, cut), 0, size);
  if (!refusal && size == 0)
    refusal = find_head(bytes, cut, size);
  claim(refusal.has_value() == refused && size == whole, "a head is the same however it arrives");
}

void claim_good(const RequestHead& head) {
  claim(head.headers.size() <= k_max_headers, "no more headers than allowed");
  claim(
      head.path.starts_with('/') && head.path.size() <= k_max_target, "a path begins with a slash");
  claim(!head.method.empty(), "a method");
  for (const Header& h : head.headers) {
    claim(
        !h.name.empty() && h.name.find('_') == std::string_view::npos, "header names without '_'");
    claim(std::ranges::none_of(h.value, [](char c) { return c == '\0' || c == '\r' || c == '\n'; }),
        "no line ends in a value");
  }
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view bytes = fuzz::text(data, size);
  size_t found = 0;
  const auto refusal = find_head(bytes, 0, found);
  claim_same_in_pieces(bytes, size / 2, found, refusal.has_value());
  claim_same_in_pieces(bytes, std::min<size_t>(size, 7), found, refusal.has_value());
  if (refusal || found == 0)
    return 0;
  claim(found <= k_max_head && found <= size, "a head within its limit");
  RequestHead head;
  if (const auto refused = parse_head(bytes.substr(0, found), head)) {
    claim(refused->status >= 400 && refused->status < 600 && !refused->message.empty(),
        "a refusal has a status and a reason");
    return 0;
  }
  claim_good(head);
  Route route;
  if (find_route(head, route))
    return 0;
  claim(route.id.size() == 0 || route.id.size() == 16 || route.id.size() == 64 ||
          (route.action == Action::report && route.id.size() <= 128),
      "an id is a job's, a digest or a bounded link");
  claim(route.capability.size() <= 128, "a capability is bounded");
  const uint64_t limit = body_limit(route.action, 1 << 20);
  if (check_body_headers(head, takes_body(route.action), limit))
    return 0;
  claim(head.content_length.value_or(0) <= limit, "a body within its limit");
  claim(takes_body(route.action) == head.content_length.has_value() || head.content_length == 0,
      "who has a body says how long it is");
  claim(!head.has("transfer-encoding") && !head.has("content-encoding") && !head.has("expect"),
      "nothing that makes a body doubtful");
  return 0;
}
