#include "base/names.hpp"

#include "base/encoding.hpp"
#include "base/text.hpp"

#include <algorithm>

namespace chillbox {
namespace {

bool lower(char c) {
  return c >= 'a' && c <= 'z';
}
bool digit(char c) {
  return c >= '0' && c <= '9';
}
bool alpha(char c) {
  return lower(c) || (c >= 'A' && c <= 'Z');
}
bool alnum(char c) {
  return alpha(c) || digit(c);
}

template <class First, class Rest>
bool matches(std::string_view s, size_t max, First first, Rest rest) {
  return !s.empty() && s.size() <= max && first(s[0]) && std::all_of(s.begin() + 1, s.end(), rest);
}

bool semver_part(std::string_view part, bool numeric_rule) {
  if (part.empty() ||
      !std::all_of(part.begin(), part.end(), [](char c) { return alnum(c) || c == '-'; }))
    return false;
  const bool numeric = std::all_of(part.begin(), part.end(), digit);
  return !(numeric_rule && numeric && part.size() > 1 && part[0] == '0');
}

bool semver(std::string_view s) {
  if (s.empty() || s.size() > 64)
    return false;
  std::string_view build;
  const auto plus = s.find('+');
  if (plus != std::string_view::npos) {
    for (auto part : split(s.substr(plus + 1), '.'))
      if (!semver_part(part, false))
        return false;
    s = s.substr(0, plus);
  }
  const auto dash = s.find('-');
  if (dash != std::string_view::npos) {
    for (auto part : split(s.substr(dash + 1), '.'))
      if (!semver_part(part, true))
        return false;
    s = s.substr(0, dash);
  }
  const auto core = split(s, '.');
  return core.size() == 3 && std::all_of(core.begin(), core.end(), [](auto part) {
    return semver_part(part, true) && std::all_of(part.begin(), part.end(), digit);
  });
}

} // namespace

Result<SiteName> SiteName::parse(std::string_view s) {
  if (!matches(s, 31, lower, [](char c) { return lower(c) || digit(c) || c == '-'; }))
    return fail(Code::invalid,
        cat("site name '", printable(s, 60),
            "': must be a lower-case letter, then at most 30 lower-case letters, digits or '-'"));
  if (s.starts_with("chillbox")) // our own users, groups and paths; who else's name it may be, the
                                 // host knows (rollout/assets.hpp)
    return fail(Code::invalid,
        cat("site name '", s, "': chillbox uses names like this itself, choose another"));
  return SiteName(s);
}

Result<ServiceName> ServiceName::parse(std::string_view s) {
  if (!matches(s, 31, alpha, [](char c) { return alnum(c) || c == '_' || c == '-'; }))
    return fail(Code::invalid,
        cat("service name '", printable(s, 60),
            "': must be a letter, then at most 30 letters, digits, '_' or '-'"));
  return ServiceName(s);
}

Result<Version> Version::parse(std::string_view s) {
  if (!semver(s))
    return fail(Code::invalid,
        cat("version '", printable(s, 80),
            "': must be a semantic version (1.2.3, 1.2.3-rc.1, 1.2.3+build) of at most 64 characters"));
  return Version(s);
}

Result<Digest> Digest::parse(std::string_view s) {
  if (s.size() != 64 || !unhex(s))
    return fail(
        Code::invalid, cat("sha256 '", printable(s, 80), "': must be 64 lower-case hex digits"));
  return Digest(std::string(s));
}

Digest Digest::of(const std::array<uint8_t, 32>& bytes) {
  return Digest(hex(bytes));
}

Result<std::string> parse_key_name(std::string_view s) {
  if (!matches(s, 64, alnum, [](char c) { return alnum(c) || c == '.' || c == '_' || c == '-'; }))
    return fail(Code::invalid,
        cat("name '", printable(s, 80),
            "': must be a letter or digit, then at most 63 letters, digits, '.', '_' or '-'"));
  return std::string(s);
}

std::string_view letter(Slot slot) {
  return slot == Slot::a ? "a" : slot == Slot::b ? "b" : "";
}

Slot parse_slot(std::string_view text) {
  return text == "a" ? Slot::a : text == "b" ? Slot::b : Slot::none;
}

Slot other_slot(Slot slot) {
  return slot == Slot::a ? Slot::b : Slot::a;
}

} // namespace chillbox
