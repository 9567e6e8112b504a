// What a message says: JSON for webhooks, and from the same JSON a line and a text for people. The
// host comes first, then the site: who has several reads it in a list of mails.
#pragma once

#include "store/notices.hpp"

#include <string>
#include <string_view>

namespace chillbox::notices {

inline constexpr size_t k_listed = 20; // notices; of the others only the number

std::string body_of(
    const std::string& host, const std::vector<store::Told>& told, uint64_t more, int64_t now_s);
struct MessageText {
  std::string title, text; // title: one line
  std::string severity;    // the most of them; "info" if all have ended
  std::string type;        // of the first
};
// Of a body that body_of() made.
Result<MessageText> text_of(std::string_view body);

} // namespace chillbox::notices
