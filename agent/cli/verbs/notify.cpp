// notify add, list, test, remove, retry: the targets that notices are sent to. add and remove
// change /etc/chillbox/notify/NAME.toml, as root. Each hook lists what its kind needs: `HOOK
// settings` prints "NAME secret|plain required|optional TEXT", one a line. A secret is read from
// the terminal without echo, or from standard input, and is in no argument.
#include "cli/core/answer_table.hpp"
#include "cli/core/answers.hpp"
#include "cli/core/duration.hpp"
#include "cli/core/host_setup.hpp"
#include "cli/core/options.hpp"
#include "cli/core/prompt.hpp"

#include "base/text.hpp"
#include "control/notices.hpp"
#include "crypto/webhook.hpp"
#include "notices/deliver.hpp"
#include "notices/target.hpp"
#include "os/clock.hpp"
#include "os/io.hpp"
#include "os/runner.hpp"
#include "os/socket.hpp"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <map>

namespace chillbox::cli {
namespace {

constexpr Option k_target_name{"NAME", ArgKind::text, "", "the name of the target"};
constexpr std::array k_notify_add_options{
    k_target_name,
    Option{"KIND", ArgKind::text, "",
        "how: webhook, mail, ntfy, slack, discord, matrix, or a hook of your own"},
    Option{"--set", ArgKind::list, "NAME=VALUE[,..]",
        "a setting of the kind that is no secret; may be repeated"},
    Option{"--events", ArgKind::list, "EVENT[,..]", "only these: service.crashed, deploy.*"},
    Option{"--sites", ArgKind::list, "SITE[,..]", "only of these sites"},
    Option{"--severity", ArgKind::choice, "info|warning|error",
        "only of this severity and above (default: info)"},
};
constexpr std::array k_one_target{k_target_name};
constexpr std::array k_notify_post_options{
    Option{"TEXT", ArgKind::text, "", "the text, at most 2 KB"}};
constexpr std::array k_notify_retry_options{
    Option{"[NAME]", ArgKind::text, "", "the name of the target (default: all)"}};

struct Setting {
  std::string name, help;
  bool secret = false, required = false;
};

// The hook is root's own, and is run as the one who asks, which is root.
Result<std::vector<Setting>> settings_of(const os::Paths& paths, const std::string& kind) {
  os::Command command;
  const std::string hook = TRY(notices::find_notify_hook(os::real_disk(), paths, kind));
  command.argv = {hook, "settings"};
  command.timeout = os::Millis{10'000};
  const auto exit = TRY(os::real_runner().run(command));
  if (!exit.ok())
    return fail(Code::failure, cat("hook ", kind, ": ", printable(trim(exit.err))));
  std::vector<Setting> all;
  for (const auto line : split(exit.out, '\n')) {
    const auto words = split(line, ' ');
    if (words.size() < 3 || !notices::is_setting_name(words[0]))
      continue;
    Setting setting{.name = std::string(words[0]),
        .help = {},
        .secret = words[1] == "secret",
        .required = words[2] == "required"};
    for (size_t i = 3; i < words.size(); ++i)
      setting.help += cat(setting.help.empty() ? "" : " ", words[i]);
    all.push_back(std::move(setting));
  }
  return all;
}

using Values = std::map<std::string, std::string>;

Result<void> put(Values& values, std::string_view pair, std::string_view from) {
  const auto at = pair.find('=');
  const std::string name(trim(pair.substr(0, at)));
  if (at == std::string_view::npos || !notices::is_setting_name(name))
    return fail(Code::usage, cat(from, ": must be NAME=VALUE, one a line"));
  values[name] = std::string(trim(pair.substr(at + 1)));
  return {};
}

// Lines NAME=VALUE, unless a person sits there.
Result<Values> values_on_input() {
  constexpr size_t k_most = 64 * 1024;
  Values values;
  if (::isatty(STDIN_FILENO) == 1)
    return values;
  const std::string text = TRY(os::read_all(STDIN_FILENO, k_most, "read the settings"));
  for (const auto line : split(text, '\n'))
    if (!trim(line).empty())
      TRY(put(values, line, "standard input"));
  return values;
}

Result<std::string> ask_for(const Setting& setting) {
  const std::string more = setting.help.empty() ? "" : cat(" (", setting.help, ")");
  if (setting.secret) {
    const auto secret = TRY(ask_secret(setting.name, more));
    return std::string(secret.text());
  }
  return ask_line(cat(setting.name, more), setting.name, cat("--set ", setting.name, "=VALUE"));
}

Result<Values> settings_from(Call& call, const std::vector<Setting>& known) {
  Values values = TRY(values_on_input());
  for (const auto& pair : call.args.list("set")) {
    TRY(put(values, pair, "--set"));
    const std::string name(trim(std::string_view(pair).substr(0, pair.find('='))));
    if (std::ranges::any_of(known, [&](const auto& one) { return one.name == name && one.secret; }))
      return fail(Code::usage,
          cat("--set: ", name,
              " is a secret, which everybody could read in the list of processes: "
              "it is asked for, or read as ",
              name, "=VALUE from standard input"));
  }
  for (const auto& [name, value] : values)
    if (std::ranges::find(known, name, &Setting::name) == known.end())
      return fail(Code::usage, cat("this kind has no setting '", printable(name, 40), "'"));
  for (const auto& setting : known)
    if (setting.required && !values.contains(setting.name))
      values[setting.name] = TRY(ask_for(setting));
  return values;
}

Result<void> run_notify_add(Call& call) {
  TRY(require_root(call.paths, "notify add"));
  notices::Target target;
  target.name = TRY(parse_key_name(call.args.text("NAME")));
  target.kind = call.args.text("KIND");
  target.events = call.args.list("events");
  target.sites = TRY(sites_of(call.args));
  target.severity = call.args.text("severity", "info");
  const std::string path = notices::target_path(call.paths, target.name);
  if (os::real_disk().exists(path))
    return fail(Code::conflict,
        cat("target '", target.name, "' already exists: chillboxctl notify remove ", target.name,
            " first, or edit ", path));
  const auto known = TRY(settings_of(call.paths, target.kind));
  target.settings = TRY(settings_from(call, known));
  const bool makes_key = target.kind == "webhook" && !target.settings.contains("key");
  if (makes_key)
    target.settings["key"] = crypto::new_webhook_key();
  const std::string text = notices::target_text(target);
  if (const auto read = notices::parse_target(text, target.name); !read)
    return fail(Code::usage, read.error().message);
  os::Disk& disk = os::real_disk();
  TRY(disk.make_dir(notices::targets_dir(call.paths), 0700, os::root_owner(call.paths)));
  TRY(disk.write(path, text, 0600, os::root_owner(call.paths)));
  const std::string key = makes_key ? target.settings["key"] : std::string();
  if (call.terminal.json())
    call.terminal.print(answer_text("notify-add",
        Changed{.name = target.name,
            .changed = true,
            .format = target.kind,
            .key = makes_key ? std::optional(key) : std::nullopt}));
  else if (makes_key)
    call.terminal.print(key);
  if (makes_key)
    call.terminal.print_status(cat("webhook ", target.name,
        ": this is the key of its signatures, shown only now: give it to the receiver"));
  call.terminal.print_status(
      cat("added: ", target.name, "; try it: chillboxctl notify test ", target.name));
  return ask_reload(call.paths);
}

Result<void> run_notify_list(Call& call) {
  return show_table<control::NotifyTargets>(call, {.verb = "notify_list"},
      {{"NAME", "KIND", "STATE", "WAITING", "LAST", "NEXT TRY", "ERROR"}, {}},
      "nobody gets notices: chillboxctl notify add NAME KIND",
      [now = os::real_clock().wall_ms()](const control::NotifyTargets& all, Table& table) {
        for (const auto& t : all.targets)
          table.rows.push_back({t.name, t.kind, t.state, std::to_string(t.waiting),
              t.sent_ms == 0 ? "never" : format_when(t.sent_ms, now),
              t.next_ms == 0 ? "" : format_when(t.next_ms, now), printable(t.error, 200)});
      });
}

Result<void> run_test(Call& call) {
  constexpr std::chrono::milliseconds k_longest{60'000};
  const Question question{
      .verb = "notify_test", .args = {.name = call.args.text("NAME")}, .timeout = k_longest};
  const std::string text = TRY(ask(call.paths, question, &call.error_data));
  const auto tested = TRY(control::read_answer<control::NotifyTested>(text));
  if (call.terminal.json()) {
    call.terminal.print(text);
    call.exit = tested.sent ? 0 : exit_code(Code::failure);
    return {};
  }
  if (!tested.sent)
    return fail(Code::failure, cat(tested.name, ": ", printable(tested.error, 300)));
  call.terminal.print(cat("sent: ", tested.name, " has taken a test"));
  return {};
}

Result<void> run_notify_remove(Call& call) {
  TRY(require_root(call.paths, "notify remove"));
  const std::string name = TRY(parse_key_name(call.args.text("NAME")));
  const std::string path = notices::target_path(call.paths, name);
  if (!os::real_disk().exists(path)) {
    const auto known = names_in(notices::targets_dir(call.paths), ".toml");
    return no_such("target", name, known.value_or(std::vector<std::string>{}));
  }
  TRY(os::real_disk().remove(path));
  print_change(call, "notify-remove", name, true,
      cat("removed: ", name, " gets nothing any more; what waited for it is dropped"));
  return ask_reload(call.paths);
}

Result<void> run_retry(Call& call) {
  const auto answer = TRY(ask_or_print<control::NotifyRetried>(
      call, {.verb = "notify_retry", .args = {.name = call.args.text("NAME")}}));
  if (answer)
    call.terminal.print(
        cat("sent again: ", answer->messages, answer->messages == 1 ? " message" : " messages"));
  return {};
}

// As a site's user; who that is, the daemon sees.
Result<void> run_post(Call& call) {
  constexpr os::Millis k_wait{10'000};
  const std::string path = call.paths.run() + "/notices.sock";
  const Fd fd = TRY(os::connect_unix(path, k_wait));
  TRY(os::write_all(fd.get(), bytes_of(call.args.text("TEXT")), os::Deadline(k_wait)));
  std::array<uint8_t, 512> answer;
  const size_t size = TRY(os::read_up_to(fd.get(), answer, os::Deadline(k_wait)));
  const auto text = trim(text_of(ByteView(answer).first(size)));
  if (text == "ok") {
    call.terminal.print_status("posted");
    return {};
  }
  const auto colon = text.find(": ");
  if (colon == std::string_view::npos)
    return fail(Code::unreachable, "chillboxd closed the connection without an answer");
  return fail(code_from_name(text.substr(0, colon)), printable(text.substr(colon + 2), 500));
}

} // namespace

extern constinit const Verb k_notify_post{"notify post", Group::act, Where::host,
    "post a notice, as the user of a site that may", k_notify_post_options, run_post};
extern constinit const Verb k_notify_add{"notify add", Group::setup, Where::host,
    "send notices to somebody: by mail, a chat or a webhook", k_notify_add_options, run_notify_add};
extern constinit const Verb k_notify_list{"notify list", Group::show, Where::host,
    "show who gets notices, and whether it works", {}, run_notify_list};
extern constinit const Verb k_notify_test{
    "notify test", Group::act, Where::host, "send a test to a target", k_one_target, run_test};
extern constinit const Verb k_notify_remove{"notify remove", Group::setup, Where::host,
    "send a target nothing any more", k_one_target, run_notify_remove};
extern constinit const Verb k_notify_retry{"notify retry", Group::act, Where::host,
    "use a disabled target again, and send what was given up", k_notify_retry_options, run_retry};

} // namespace chillbox::cli
