// How a checked value is read from JSON (or from TOML, which is turned into JSON first): a table
// says which fields an object has and what each may hold; reading it fills the C++ value and
// collects every problem with its location. Readers (Text, Choice, Integer, ...) read one value
// each; into() binds a reader to a member.
#pragma once

#include "base/error.hpp"
#include "base/json.hpp"
#include "base/text.hpp"
#include "config/validators.hpp"

#include <nlohmann/json.hpp>

#include <chrono>
#include <concepts>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace chillbox::config {

using Lines = std::map<std::string, int>; // path to line number, for the formats that know them

// Everything that is wrong with one text.
class Problems {
public:
  Problems() = default;
  Problems(std::string_view file, const Lines* lines) : m_file(file), m_lines(lines) {}
  void add(const std::string& path, std::string_view text);
  bool empty() const { return m_found.empty(); }
  std::unexpected<Error> error() const; // invalid: one a line, the first hundred

private:
  std::string m_file;
  const Lines* m_lines = nullptr;
  std::vector<std::string> m_found;
};

// A location in the text: "$.services[0].lang".
struct Location {
  Problems& problems;
  std::string path;

  Location operator/(std::string_view key) const;
  Location operator[](size_t index) const;
  void problem(std::string_view text) const { problems.add(path, text); }
  // "found WHAT, must be ALLOWED", with the nearest of `known`.
  std::nullopt_t refuse(const Json& found, std::string_view allowed,
      const std::vector<std::string>& known = {}) const;
};

// Readers of one value.
struct Text {
  const TextRule& rule;
  std::optional<std::string> operator()(const Location& at, const Json& json) const;
};
struct Choice {
  std::vector<std::string> allowed;
  std::optional<std::string> operator()(const Location& at, const Json& json) const;
};
struct Integer {
  int64_t low, high;
  std::optional<int64_t> operator()(const Location& at, const Json& json) const;
};
struct Boolean {
  std::optional<bool> operator()(const Location& at, const Json& json) const;
};
struct Duration { // "500ms", "10s", or a number of seconds
  bool zero = false;
  std::chrono::seconds most{32'400}; // 9h
  bool whole = false;                // of seconds
  std::optional<std::chrono::milliseconds> operator()(const Location& at, const Json& json) const;
};
struct Size { // "256M", or a number of bytes
  uint64_t low, high;
  std::optional<uint64_t> operator()(const Location& at, const Json& json) const;
};
struct Argv { // argv, or one command line that is split into it
  std::optional<std::vector<std::string>> operator()(const Location& at, const Json& json) const;
};

template <class T> using Read = std::function<void(const Location&, const Json&, T&)>;

template <class T> struct Field {
  std::string_view name;
  Read<T> read;
  bool required = false;
};
template <class T> using Table = std::vector<Field<T>>;

namespace detail {

// False, after adding the problem, when `json` is not an object; problems of its own are a field
// outside `names` and a required one that is missing.
bool check_fields(const Location& at, const Json& json, const std::vector<std::string>& names,
    const std::vector<std::string>& required);
bool check_list(const Location& at, const Json& json, size_t max);

template <class To, class From> To convert(From&& from) {
  using Plain = std::remove_cvref_t<From>;
  if constexpr (requires { typename To::value_type; } && std::integral<Plain>)
    return To(static_cast<typename To::value_type>(
        from)); // optional of a narrower number: its range was checked
  else if constexpr (std::integral<To> && std::integral<Plain>)
    return static_cast<To>(from);
  else if constexpr (std::same_as<To, std::chrono::seconds>)
    return std::chrono::duration_cast<std::chrono::seconds>(from);
  else
    return To(std::forward<From>(from));
}

} // namespace detail

template <class T>
void read_object(const Location& at, const Json& json, const Table<T>& table, T& out) {
  std::vector<std::string> names, required;
  for (const auto& field : table) {
    names.emplace_back(field.name);
    if (field.required)
      required.emplace_back(field.name);
  }
  if (!detail::check_fields(at, json, names, required))
    return;
  for (const auto& field : table)
    if (const auto it = json.find(field.name); it != json.end())
      field.read(at / field.name, *it, out);
}

// Puts what a reader returns into a member.
template <class T, class M, class Kind> Read<T> into(M T::* member, Kind kind) {
  return [member, kind](const Location& at, const Json& json, T& out) {
    if (auto value = kind(at, json))
      out.*member = detail::convert<M>(*std::move(value));
  };
}

// An object within the object.
template <class T, class M> Read<T> into(M T::* member, const Table<M>& table) {
  return [member, table](const Location& at, const Json& json, T& out) {
    read_object(at, json, table, out.*member);
  };
}

// A list of what a reader returns.
template <class T, class E, class Kind>
Read<T> each(std::vector<E> T::* member, size_t max, Kind kind) {
  return [member, max, kind](const Location& at, const Json& json, T& out) {
    if (!detail::check_list(at, json, max))
      return;
    for (size_t i = 0; i < json.size(); ++i)
      if (auto value = kind(at[i], json[i]))
        (out.*member).push_back(*std::move(value));
  };
}

// Checks a value that the host does not use.
template <class T, class Kind> Read<T> checked(Kind kind) {
  return [kind](const Location& at, const Json& json, T&) { kind(at, json); };
}

} // namespace chillbox::config
