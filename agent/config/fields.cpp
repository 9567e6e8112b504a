#include "config/fields.hpp"

#include "config/site.hpp"

#include <algorithm>
#include <cmath>

namespace chillbox::config {
namespace {

constexpr size_t k_max_reported = 100;

std::string describe(const Json& json) {
  switch (json.type()) {
  case Json::value_t::string:
    return cat("'", printable(json.get_ref<const std::string&>(), 60), "'");
  case Json::value_t::object: return "an object";
  case Json::value_t::array: return "an array";
  default: return dump(json); // null, true, 5
  }
}

bool plain_key(std::string_view key) {
  return !key.empty() && key.size() <= 60 && std::ranges::all_of(key, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
        c == '-';
  });
}

// As JSON Schema counts: 2.0 is a whole number.
std::optional<int64_t> whole(const Json& json) {
  if (json.is_number_unsigned() && json.get<uint64_t>() > static_cast<uint64_t>(INT64_MAX))
    return std::nullopt;
  if (json.is_number_integer())
    return json.get<int64_t>();
  if (json.is_number_float()) {
    const double number = json.get<double>();
    if (std::floor(number) == number && std::abs(number) < 9e15)
      return static_cast<int64_t>(number);
  }
  return std::nullopt;
}

std::string did_you_mean(std::string_view word, const std::vector<std::string>& known) {
  const auto near = nearest(word, known);
  return near ? cat("; did you mean '", *near, "'?") : "";
}

// For a number between quotes, which is read as text.
std::string_view if_quoted(const Json& json, std::string_view advice) {
  return json.is_string() && parse_u64(trim(json.get_ref<const std::string&>())) ? advice : "";
}

} // namespace

void Problems::add(const std::string& path, std::string_view text) {
  std::string place;
  if (m_lines) {
    // A value that has no line of its own (an element, or one that is missing) is reported at the
    // line of its parent.
    std::string_view at = path;
    auto found = m_lines->find(std::string(at));
    while (found == m_lines->end() && !at.empty()) {
      const auto end = at.find_last_of(".[");
      at = at.substr(0, end == std::string_view::npos ? 0 : end);
      found = m_lines->find(std::string(at));
    }
    place = cat(m_file, ":", found == m_lines->end() ? 1 : found->second, ": ");
  }
  m_found.push_back(cat(place, path, path.empty() ? "" : ": ", text));
}

std::unexpected<Error> Problems::error() const {
  if (m_found.size() <= k_max_reported)
    return fail(Code::invalid, join(m_found, "\n"));
  const std::vector<std::string> first(m_found.begin(), m_found.begin() + k_max_reported);
  return fail(
      Code::invalid, cat(join(first, "\n"), "\nand ", m_found.size() - k_max_reported, " more"));
}

Location Location::operator/(std::string_view key) const {
  if (!plain_key(key))
    return {problems, cat(path, "[\"", printable(key, 60), "\"]")};
  return {problems, cat(path, path.empty() ? "" : ".", key)};
}

Location Location::operator[](size_t index) const {
  return {problems, cat(path, "[", index, "]")};
}

std::nullopt_t Location::refuse(
    const Json& found, std::string_view allowed, const std::vector<std::string>& known) const {
  const std::string hint =
      found.is_string() ? did_you_mean(found.get_ref<const std::string&>(), known) : "";
  problem(cat("found ", describe(found), ", must be ", allowed, hint));
  return std::nullopt;
}

std::optional<std::string> Text::operator()(const Location& at, const Json& json) const {
  if (!json.is_string())
    return at.refuse(json, cat("a string: ", rule.allowed));
  const auto& text = json.get_ref<const std::string&>();
  if (characters(text) > rule.max || !rule.ok(text))
    return at.refuse(json, rule.allowed);
  return text;
}

std::optional<std::string> Choice::operator()(const Location& at, const Json& json) const {
  if (json.is_string() &&
      std::ranges::find(allowed, json.get_ref<const std::string&>()) != allowed.end())
    return json.get<std::string>();
  return at.refuse(json, cat("one of ", join(allowed, ", ")), allowed);
}

std::optional<int64_t> Integer::operator()(const Location& at, const Json& json) const {
  const auto number = whole(json);
  if (!number || *number < low || *number > high)
    return at.refuse(
        json, cat("a whole number from ", low, " to ", high, if_quoted(json, ", without quotes")));
  return number;
}

std::optional<bool> Boolean::operator()(const Location& at, const Json& json) const {
  if (!json.is_boolean())
    return at.refuse(json, "true or false");
  return json.get<bool>();
}

std::optional<std::chrono::milliseconds> Duration::operator()(
    const Location& at, const Json& json) const {
  std::optional<std::chrono::milliseconds> found;
  if (json.is_string()) {
    found = parse_duration(json.get_ref<const std::string&>(), zero);
  } else if (json.is_number()) {
    const double seconds = json.get<double>();
    if (seconds >= (zero ? 0 : 0.001) && seconds <= static_cast<double>(most.count()))
      found = std::chrono::milliseconds(std::llround(seconds * 1000));
  }
  if (found && *found <= most && (!whole || *found % std::chrono::seconds(1) == found->zero()))
    return found;
  return at.refuse(json,
      cat(whole ? "a time of whole seconds such as " : "a time such as \"500ms\", ",
          "\"10s\", \"2m\", \"1h\", or a number of seconds, at most ",
          most < std::chrono::hours(1) ? cat(most.count(), "s") : cat(most.count() / 3600, "h"),
          zero ? ", or 0" : "",
          if_quoted(json, "; a number in quotes needs a unit, one without quotes is of seconds")));
}

std::optional<uint64_t> Size::operator()(const Location& at, const Json& json) const {
  std::optional<uint64_t> size;
  if (json.is_string())
    size = parse_size(json.get_ref<const std::string&>());
  else if (const auto number = whole(json); number && *number >= 0)
    size = static_cast<uint64_t>(*number);
  if (!size || *size < low || *size > high)
    return at.refuse(json,
        cat("a size such as \"256M\" or \"2G\", or a number of bytes, from ", human_size(low),
            " to ", human_size(high),
            if_quoted(json, "; a number in quotes needs a unit, one without quotes is of bytes")));
  return size;
}

std::optional<std::vector<std::string>> Argv::operator()(
    const Location& at, const Json& json) const {
  const std::string allowed =
      cat("one command line or an array of its words, of ", k_command.allowed);
  if (json.is_string()) {
    if (!Text{k_command}(at, json))
      return std::nullopt;
    auto words = split_argv(json.get_ref<const std::string&>());
    if (words && !words->empty() && !words->front().empty())
      return *std::move(words);
    at.problem(words ? "holds no command" : words.error().message);
    return std::nullopt;
  }
  if (!json.is_array() || json.empty() || json.size() > 64)
    return at.refuse(json, allowed);
  std::vector<std::string> words;
  for (size_t i = 0; i < json.size(); ++i)
    if (auto word = Text{i == 0 ? k_command : k_value}(at[i], json[i]))
      words.push_back(*std::move(word));
  return words;
}

bool detail::check_fields(const Location& at, const Json& json,
    const std::vector<std::string>& names, const std::vector<std::string>& required) {
  if (!json.is_object()) {
    at.refuse(json, "an object");
    return false;
  }
  for (const auto& name : required)
    if (!json.contains(name))
      (at / name).problem("is missing");
  for (const auto& [key, value] : json.items())
    if (std::ranges::find(names, key) == names.end())
      (at / key).problem(
          cat("unknown field, allowed are ", join(names, ", "), did_you_mean(key, names)));
  return true;
}

bool detail::check_list(const Location& at, const Json& json, size_t max) {
  if (json.is_array() && json.size() <= max)
    return true;
  if (json.is_array())
    at.problem(cat("holds ", json.size(), " entries, the limit is ", max));
  else
    at.refuse(json, "an array");
  return false;
}

} // namespace chillbox::config
