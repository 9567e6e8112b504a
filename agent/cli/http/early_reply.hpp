// The bytes of an answer that comes while the request's body is still on its way: a host that
// refuses an upload answers after the head and closes. cpp-httplib looks for an answer only when
// all was sent, so client.cpp reads this one from the socket.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace chillbox::cli {

struct EarlyReply {
  long status = 0;
  std::string body; // "" when it is chunked: the status has to do
};

// nullopt: there is more to come. 1xx answers are taken from `bytes` and passed over; `ended`: the
// host has closed, so what there is is all. Status 0: these bytes are no HTTP answer.
std::optional<EarlyReply> parse_early_reply(std::string& bytes, bool ended);

} // namespace chillbox::cli
