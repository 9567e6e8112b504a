// What a member of a fleet's engine answers: HTTP, and the JSON of etcd's gateway.
#include "base/encoding.hpp"
#include "control/engine_link.hpp"
#include "courier/answer.hpp"
#include "courier/etcd.hpp"
#include "fuzz.hpp"

using namespace chillbox;
using namespace chillbox::courier;
using fuzz::claim;

namespace {

// The head and the body, in pieces of `piece` bytes; "!" : refused.
std::string answer_in(std::string_view all, size_t piece) {
  std::string bytes, body;
  std::optional<AnswerBody> reader;
  for (size_t at = 0; at < all.size(); at += piece) {
    bytes += all.substr(at, piece);
    if (!reader) {
      const auto head = take_head(bytes);
      if (!head)
        return "!";
      if (!*head)
        continue;
      reader.emplace(**head);
    }
    const auto whole = reader->take(bytes, body);
    if (!whole)
      return "!";
    claim(body.size() <= k_max_answer, "a body has its limit");
    if (*whole)
      return body;
  }
  return body;
}

void try_values(std::string_view bytes) {
  const auto range = parse_range("/chillbox/shop/", bytes);
  if (!range)
    return fuzz::claim_printable(range.error());
  for (const auto& value : range->values) {
    claim(control::is_engine_key(value.key), "a key is one that chillbox writes");
    claim(value.text.size() <= control::k_max_engine_text, "a text has its limit");
    claim(value.fence > 0, "what is there was created");
  }
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  fuzz::Input in{data, size};
  const auto what = in.number(1) % 4;
  const std::string_view rest = in.rest();
  if (what == 0) {
    const std::string whole = answer_in(rest, rest.size() + 1);
    const std::string pieces = answer_in(rest, 1);
    claim(whole == "!" || pieces == "!" || whole == pieces, "an answer is the same in any pieces");
  } else if (what == 1) {
    try_values(rest);
  } else if (what == 2) {
    (void)parse_change("/chillbox/shop/", rest, true);
    (void)parse_watch_line(rest);
    (void)lease_lives(rest);
  } else {
    (void)parse_refusal(rest);
    if (const auto token = parse_token(rest))
      claim(token->find_first_of("\r\n ") == std::string::npos, "a token is one word of a header");
  }
  return 0;
}
