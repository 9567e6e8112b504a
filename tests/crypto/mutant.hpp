// Webhooks that are right but for one change: of a bit, a byte, two neighbours, a length, a case, a
// whole field. Every one must be refused.
#pragma once

#include "base/text.hpp"

#include <cstdint>
#include <string>
#include <string_view>

namespace chillbox::test {

struct Webhook {
  std::string id, timestamp, signature, body;
  std::string github, github_delivery; // of a sender of GitHub's format: signature and delivery id
};

// The same sequence for the same seed.
struct Dice {
  uint64_t state;
  size_t below(size_t n) {
    state = state * 6364136223846793005ULL + 1442695040888963407ULL;
    return static_cast<size_t>(state >> 33) % n;
  }
};

namespace detail {

inline std::string change(const std::string& field, Dice& dice) {
  std::string s = field;
  const size_t at = dice.below(s.size());
  const auto any = static_cast<char>(dice.below(256));
  switch (dice.below(11)) {
  case 0: s[at] = static_cast<char>(s[at] ^ (1 << dice.below(8))); break;
  case 1: s[at] = any; break;
  case 2: s.insert(at, 1, any); break;
  case 3: s.erase(at, 1); break;
  case 4: s.insert(at, 1, s[at]); break;
  case 5: std::swap(s[at], s[(at + 1) % s.size()]); break;
  case 6: s.resize(at); break;
  case 7: s += any; break;
  case 8: s[at] = static_cast<char>(s[at] ^ 0x20); break;
  case 9: s += field; break;
  default: s.insert(at, 1, " \t\n=,.0"[dice.below(7)]);
  }
  return s;
}

// What HTTP and Standard Webhooks say means the same: blanks around a header, and other signatures
// next to a right one.
inline bool same_meaning(std::string_view changed, std::string_view field) {
  for (const std::string_view item : split(changed, ' '))
    if (trim(item) == field)
      return true;
  return trim(changed) == field;
}

} // namespace detail

// `right` with one of its signed fields, or its signature, changed.
inline Webhook mutant(const Webhook& right, Dice& dice) {
  for (;;) {
    Webhook m = right;
    const bool github = !right.github.empty();
    std::string* const fields[] = {&m.body, github ? &m.github : &m.signature, &m.id, &m.timestamp};
    const size_t which = dice.below(github ? 2 : 4);
    const std::string before = *fields[which];
    *fields[which] = detail::change(before, dice);
    if (which == 0 ? m.body != before : !detail::same_meaning(*fields[which], before))
      return m;
  }
}

} // namespace chillbox::test
