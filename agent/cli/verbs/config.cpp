// config get, config set: config.toml, which holds for all projects of this laptop. set changes the
// line of one key, and keeps the rest of the file as it is, comments too.
#include "cli/core/answers.hpp"
#include "cli/core/host_setup.hpp"
#include "cli/core/terminal.hpp"
#include "cli/laptop/places.hpp"

#include "base/text.hpp"

#include <array>

namespace chillbox::cli {
namespace {

constexpr std::string_view k_config_keys = "host|agent_idle|editor";
constexpr std::array k_config_get_options{
    Option{"[KEY]", ArgKind::choice, k_config_keys, "one of them, without its name"}};
constexpr std::array k_config_set_options{
    Option{"KEY", ArgKind::choice, k_config_keys,
        "the host without -H; how long the agent keeps your key; the editor of secrets edit"},
    Option{"[VALUE]", ArgKind::text, "", "its value; without one, as if it had never been set"}};

constexpr size_t k_max_config = 64 * 1024;

std::string value_of(const UserConfig& config, std::string_view key) {
  return key == "host"  ? config.host
      : key == "editor" ? config.editor
                        : cat(config.agent_idle.count(), "m");
}

Result<void> run_config_get(Call& call) {
  const UserConfig config = TRY(load_user_config(Places::find()));
  if (call.terminal.json()) {
    call.terminal.print(answer_text("config",
        LaptopConfig{.host = config.host,
            .editor = config.editor,
            .agent_idle_s =
                static_cast<uint64_t>(std::chrono::seconds(config.agent_idle).count())}));
    return {};
  }
  if (call.args.has("KEY")) {
    call.terminal.print(printable(value_of(config, call.args.text("KEY")), 1000));
    return {};
  }
  for (const auto key : split(k_config_keys, '|'))
    call.terminal.print(cat(key, " = ", toml_text(value_of(config, key))));
  return {};
}

bool is_line_of(std::string_view line, std::string_view key) {
  line = trim(line);
  return line.starts_with(key) && trim(line.substr(key.size())).starts_with('=');
}

std::string changed_text(std::string_view text, std::string_view key, std::string_view value) {
  std::vector<std::string> lines;
  for (const auto line : split(text, '\n'))
    if (!is_line_of(line, key))
      lines.emplace_back(line);
  if (!lines.empty() && lines.back().empty())
    lines.pop_back();
  if (!value.empty())
    lines.push_back(cat(key, " = ", toml_text(value)));
  return lines.empty() ? "" : join(lines, "\n") + "\n";
}

// What is written can be read: a value that cannot be is refused, and nothing is changed.
Result<void> run_config_set(Call& call) {
  const Places places = Places::find();
  const std::string key = call.args.text("KEY"), value = call.args.text("VALUE");
  const os::LockFile lock = TRY(lock_own(places, "config"));
  (void)TRY(load_user_config(places)); // a file with a mistake is not made worse
  const auto read = read_own_file(places.config_file(), k_max_config);
  if (!read && read.error().code != Code::not_found)
    return std::unexpected(read.error());
  const std::string before = read ? *read : "", after = changed_text(before, key, value);
  if (key == "agent_idle" && parse_u64(value))
    return fail(Code::invalid,
        cat("agent_idle: '", printable(value, 40), "' has no unit: write ", printable(value, 40),
            "m for minutes, or s or h"));
  TRY_IN(key, parse_user_config(after, places.config_file()));
  if (after != before)
    TRY(write_own_file(places.config_file(), after, k_max_config));
  print_change(call, "config-set", key, after != before,
      cat(after == before ? "unchanged: " : "", key,
          value.empty() ? " is not set" : cat(" is ", printable(value, 500))));
  return {};
}

} // namespace

extern constinit const Verb k_config_get{"config get", Group::laptop, Where::laptop,
    "show what holds for all projects of this laptop", k_config_get_options, run_config_get};
extern constinit const Verb k_config_set{"config set", Group::laptop, Where::laptop,
    "change what holds for all projects of this laptop", k_config_set_options, run_config_set};

} // namespace chillbox::cli
