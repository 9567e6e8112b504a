#include "control/json.hpp"

#include "base/text.hpp"

#include <nlohmann/json.hpp>

#include <optional>

namespace chillbox::control {
namespace {

const Json* member(const Json& object, std::string_view key) {
  if (!object.is_object())
    return nullptr;
  const auto it = object.find(key);
  return it == object.end() ? nullptr : &*it;
}

std::optional<uint64_t> as_u64(const Json* value) {
  if (value && value->is_number_unsigned())
    return value->get<uint64_t>();
  if (value && value->is_number_integer() && value->get<int64_t>() >= 0) // made by us from an int
    return static_cast<uint64_t>(value->get<int64_t>());
  return std::nullopt;
}

} // namespace

Result<std::string> string_at(const Json& object, std::string_view key) {
  const Json* value = member(object, key);
  if (!value || !value->is_string())
    return fail(Code::invalid, cat(key, ": must be a string", value ? "" : ", and is missing"));
  return value->get<std::string>();
}

Result<uint64_t> u64_at(const Json& object, std::string_view key) {
  const Json* value = member(object, key);
  if (const auto number = as_u64(value))
    return *number;
  return fail(Code::invalid,
      cat(key, ": must be a whole number of at least 0", value ? "" : ", and is missing"));
}

std::string string_or(const Json& object, std::string_view key, std::string_view fallback) {
  const Json* value = member(object, key);
  return value && value->is_string() ? value->get<std::string>() : std::string(fallback);
}

uint64_t u64_or(const Json& object, std::string_view key, uint64_t fallback) {
  return as_u64(member(object, key)).value_or(fallback);
}

bool bool_or(const Json& object, std::string_view key, bool fallback) {
  const Json* value = member(object, key);
  return value && value->is_boolean() ? value->get<bool>() : fallback;
}

} // namespace chillbox::control
