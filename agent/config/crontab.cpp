// The grammar of one crontab line (faults 71).
#include "config/rules.hpp"

#include "base/text.hpp"
#include "config/site.hpp"

#include <algorithm>
#include <array>
#include <cctype>
#include <span>

namespace chillbox::config {
namespace {

using Names = std::span<const std::string_view>;

constexpr std::array<std::string_view, 12> k_months{"jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"};
constexpr std::array<std::string_view, 7> k_days{"sun", "mon", "tue", "wed", "thu", "fri", "sat"};

struct Field {
  std::string_view name;
  uint64_t low, high;
  Names names;
};
constexpr std::array k_fields{Field{"minute", 0, 59, {}}, Field{"hour", 0, 23, {}}, Field{"day of the month", 1, 31, {}},
                              Field{"month", 1, 12, k_months}, Field{"day of the week", 0, 7, k_days}};

bool same_name(std::string_view name, std::string_view text) {
  return std::ranges::equal(name, text, [](char a, char b) { return a == b || (b >= 'A' && b <= 'Z' && a == b + 0x20); });
}

bool is_value(const Field& field, std::string_view text) {
  if (std::ranges::any_of(field.names, [&](auto name) { return same_name(name, text); }))
    return true;
  if (text.size() > 2)
    return false;
  const auto number = parse_u64(text.size() == 2 && text[0] == '0' ? text.substr(1) : text); // 05 is 5
  return number && *number >= field.low && *number <= field.high;
}

bool is_step(std::string_view text) {
  const auto number = parse_u64(text);
  return number && *number >= 1 && *number <= 99;
}

// *  */S  N  N-M  N-M/S
bool is_item(const Field& field, std::string_view item) {
  const auto slash = item.find('/');
  const auto range = item.substr(0, slash);
  if (slash != std::string_view::npos && !is_step(item.substr(slash + 1)))
    return false;
  if (range == "*")
    return true;
  const auto dash = range.find('-');
  if (dash == std::string_view::npos)
    return slash == std::string_view::npos && is_value(field, range);
  return is_value(field, range.substr(0, dash)) && is_value(field, range.substr(dash + 1));
}

std::string_view take_word(std::string_view& rest) {
  const auto end = std::min(rest.find_first_of(" \t"), rest.size());
  const auto word = rest.substr(0, end);
  rest.remove_prefix(std::min(rest.find_first_not_of(" \t", end), rest.size()));
  return word;
}

bool is_assignment(std::string_view command) {
  const auto equals = command.find('=');
  const auto name = command.substr(0, equals);
  return equals != std::string_view::npos && !name.empty() && !(name[0] >= '0' && name[0] <= '9') &&
         std::ranges::all_of(name, [](char c) { return c == '_' || std::isalnum(static_cast<unsigned char>(c)); });
}

// The sixth field of a system crontab, as far as it can be told from a command.
bool is_user_field(std::string_view command) {
  static constexpr std::array<std::string_view, 9> k_users{"root",     "nobody", "daemon",   "bin",     "nginx",
                                                           "www-data", "redis",  "postgres", "chillbox"};
  auto rest = command;
  const auto first = take_word(rest);
  return first.size() < command.size() && std::ranges::find(k_users, first) != k_users.end();
}

} // namespace

std::optional<std::string> crontab_problem(std::string_view line) {
  if (characters(line) > 1000)
    return "longer than 1000 characters";
  if (std::ranges::any_of(line, [](char c) { return (static_cast<unsigned char>(c) < 0x20 && c != '\t') || c == 0x7f; }))
    return "a line break or control character";
  if (line.find('%') != std::string_view::npos)
    return "a '%', which cron reads as a line break: put the command into a script of the site";
  auto rest = line;
  rest.remove_prefix(std::min(rest.find_first_not_of(" \t"), rest.size()));
  if (rest.starts_with('@'))
    return cat("'", printable(take_word(rest), 20), "': write five fields (minute, hour, day, month, weekday) and a command");
  for (const auto& field : k_fields) {
    const auto text = take_word(rest);
    if (!std::ranges::all_of(split(text, ','), [&](auto item) { return is_item(field, item); }))
      return cat(field.name, " '", printable(text, 40), "': must be *, a number from ", field.low, " to ", field.high,
                 field.names.empty() ? "" : ", a name", ", a range, or a list of these, with /STEP after * or a range");
  }
  if (rest.empty())
    return "no command after the five fields";
  if (is_assignment(rest))
    return "an assignment before the command: put the variable into the site's env";
  if (is_user_field(rest))
    return "a user before the command: it runs as the site's own user";
  return std::nullopt;
}

} // namespace chillbox::config
