#include "tls/json.hpp"

#include "base/text.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <ctime>

namespace chillbox::tls {
namespace {

std::optional<int64_t> ms_of(std::tm when, bool ok) {
  const int year = when.tm_year + 1900;
  if (!ok || year < 1970 || year > 9999)
    return std::nullopt;
  return static_cast<int64_t>(::timegm(&when)) * 1000;
}

} // namespace

const Json& member(const Json& object, const char* name) {
  static const Json k_null;
  if (!object.is_object())
    return k_null;
  const auto found = object.find(name);
  return found == object.end() ? k_null : *found;
}

std::string text_in(const Json& object, const char* name) {
  const Json& value = member(object, name);
  return value.is_string() ? value.get<std::string>() : std::string();
}

uint64_t number_in(const Json& object, const char* name) {
  const Json& value = member(object, name);
  return value.is_number_unsigned() ? value.get<uint64_t>() : 0;
}

int64_t time_ms_in(const Json& object, const char* name) {
  const Json& value = member(object, name);
  return value.is_number_integer() ? value.get<int64_t>() : 0;
}

bool flag_in(const Json& object, const char* name) {
  const Json& value = member(object, name);
  return value.is_boolean() && value.get<bool>();
}

std::vector<std::string> texts_in(const Json& object, const char* name, size_t most) {
  std::vector<std::string> texts;
  const Json& value = member(object, name);
  for (size_t i = 0; value.is_array() && i < std::min(value.size(), most); ++i)
    if (value[i].is_string())
      texts.push_back(printable(value[i].get<std::string>(), 300));
  return texts;
}

std::optional<int64_t> time_in(const Json& object, const char* name) {
  return parse_rfc3339(text_in(object, name));
}

// "2026-11-20T17:33:34Z", with or without a fraction, which is left out.
std::optional<int64_t> parse_rfc3339(const std::string& text) {
  std::tm when{};
  const char* rest = ::strptime(text.c_str(), "%Y-%m-%dT%H:%M:%S", &when);
  if (rest == nullptr)
    return std::nullopt;
  std::string_view left(rest);
  if (left.starts_with('.'))
    left.remove_prefix(std::min(left.find_first_not_of("0123456789", 1), left.size()));
  return ms_of(when, left == "Z" || left == "+00:00");
}

std::optional<int64_t> parse_http_date(const std::string& text) {
  std::tm when{};
  const char* rest = ::strptime(text.c_str(), "%a, %d %b %Y %H:%M:%S GMT", &when);
  return ms_of(when, rest != nullptr && *rest == '\0');
}

} // namespace chillbox::tls
