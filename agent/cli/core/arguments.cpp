#include "cli/core/arguments.hpp"

#include "base/text.hpp"
#include "cli/fleet/inventory.hpp"

#include <CLI/CLI.hpp>

#include <algorithm>
#include <optional>

namespace chillbox::cli {
namespace {

using Parsed = std::expected<CommandLine, UsageError>;

constexpr std::string_view k_hint = "chillboxctl help lists the commands";

std::unexpected<UsageError> usage(std::string message, std::string hint = std::string(k_hint)) {
  return std::unexpected(UsageError{std::move(message), std::move(hint)});
}

void parse_words(CLI::App& app, const std::vector<std::string>& words) {
  std::vector<const char*> argv{"chillboxctl"};
  for (const std::string& word : words)
    argv.push_back(word.c_str());
  app.parse(static_cast<int>(argv.size()), argv.data());
}

std::string one_line(std::string text) {
  auto upper = [&](size_t i) { return i < text.size() && text[i] >= 'A' && text[i] <= 'Z'; };
  if (upper(0) && !upper(1)) // "SITE is required" stays
    text[0] = static_cast<char>(text[0] - 'A' + 'a');
  return printable(trim(text), 300);
}

// Only the name of what was not expected: its value may be a passphrase that somebody tried to pass
// (faults 76).
std::unexpected<UsageError> unexpected_word(
    const std::vector<std::string>& extra, const std::string& verb_hint) {
  const std::string word = extra.empty() ? "" : extra.front();
  if (!word.starts_with('-'))
    return usage(cat("'", printable(word, 80), "' is one argument too many"), verb_hint);
  const std::string name = word.substr(0, word.find('='));
  if (name.find("pass") != std::string::npos)
    return usage(cat("there is no option ", printable(name, 40),
                     ": a passphrase is never an argument, everybody could see it"),
        "type it when asked, or use --passphrase-fd N");
  return usage(cat("there is no option ", printable(name, 40)), verb_hint);
}

std::vector<std::string> extra_words(const CLI::App& app) {
  std::vector<std::string> extra = app.remaining();
  std::erase(extra, "--"); // which CLI11 hands back too
  return extra;
}

// What a verb's arguments are read into, by their key.
struct Slots {
  std::map<std::string, std::vector<std::string>> values;
  std::map<std::string, bool> flags;
};

void add_option(
    CLI::App& app, const Option& option, Slots& slots, const std::string& group = "Options") {
  const std::string key(key_of(option));
  const std::string names = is_position(option) ? key : std::string(option.names);
  if (option.kind == ArgKind::flag) {
    app.add_flag(names, slots.flags[key], std::string(option.help))->group(group);
    return;
  }
  CLI::Option* added =
      app.add_option(names, slots.values[key], std::string(option.help))->group(group);
  if (is_position(option))
    added->type_name(option.kind == ArgKind::choice ? std::string(option.value) : "");
  else
    added->option_text(cat(option.value, option.required ? " REQUIRED" : ""));
  added->required(option.required || (is_position(option) && !option.names.starts_with('[')));
  if (option.kind == ArgKind::list)
    added->delimiter(',')->allow_extra_args(is_position(option));
  else
    added->expected(1)->allow_extra_args(false);
  added->check(CLI::Validator(
      [&option](std::string& text) {
        const auto fine = check(option, text);
        return fine ? std::string() : fine.error().message;
      },
      "", ""));
}

// remote: are the options of host verbs shown. They are always read, so that a verb can say that
// they are not for it.
void add_common(CLI::App& app, Slots& slots, bool remote,
    const std::map<std::string, std::vector<std::string>>& own = {}) {
  app.set_help_flag();
  for (const Option& option : common_options())
    if (key_of(option) == "help")
      app.set_help_flag(std::string(option.names), std::string(option.help));
    else
      add_option(app, option, slots);
  for (const Option& option : remote_options())
    if (!own.contains(std::string(key_of(option))))
      add_option(app, option, slots, remote ? "Options" : ""); // "" hides it
}

// The verb that the words begin with: two words before one; "trust:add" is "trust add".
std::string take_verb(std::vector<std::string>& words) {
  if (const auto colon = words[0].find(':'); colon != std::string::npos)
    words[0][colon] = ' ';
  if (words.size() > 1)
    if (const std::string two = words[0] + " " + words[1]; find_verb(two)) {
      words.erase(words.begin(), words.begin() + 2);
      return two;
    }
  std::string one = words[0];
  words.erase(words.begin());
  return one;
}

std::unexpected<UsageError> unknown_verb(
    const std::string& name, const std::vector<std::string>& rest) {
  std::vector<std::string> names, below;
  for (const Verb& verb : verbs()) {
    names.emplace_back(verb.name);
    if (verb.name.starts_with(name + " "))
      below.emplace_back(verb.name.substr(name.size() + 1));
  }
  if (!below.empty())
    return usage(cat(name, rest.empty() ? " needs" : " knows only", ": ", join(below, ", ")),
        cat("chillboxctl help ", name));
  if (name.starts_with('-'))
    return unexpected_word({name}, std::string(k_hint));
  const auto near = nearest(name, names);
  return usage(cat("there is no command '", printable(name, 40), "'"),
      near ? cat("did you mean ", *near, "?") : std::string(k_hint));
}

void take_common(CommandLine& line, const Slots& before, const Slots& behind) {
  auto set = [&](const char* key) { return before.flags.at(key) || behind.flags.at(key); };
  line.terminal = {set("json"), set("quiet"), set("no-color")};
  auto last = [&](const std::string& key) { // behind the verb before the one in front of it; a verb
                                            // may have one of its own
    const auto there = behind.values.find(key);
    return there == behind.values.end() || there->second.empty() ? before.values.at(key)
                                                                 : there->second;
  };
  line.hosts = last("host");
  line.limit = last("limit");
  if (const auto inventory = last("hosts"); !inventory.empty())
    line.inventory = inventory.front();
}

Parsed finish(CommandLine line, const Environment& env) {
  if (line.verb->where != Where::host) {
    if (!line.hosts.empty() || !line.inventory.empty() || !line.limit.empty())
      return usage(cat(line.verb->name,
          " runs here: ", line.hosts.empty() ? "--hosts and --limit are" : "-H is", " not for it"));
    return line;
  }
  if (const std::string host = env("CHILLBOX_HOST");
      line.hosts.empty() && line.inventory.empty() && !host.empty())
    for (const auto name : split(host, ','))
      line.hosts.emplace_back(trim(name));
  for (const std::string& host : line.hosts)
    if (const auto fine = host_from(host); !fine)
      return usage(fine.error().message);
  if (!line.hosts.empty() && !line.inventory.empty())
    return usage("-H and --hosts both say where: give one of them");
  if (!line.limit.empty() && line.hosts.empty() && line.inventory.empty())
    return usage("--limit chooses among the hosts of --hosts or -H: give one of them");
  return line;
}

Parsed parse_verb(const Verb& verb, const std::vector<std::string>& words, const Slots& before,
    const Environment& env) {
  const std::string hint = cat("chillboxctl help ", verb.name);
  CLI::App app(std::string(verb.help), cat("chillboxctl ", verb.name));
  CommandLine line;
  line.verb = &verb;
  Slots slots, common;
  for (const Option& option : verb.options)
    add_option(app, option, slots);
  add_common(app, common, verb.where == Where::host, slots.values);
  app.allow_extras();
  try {
    parse_words(app, words);
  } catch (const CLI::CallForHelp&) {
    line.verb = nullptr;
    line.text = app.help();
    return line;
  } catch (const CLI::ParseError& e) {
    // A misspelt option makes others missing: it is what is wrong.
    const auto extra = extra_words(app);
    if (std::ranges::any_of(extra, [](const std::string& word) { return word.starts_with('-'); }))
      return unexpected_word(extra, hint);
    return usage(one_line(e.what()), hint);
  }
  if (const auto extra = extra_words(app); !extra.empty())
    return unexpected_word(extra, hint);
  for (const auto& [key, values] : slots.values)
    for (const std::string& value : values)
      line.args.add(key, value);
  for (const auto& [key, set] : slots.flags)
    if (set)
      line.args.add(key, "");
  take_common(line, before, common);
  return finish(std::move(line), env);
}

// "  trust add KEY          trust the signatures of a deployer"
std::string line_of(const Verb& verb) {
  std::string line = cat("  ", verb.name);
  for (const Option& option : verb.options)
    if (is_position(option))
      line += cat(" ", option.names);
  line.append(line.size() < 34 ? 34 - line.size() : 1, ' ');
  return cat(line, verb.help, "\n");
}

// The verbs that begin with a word that is none by itself: `help trust`. "" when there are none.
std::string help_of_family(const std::string& name) {
  std::string out;
  for (const Verb& verb : verbs())
    if (verb.name.starts_with(name + " "))
      out += line_of(verb);
  return out.empty() ? "" : cat("usage: chillboxctl ", name, " COMMAND [ARGUMENTS]\n\n", out);
}

Parsed help_for(std::vector<std::string> words) {
  CommandLine line;
  if (words.empty()) {
    line.text = help_text();
    return line;
  }
  const std::string name = take_verb(words);
  const Verb* verb = find_verb(name);
  if (!verb && words.empty())
    line.text = help_of_family(name);
  if (!line.text.empty())
    return line;
  if (!verb)
    return unknown_verb(name, words);
  return parse_verb(*verb, {"--help"}, {}, [](const char*) { return std::string(); });
}

} // namespace

Parsed parse_command_line(const std::vector<std::string>& words, const Environment& env) {
  CLI::App app("chillboxctl", "chillboxctl");
  Slots common;
  bool help = false, version = false;
  add_common(app, common, true);
  app.set_help_flag(); // it may be for a verb
  app.add_flag("-h,--help", help);
  app.add_flag("--version", version);
  app.prefix_command();
  try {
    parse_words(app, words);
  } catch (const CLI::ParseError& e) {
    return usage(one_line(e.what()));
  }
  CommandLine line;
  if (version) {
    line.text = cat("chillboxctl ", CHILLBOX_VERSION, "\n");
    return line;
  }
  std::vector<std::string> rest = app.remaining();
  if (help && rest.empty())
    return help_for({});
  if (rest.empty())
    return usage("no command was given");
  if (rest[0] == "help")
    return help_for({rest.begin() + 1, rest.end()});
  if (help)
    return help_for(rest);
  const std::string name = take_verb(rest);
  const Verb* verb = find_verb(name);
  if (!verb && rest.size() == 1 && (rest[0] == "--help" || rest[0] == "-h"))
    return help_for({name});
  return verb ? parse_verb(*verb, rest, common, env) : unknown_verb(name, rest);
}

std::string help_text() {
  std::string out =
      "usage: chillboxctl COMMAND [ARGUMENTS], `chillboxctl help COMMAND` for one of them\n";
  std::optional<Group> group;
  for (const Verb& verb : verbs()) {
    if (verb.group != group)
      out += cat("\n", heading(verb.group), "\n");
    group = verb.group;
    out += line_of(verb);
  }
  out +=
      "\nFor all: --json, -q/--quiet, --no-color, -h/--help, --version; for those on the host also -H/--host USER@HOST[,..]\n"
      "The manual: chillboxctl(1), with the exit codes\n";
  return out;
}

std::vector<std::string> words_of(const CommandLine& line) {
  std::vector<std::string> words;
  for (const auto word : split(line.verb->name, ' '))
    words.emplace_back(word);
  std::vector<std::string> positions;
  for (const Option& option : line.verb->options) {
    const std::string key(key_of(option));
    if (is_position(option)) {
      for (const std::string& value : line.args.list(key))
        positions.push_back(value);
    } else if (option.kind == ArgKind::flag) {
      if (line.args.has(key))
        words.push_back(cat("--", key));
    } else {
      for (const std::string& value : line.args.list(key))
        words.push_back(cat("--", key, "=", value));
    }
  }
  if (line.terminal.json)
    words.emplace_back("--json");
  if (line.terminal.quiet)
    words.emplace_back("--quiet");
  if (line.terminal.no_color)
    words.emplace_back("--no-color");
  if (!positions.empty())
    words.emplace_back("--");
  words.insert(words.end(), positions.begin(), positions.end());
  return words;
}

} // namespace chillbox::cli
