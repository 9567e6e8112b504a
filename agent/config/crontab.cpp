#include "config/crontab.hpp"

#include "base/text.hpp"
#include "config/validators.hpp"

#include <algorithm>
#include <array>
#include <cctype>
#include <optional>
#include <span>

namespace chillbox::config {
namespace {

using Names = std::span<const std::string_view>;

constexpr std::array<std::string_view, 12> k_months{
    "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"};
constexpr std::array<std::string_view, 7> k_days{"sun", "mon", "tue", "wed", "thu", "fri", "sat"};

struct Field {
  std::string_view name;
  uint64_t low, high;
  Names names;
};
constexpr std::array k_fields{Field{"minute", 0, 59, {}}, Field{"hour", 0, 23, {}},
    Field{"day of the month", 1, 31, {}}, Field{"month", 1, 12, k_months},
    Field{"day of the week", 0, 7, k_days}};

bool same_name(std::string_view name, std::string_view text) {
  return std::ranges::equal(
      name, text, [](char a, char b) { return a == b || (b >= 'A' && b <= 'Z' && a == b + 0x20); });
}

std::optional<uint64_t> value_of(const Field& field, std::string_view text) {
  for (size_t i = 0; i < field.names.size(); ++i)
    if (same_name(field.names[i], text))
      return i + (field.high == 12 ? 1 : 0); // months begin with 1
  if (text.size() > 2)
    return std::nullopt;
  const auto number =
      parse_u64(text.size() == 2 && text[0] == '0' ? text.substr(1) : text); // 05 is 5
  return number && *number >= field.low && *number <= field.high ? number : std::nullopt;
}

// From one value to the other, past the end and on from the beginning, too. Sunday is 0 and 7.
template <size_t N> void set_range(
    const Field& field, uint64_t from, uint64_t to, uint64_t step, std::bitset<N>& bits) {
  const bool week = field.high == 7;
  const uint64_t size = week ? 7 : field.high - field.low + 1;
  if (week && from == 7 && to < 7)
    from = 0;
  const uint64_t length = to >= from ? to - from : size - from + to;
  for (uint64_t i = 0; i <= length; i += step)
    bits.set(field.low + (from - field.low + i) % size);
}

// *  */S  N  N-M  N-M/S
template <size_t N>
bool read_item(const Field& field, std::string_view item, std::bitset<N>& bits) {
  const auto slash = item.find('/');
  const auto range = item.substr(0, slash);
  const auto step = slash == std::string_view::npos ? std::optional<uint64_t>(1)
                                                    : parse_u64(item.substr(slash + 1));
  if (!step || *step < 1 || *step > 99)
    return false;
  if (range == "*") {
    set_range(field, field.low, field.high == 7 ? 6 : field.high, *step, bits);
    return true;
  }
  const auto dash = range.find('-');
  if (dash == std::string_view::npos && slash != std::string_view::npos)
    return false;
  const auto from = value_of(field, range.substr(0, dash));
  const auto to = dash == std::string_view::npos ? from : value_of(field, range.substr(dash + 1));
  if (from && to)
    set_range(field, *from, *to, *step, bits);
  return from && to;
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
      std::ranges::all_of(
          name, [](char c) { return c == '_' || std::isalnum(static_cast<unsigned char>(c)); });
}

// The sixth field of a system crontab, as far as it differs from a command.
bool is_user_field(std::string_view command) {
  static constexpr std::array<std::string_view, 9> k_users{
      "root", "nobody", "daemon", "bin", "nginx", "www-data", "redis", "postgres", "chillbox"};
  auto rest = command;
  const auto first = take_word(rest);
  return first.size() < command.size() && std::ranges::find(k_users, first) != k_users.end();
}

// Takes the next word of `rest`.
template <size_t N>
Result<bool> read_field(const Field& field, std::string_view& rest, std::bitset<N>& bits) {
  const auto text = take_word(rest);
  for (const auto item : split(text, ','))
    if (!read_item(field, item, bits))
      return fail(Code::invalid,
          cat(field.name, " '", printable(text, 40), "': must be *, a number from ", field.low,
              " to ", field.high, field.names.empty() ? "" : ", a name",
              ", a range, or a list of these, with /STEP after * or a range"));
  return text.starts_with('*');
}

Result<void> check_text(std::string_view line) {
  if (characters(line) > 1000)
    return fail(Code::invalid, "longer than 1000 characters");
  if (std::ranges::any_of(line,
          [](char c) { return (static_cast<unsigned char>(c) < 0x20 && c != '\t') || c == 0x7f; }))
    return fail(Code::invalid, "a line break or control character");
  if (line.find('%') != std::string_view::npos)
    return fail(Code::invalid,
        "a '%', which cron reads as a line break: put the command into a script of the site");
  return {};
}

Result<void> check_command(std::string_view command) {
  if (command.empty())
    return fail(Code::invalid, "no command after the five fields");
  if (is_assignment(command))
    return fail(
        Code::invalid, "an assignment before the command: put the variable into the site's env");
  if (is_user_field(command))
    return fail(Code::invalid, "a user before the command: it runs as the site's own user");
  return {};
}

} // namespace

Result<CronLine> parse_cron_line(std::string_view line) {
  TRY(check_text(line));
  auto rest = line;
  rest.remove_prefix(std::min(rest.find_first_not_of(" \t"), rest.size()));
  if (rest.starts_with('@'))
    return fail(Code::invalid,
        cat("'", printable(take_word(rest), 20),
            "': write five fields (minute, hour, day, month, weekday) and a command"));
  CronLine read;
  Schedule& when = read.when;
  TRY(read_field(k_fields[0], rest, when.minutes));
  TRY(read_field(k_fields[1], rest, when.hours));
  when.any_day = TRY(read_field(k_fields[2], rest, when.days));
  TRY(read_field(k_fields[3], rest, when.months));
  when.any_weekday = TRY(read_field(k_fields[4], rest, when.weekdays));
  TRY(check_command(rest));
  read.command = trim(rest);
  return read;
}

} // namespace chillbox::config
