// A message is a struct with one table of its members: a row names the member in JSON, points to it
// and says what it means. The table writes the message, reads it and makes its JSON Schema, so a
// new member is one row.
//
//   constexpr auto table(const Hold*) {
//     return message("hold", "Why deploys of a site are refused.",
//         Member{"actor", &Hold::actor, "who asked for it"},
//         Member{"why", &Hold::why, "the reason that was given"});
//   }
//
// Reading is lenient, because the two programs may be of different versions: members that are not
// in the table are ignored, one that is missing or of another type keeps its default, a name that
// an enum does not have becomes its `unknown`. Only a site's name must exist and be one.
//
// For the files that hold tables: this header brings in the whole JSON library.
#pragma once

#include "base/error.hpp"
#include "base/names.hpp"
#include "base/text.hpp"
#include "control/json.hpp"
#include "control/names.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <array>
#include <concepts>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

namespace chillbox::control {

// How an optional member without a value is written: not at all, or as null. All others always are.
enum class WithoutValue { absent, null };

template <class T, class V> struct Member {
  const char* name;
  V T::* at;
  const char* about;
  WithoutValue without = WithoutValue::absent;
};
template <class T, class V> Member(const char*, V T::*, const char*) -> Member<T, V>;
template <class T, class V> Member(const char*, V T::*, const char*, WithoutValue) -> Member<T, V>;

template <class... M> struct Table {
  const char* name; // in the schema
  const char* about;
  std::tuple<M...> members;
};

template <class... M> constexpr auto message(const char* name, const char* about, M... members) {
  return Table<M...>{name, about, std::tuple(members...)};
}
// A message that has all members of another one, its base, and more.
template <class... B, class... M>
constexpr auto message(const char* name, const char* about, const Table<B...>& base, M... members) {
  return Table<B..., M...>{name, about, std::tuple_cat(base.members, std::tuple(members...))};
}

namespace detail {

template <class T>
concept Message = requires { table(static_cast<const T*>(nullptr)); };
template <class T>
concept NamedEnum = std::is_enum_v<T> && requires(T value) { name(value); };
template <class T> inline constexpr bool is_optional = false;
template <class T> inline constexpr bool is_optional<std::optional<T>> = true;
template <class T> inline constexpr bool is_vector = false;
template <class T> inline constexpr bool is_vector<std::vector<T>> = true;
// "" stands for none where a name is expected.
template <class T> inline constexpr bool is_optional_name = false;
template <class E>
  requires std::is_enum_v<E>
inline constexpr bool is_optional_name<std::optional<E>> = true;

// An optional name is "" without a value, and so never absent.
template <class V> inline constexpr bool may_be_absent = is_optional<V> && !is_optional_name<V>;

template <class T, class F> void each_member(F&& visit) {
  constexpr auto all = table(static_cast<const T*>(nullptr));
  std::apply([&](const auto&... members) { (visit(members), ...); }, all.members);
}

// As a tree would have them, which begins with the least name.
template <class T> constexpr auto order_of_members() {
  constexpr auto all = table(static_cast<const T*>(nullptr));
  constexpr size_t k_size = std::tuple_size_v<decltype(all.members)>;
  const auto names = std::apply(
      [](const auto&... members) {
        return std::array<std::string_view, k_size>{std::string_view(members.name)...};
      },
      all.members);
  std::array<size_t, k_size> order{};
  for (size_t i = 0; i < k_size; ++i)
    order[i] = i;
  std::ranges::sort(order, {}, [&](size_t i) { return names[i]; });
  return order;
}
template <class T, class F> void each_member_in_order(F&& visit) {
  constexpr auto all = table(static_cast<const T*>(nullptr));
  constexpr auto order = order_of_members<T>();
  [&]<size_t... I>(std::index_sequence<I...>) { (visit(std::get<order[I]>(all.members)), ...); }(
      std::make_index_sequence<order.size()>{});
}

inline std::string_view text_of(Code code) {
  return code_name(code);
}
inline std::string_view text_of(Slot slot) {
  return letter(slot);
}
template <NamedEnum E> std::string_view text_of(E value) {
  return name(value);
}

} // namespace detail

template <class T> Json to_json(const T& value) {
  if constexpr (detail::Message<T>) {
    Json object = Json::object();
    detail::each_member<T>([&](const auto& member) {
      const auto& of = value.*member.at;
      if constexpr (detail::may_be_absent<std::remove_cvref_t<decltype(of)>>)
        if (!of && member.without == WithoutValue::absent)
          return;
      object[member.name] = to_json(of);
    });
    return object;
  } else if constexpr (detail::is_vector<T>) {
    Json array = Json::array();
    for (const auto& element : value)
      array.push_back(to_json(element));
    return array;
  } else if constexpr (detail::is_optional_name<T>) {
    return value ? std::string(detail::text_of(*value)) : std::string();
  } else if constexpr (detail::is_optional<T>) {
    return value ? to_json(*value) : Json();
  } else if constexpr (std::is_enum_v<T>) {
    return std::string(detail::text_of(value));
  } else if constexpr (std::same_as<T, SiteName>) {
    return value.str();
  } else {
    return value;
  }
}

// corrupt: not an object, or without the name of its site.
template <class T> Result<T> from_json(const Json& json);

namespace detail {

void write_string(std::string& out, std::string_view text); // messages.cpp

template <class T> void write(std::string& out, const T& value);

// schema: of an answer, "" for others.
template <class T>
void write_message(std::string& out, const T& value, const std::string& schema = {}) {
  const size_t begin = out.size();
  const auto begin_member = [&](std::string_view name) {
    out += out.size() == begin ? "{\"" : ",\"";
    out.append(name).append("\":");
  };
  const auto write_schema = [&] {
    begin_member("schema");
    write_string(out, schema);
  };
  bool schema_is_due = !schema.empty();
  each_member_in_order<T>([&](const auto& member) {
    const auto& of = value.*member.at;
    if constexpr (may_be_absent<std::remove_cvref_t<decltype(of)>>)
      if (!of && member.without == WithoutValue::absent)
        return;
    if (schema_is_due && std::string_view("schema") < member.name) {
      write_schema();
      schema_is_due = false;
    }
    begin_member(member.name);
    write(out, of);
  });
  if (schema_is_due)
    write_schema();
  out += out.size() == begin ? "{}" : "}";
}

// The text of to_json(value) without the tree, which takes ten times its bytes.
template <class T> void write(std::string& out, const T& value) {
  if constexpr (Message<T>) {
    write_message(out, value);
  } else if constexpr (is_vector<T>) {
    char before = '[';
    for (const auto& element : value) {
      out += std::exchange(before, ',');
      write(out, element);
    }
    out += before == '[' ? "[]" : "]";
  } else if constexpr (is_optional_name<T>) {
    write_string(out, value ? text_of(*value) : std::string_view());
  } else if constexpr (is_optional<T>) {
    if (value)
      write(out, *value);
    else
      out += "null";
  } else if constexpr (std::is_enum_v<T>) {
    write_string(out, text_of(value));
  } else if constexpr (std::same_as<T, SiteName>) {
    write_string(out, value.str());
  } else if constexpr (std::same_as<T, bool>) {
    out += value ? "true" : "false";
  } else if constexpr (std::integral<T>) {
    out += std::to_string(value);
  } else {
    write_string(out, value);
  }
}

// Whether a value of this type can be read from it.
template <class T> bool fits(const Json& json) {
  if constexpr (std::same_as<T, bool>)
    return json.is_boolean();
  else if constexpr (std::integral<T>)
    return json.is_number_unsigned()
        ? std::in_range<T>(json.get<uint64_t>())
        : json.is_number_integer() && std::in_range<T>(json.get<int64_t>());
  else if constexpr (is_vector<T>)
    return json.is_array();
  else
    return json.is_string();
}

template <class T> Result<void> read(const Json& json, T& value) {
  if constexpr (Message<T>) {
    if (!json.is_object())
      return {};
    value = TRY(from_json<T>(json));
  } else if constexpr (is_vector<T>) {
    if (!json.is_array())
      return {};
    for (const Json& one : json)
      if constexpr (Message<typename T::value_type>)
        value.push_back(TRY(from_json<typename T::value_type>(one)));
      else if constexpr (std::integral<typename T::value_type>) // in its place, whatever it is
        value.push_back(fits<typename T::value_type>(one) ? one.get<typename T::value_type>() : 0);
      else
        value.push_back(one.is_string() ? one.get<std::string>() : dump(one));
  } else if constexpr (is_optional_name<T>) {
    if (json.is_string() && json != "")
      value = named<typename T::value_type>(json.get_ref<const std::string&>());
  } else if constexpr (is_optional<T>) {
    if (json.is_null())
      return {};
    if constexpr (Message<typename T::value_type>) {
      if (json.is_object())
        value = TRY(from_json<typename T::value_type>(json));
    } else if (fits<typename T::value_type>(json)) {
      TRY(read(json, value.emplace()));
    }
  } else if constexpr (std::same_as<T, SiteName>) {
    value = TRY(SiteName::parse(json.is_string() ? json.get<std::string>() : ""));
  } else if (fits<T>(json)) {
    if constexpr (std::is_enum_v<T>)
      value = named<T>(json.get_ref<const std::string&>());
    else
      value = json.get<T>();
  }
  return {};
}

template <class T>
concept HasSite = requires(T value) {
  { value.site } -> std::same_as<SiteName&>;
};

// A value to read into. Without a default: its site is known first, or it begins with such a value.
template <class T> Result<T> begin(const Json& json) {
  if constexpr (std::default_initializable<T>) {
    return T{};
  } else if constexpr (HasSite<T>) {
    auto site = SiteName::parse(string_or(json, "site", ""));
    if (!site)
      return fail(Code::corrupt, cat("site: ", site.error().message));
    return T{.site = std::move(*site)};
  } else {
    constexpr auto first = std::get<0>(table(static_cast<const T*>(nullptr)).members);
    using Inner = std::remove_cvref_t<decltype(std::declval<T>().*first.at)>;
    const auto found = json.find(first.name);
    if (found == json.end())
      return fail(Code::corrupt, cat("no ", first.name, " in it"));
    Inner inner = TRY_IN(first.name, from_json<Inner>(*found));
    return T{std::move(inner)};
  }
}

} // namespace detail

template <class T> Result<T> from_json(const Json& json) {
  if (!json.is_object())
    return fail(Code::corrupt, "not an object");
  T value = TRY(detail::begin<T>(json));
  Result<void> outcome;
  detail::each_member<T>([&](const auto& member) {
    const auto found = outcome ? json.find(member.name) : json.end();
    if (found == json.end())
      return;
    outcome = detail::read(*found, value.*member.at);
    if (!outcome)
      outcome = fail(Code::corrupt, cat(member.name, ": ", outcome.error().message));
  });
  TRY(outcome);
  return value;
}

template <class T> std::string to_text(const T& message) {
  std::string text;
  detail::write_message(text, message);
  return text;
}

template <class T> std::string answer_text(std::string_view verb, const T& message) {
  std::string text;
  detail::write_message(text, message, cat("chillbox.", verb, ".v1"));
  return text;
}

template <class T> Result<T> read_answer(std::string_view text) {
  constexpr size_t k_longest = 4 << 20;
  const auto json = parse_json(text, k_longest);
  if (!json)
    return fail(Code::corrupt, cat("answer of chillboxd: ", json.error().message));
  auto read = from_json<T>(*json);
  if (!read)
    return fail(Code::corrupt, cat("answer of chillboxd: ", read.error().message));
  return read;
}

// JSON Schema (2020-12). The definitions of messages that are named go into `defs`, once each.
template <class T> Json schema_of(Json& defs);

namespace detail {

template <class T> Json type_schema(Json& defs) {
  if constexpr (Message<T>) {
    constexpr auto all = table(static_cast<const T*>(nullptr));
    if (!defs.contains(all.name)) {
      defs[all.name] = nullptr; // before its members, which may name it again
      Json schema = schema_of<T>(defs);
      defs[all.name] = std::move(schema);
    }
    return {{"$ref", cat("#/$defs/", all.name)}};
  } else if constexpr (is_vector<T>) {
    return {{"type", "array"}, {"items", type_schema<typename T::value_type>(defs)}};
  } else if constexpr (std::is_enum_v<T>) {
    Json values = Json::array();
    for (const auto name : names_of<T>())
      values.push_back(name);
    return {{"enum", std::move(values)}};
  } else if constexpr (is_optional_name<T>) {
    Json schema = type_schema<typename T::value_type>(defs);
    schema["enum"].insert(schema["enum"].begin(), "");
    return schema;
  } else if constexpr (is_optional<T>) {
    return {{"anyOf", {type_schema<typename T::value_type>(defs), {{"type", "null"}}}}};
  } else if constexpr (std::same_as<T, bool>) {
    return {{"type", "boolean"}};
  } else if constexpr (std::integral<T>) {
    Json schema{{"type", "integer"}};
    if constexpr (std::unsigned_integral<T>)
      schema["minimum"] = 0;
    return schema;
  } else {
    return {{"type", "string"}};
  }
}

// An optional that is left out is never null.
template <class V> Json member_schema(Json& defs, WithoutValue without) {
  if constexpr (may_be_absent<V>)
    if (without == WithoutValue::absent)
      return type_schema<typename V::value_type>(defs);
  return type_schema<V>(defs);
}

} // namespace detail

template <class T> Json schema_of(Json& defs) {
  constexpr auto all = table(static_cast<const T*>(nullptr));
  Json properties = Json::object(), required = Json::array();
  detail::each_member<T>([&]<class S, class V>(const Member<S, V>& member) {
    Json schema = detail::member_schema<V>(defs, member.without);
    if (*member.about != '\0')
      schema["description"] = member.about;
    properties[member.name] = std::move(schema);
    if (!detail::may_be_absent<V> || member.without == WithoutValue::null)
      required.push_back(member.name);
  });
  return {{"type", "object"}, {"description", all.about}, {"properties", std::move(properties)},
      {"required", std::move(required)}};
}

} // namespace chillbox::control

// All of the above for one message, in the file that has its table.
#define CHILLBOX_MESSAGE(T)                                                                        \
  template Json to_json(const T&);                                                                 \
  template Result<T> from_json(const Json&);                                                       \
  template std::string to_text(const T&);                                                          \
  template std::string answer_text(std::string_view, const T&);                                    \
  template Result<T> read_answer(std::string_view);
