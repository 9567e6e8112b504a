#include "cli/http/early_reply.hpp"

#include "base/text.hpp"

#include <strings.h>

#include <cstdint>

namespace chillbox::cli {
namespace {

std::string_view header(std::string_view head, std::string_view name) {
  for (const std::string_view line : split(head, '\n'))
    if (line.size() > name.size() && line[name.size()] == ':' &&
        ::strncasecmp(line.data(), name.data(), name.size()) == 0)
      return trim(line.substr(name.size() + 1));
  return {};
}

} // namespace

std::optional<EarlyReply> parse_early_reply(std::string& bytes, bool ended) {
  for (;;) {
    const size_t end = bytes.find("\r\n\r\n");
    if (end == bytes.npos)
      return ended ? std::optional(EarlyReply{}) : std::nullopt;
    const auto head = std::string_view(bytes).substr(0, end);
    const auto status = head.starts_with("HTTP/1.") && head.size() > 11 && head[8] == ' '
        ? parse_u64(head.substr(9, 3))
        : std::nullopt;
    if (!status)
      return EarlyReply{};
    if (*status / 100 == 1) {
      bytes.erase(0, end + 4);
      continue;
    }
    EarlyReply reply{.status = static_cast<long>(*status), .body = {}};
    const auto length = parse_u64(header(head, "content-length"));
    const auto body = std::string_view(bytes).substr(end + 4);
    if (!header(head, "transfer-encoding").empty())
      return reply;
    if (!ended && body.size() < length.value_or(SIZE_MAX))
      return std::nullopt;
    reply.body = body.substr(0, length.value_or(body.size()));
    return reply;
  }
}

} // namespace chillbox::cli
