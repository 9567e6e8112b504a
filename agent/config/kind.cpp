#include "config/kind.hpp"

#include "config/fields.hpp"

#include <algorithm>

namespace chillbox::config {
namespace {

constexpr size_t k_max_list = 16;

// The file, or one object of its `when`.
struct Draft {
  Kind kind;
  std::string about, variable, value;
  std::vector<Json> when;
};

template <class M, class Reader> Read<Draft> member(M Kind::* member, Reader reader) {
  return [read = into(member, std::move(reader))](
             const Location& at, const Json& json, Draft& draft) { read(at, json, draft.kind); };
}

template <class Reader> Read<Draft> list(std::vector<std::string> Kind::* member, Reader reader) {
  return [member, read = each(member, k_max_list, std::move(reader))](
             const Location& at, const Json& json, Draft& draft) {
    (draft.kind.*member).clear(); // that of a `when` replaces the other
    read(at, json, draft.kind);
  };
}

std::optional<Kind::Listens> read_listens(const Location& at, const Json& json) {
  const auto text = Choice{{"no", "unix", "tcp"}}(at, json);
  if (!text)
    return std::nullopt;
  return *text == "unix" ? Kind::Listens::on_socket
      : *text == "tcp"   ? Kind::Listens::on_port
                         : Kind::Listens::no;
}

std::optional<Kind::Role> read_role(const Location& at, const Json& json) {
  const auto text = Choice{{"service", "worker"}}(at, json);
  if (!text)
    return std::nullopt;
  return *text == "worker" ? Kind::Role::worker : Kind::Role::service;
}

std::optional<std::string> read_language(const Location& at, const Json& json) {
  if (!json.is_string() || !is_kind_name(json.get_ref<const std::string&>()))
    return at.refuse(json, "the name of a handler");
  return json.get<std::string>();
}

std::optional<std::string> read_public(const Location& at, const Json& json) {
  return json == "." ? "." : Text{k_folder}(at, json);
}

// node_modules/.bin is one, too.
std::optional<std::string> read_programs(const Location& at, const Json& json) {
  static constexpr std::string_view k_allowed =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-/";
  const auto text = json.is_string() ? json.get<std::string>() : std::string();
  const auto parts = split(text, '/');
  if (text.find_first_not_of(k_allowed) == std::string::npos && text.size() <= 200 &&
      std::ranges::none_of(
          parts, [](auto part) { return part.empty() || part == "." || part == ".."; }))
    return text;
  return at.refuse(json, "a relative path of letters, digits, '.', '_', '-', without '..'");
}

void read_when(const Location& at, const Json& json, Draft& draft) {
  if (detail::check_list(at, json, k_max_list))
    draft.when.assign(json.begin(), json.end());
}

void read_fields(const Location& at, const Json& json, Draft& draft) {
  draft.kind.fields.emplace();
  if (!detail::check_list(at, json, k_fields_of_some_kinds.size()))
    return;
  const Choice one{{k_fields_of_some_kinds.begin(), k_fields_of_some_kinds.end()}};
  for (size_t i = 0; i < json.size(); ++i)
    if (auto name = one(at[i], json[i]))
      draft.kind.fields->push_back(*std::move(name));
}

Table<Draft> common_members() {
  return {{"listens", member(&Kind::listens, read_listens)},
      {"build", member(&Kind::builds, Boolean{})}, {"public", list(&Kind::published, read_public)},
      {"built", list(&Kind::built, Text{k_folder})},
      {"programs", list(&Kind::programs, read_programs)},
      {"built_programs", list(&Kind::built_programs, read_programs)},
      {"environment", list(&Kind::environment, Text{k_line})},
      {"needs", list(&Kind::needs, Text{k_file_name})},
      {"front", member(&Kind::preferred_front, Boolean{})}};
}

Table<Draft> with_common(Table<Draft> table) {
  const Table<Draft> common = common_members();
  table.insert(table.end(), common.begin(), common.end());
  return table;
}

const Table<Draft>& file_table() {
  static const Table<Draft> k_table = with_common({{"about", into(&Draft::about, Text{k_line})},
      {"role", member(&Kind::role, read_role)}, {"hashed", member(&Kind::hashed, Boolean{})},
      {"language", member(&Kind::language, read_language)}, {"fields", read_fields},
      {"leave_out", list(&Kind::left_out, Text{k_file_name})},
      {"default", member(&Kind::is_default, Boolean{})}, {"when", read_when}});
  return k_table;
}

const Table<Draft>& when_table() {
  static const Table<Draft> k_table =
      with_common({{"variable", into(&Draft::variable, Text{k_line}), true},
          {"value", into(&Draft::value, Text{k_value}), true}});
  return k_table;
}

} // namespace

Result<Kind> parse_kind(std::string_view text, const VariableValue& value_of) {
  const Json json = TRY(parse_json(text, k_max_kind_json));
  Problems problems;
  Draft draft;
  read_object({problems, "$"}, json, file_table(), draft);
  for (size_t i = 0; i < draft.when.size(); ++i) {
    Draft other = draft;
    read_object(Location{problems, "$.when"}[i], draft.when[i], when_table(), other);
    if (!value_of || other.variable.empty())
      continue;
    const auto value = TRY(value_of(other.variable));
    if (value && *value == other.value)
      draft.kind = std::move(other.kind);
  }
  if (!problems.empty())
    return problems.error();
  return std::move(draft.kind);
}

bool is_kind_name(std::string_view text) {
  return !text.empty() && text.size() <= 32 && text[0] >= 'a' && text[0] <= 'z' &&
      text.back() != '-' && std::ranges::all_of(text, [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
      });
}

bool is_administrators_kind(std::string_view name) {
  return name.starts_with("x-");
}

} // namespace chillbox::config
