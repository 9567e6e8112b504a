#include "cli/core/arguments.hpp"

#include "base/names.hpp"
#include "base/text.hpp"
#include "cli/core/command_tree.hpp"
#include "cli/core/help.hpp"
#include "cli/laptop/target.hpp"

#include <algorithm>
#include <optional>

namespace chillbox::cli {
namespace {

constexpr std::string_view k_hint = "chillboxctl help lists the commands";

class Parser {
public:
  Parser(const Environment& env, std::string& hint) : m_env(env), m_hint(hint) {}
  Result<CommandLine> parse(const std::vector<std::string>& words);

private:
  std::unexpected<Error> usage(std::string message, std::string hint = std::string(k_hint)) {
    m_hint = std::move(hint);
    return fail(Code::usage, std::move(message));
  }
  std::unexpected<Error> unexpected_word(const std::string& word, const std::string& hint);
  std::unexpected<Error> unknown_verb(
      const std::string& name, const std::vector<std::string>& rest);
  Result<CommandLine> help_for(std::vector<std::string> words);
  Result<void> take_hosts(CommandLine& line, const Slots& common);
  std::vector<std::string> without_synonym(
      const CommandTree& tree, const std::vector<std::string>& words) const;
  Result<CommandLine> parse_with_words(const Verb& verb, const std::vector<std::string>& words);

  const Environment& m_env;
  std::string& m_hint;
  bool m_reading_words = false;
};

// Names the option without its value, which may be a passphrase (faults 76).
std::unexpected<Error> Parser::unexpected_word(const std::string& word, const std::string& hint) {
  if (!word.starts_with('-'))
    return usage(cat("'", printable(word, 80), "' is one argument too many"), hint);
  const std::string name = word.substr(0, word.find('='));
  if (name.find("pass") != std::string::npos)
    return usage(cat("there is no option ", printable(name, 40),
                     ": a passphrase is never an argument, where everyone could see it"),
        "type the passphrase when asked, or use --passphrase-fd N");
  return usage(cat("there is no option ", printable(name, 40)), hint);
}

std::unexpected<Error> Parser::unknown_verb(
    const std::string& name, const std::vector<std::string>& rest) {
  std::vector<std::string> names, below;
  for (const Verb& verb : verbs()) {
    names.emplace_back(verb.name);
    if (verb.name.starts_with(name + " "))
      below.emplace_back(verb.name.substr(name.size() + 1));
  }
  if (!below.empty())
    return usage(cat(name, rest.empty() ? " needs one of: " : " has only: ", join(below, ", ")),
        cat("chillboxctl help ", name));
  if (name.starts_with('-'))
    return unexpected_word(name, std::string(k_hint));
  const auto synonym = std::ranges::find(synonyms(), name, &Synonym::word);
  const auto near = synonym != synonyms().end() && find_verb(synonym->verb) != nullptr
      ? std::optional(std::string(synonym->verb))
      : nearest(name, names);
  return usage(cat("there is no command '", printable(name, 40), "'"),
      near ? cat("did you mean ", *near, "?") : std::string(k_hint));
}

// words: those after `help`, or the name of the verb that has --help.
Result<CommandLine> Parser::help_for(std::vector<std::string> words) {
  CommandLine line;
  if (words.empty() || (words.size() == 1 && words[0] == "all")) {
    line.text = words.empty() ? help_text() : help_all_text();
    return line;
  }
  if (const auto topic = std::ranges::find(help_topics(), words[0], &Topic::name);
      topic != help_topics().end() && words.size() == 1) {
    line.text = topic->text();
    return line;
  }
  std::ranges::replace(words[0], ':', ' ');
  const Verb* verb = words.size() > 1 ? find_verb(cat(words[0], " ", words[1])) : nullptr;
  if (verb == nullptr)
    verb = find_verb(words[0]);
  line.text = verb != nullptr ? help_of(*verb) : words.size() == 1 ? help_of_family(words[0]) : "";
  if (line.text.empty())
    return unknown_verb(words[0], {words.begin() + 1, words.end()});
  return line;
}

bool has_own_host(const Verb& verb) {
  return std::ranges::any_of(
      verb.options, [](const Option& option) { return key_of(option) == "host"; });
}

// Reads on which machines the verb runs: -H, CHILLBOX_HOST or --hosts, with --limit.
Result<void> Parser::take_hosts(CommandLine& line, const Slots& common) {
  line.hosts = common.values.at("host");
  line.limit = common.values.at("limit");
  if (const auto& inventory = common.values.at("hosts"); !inventory.empty())
    line.inventory = inventory.front();
  if (has_own_host(*line.verb)) { // it may have been said before the verb
    for (const std::string& host : std::exchange(line.hosts, {}))
      line.args.add("host", host);
  }
  if (line.verb->where != Where::host || line.args.has(line.verb->here_with)) {
    if (!line.hosts.empty() || !line.inventory.empty() || !line.limit.empty())
      return usage(cat(line.verb->name, " runs on this machine: it does not take ",
          line.hosts.empty() ? "--hosts and --limit" : "-H"));
    return {};
  }
  if (const std::string host = m_env("CHILLBOX_HOST");
      line.hosts.empty() && line.inventory.empty() && !host.empty())
    for (const auto name : split(host, ','))
      line.hosts.emplace_back(trim(name));
  for (const std::string& host : line.hosts)
    if (const auto fine = target_named(Places::find(m_env), host); !fine)
      return usage(fine.error().message);
  if (!line.hosts.empty() && !line.inventory.empty())
    return usage("-H and --hosts exclude each other: give one of them");
  if (!line.limit.empty() && line.hosts.empty() && line.inventory.empty())
    return usage("--limit selects from the hosts of --hosts or -H: give one of them");
  return {};
}

// A word of another tool, in the place of a verb, is read as the verb.
std::vector<std::string> Parser::without_synonym(
    const CommandTree& tree, const std::vector<std::string>& words) const {
  const auto extra = tree.left_over();
  if (tree.verb() != nullptr || !tree.name().empty() || extra.empty())
    return {};
  const auto synonym = std::ranges::find(synonyms(), extra.front(), &Synonym::word);
  if (synonym == synonyms().end() || !synonym->accepted)
    return {};
  auto said = words;
  *std::ranges::find(said, extra.front()) = synonym->verb;
  return said;
}

const Option* words_option(const Verb& verb) {
  const auto found = std::ranges::find(verb.options, ArgKind::words, &Option::kind);
  return found == verb.options.end() ? nullptr : &*found;
}

// What comes after "--" is the command's, whatever it looks like.
Result<CommandLine> Parser::parse_with_words(
    const Verb& verb, const std::vector<std::string>& words) {
  const auto end = std::ranges::find(words, "--");
  auto line = TRY(parse({words.begin(), end}));
  if (line.verb != &verb)
    return line;
  if (end == words.end() || end + 1 == words.end())
    return usage(cat(verb.name, " needs a command after --"), cat("chillboxctl help ", verb.name));
  for (auto word = end + 1; word != words.end(); ++word)
    line.args.add(key_of(*words_option(verb)), *word);
  return line;
}

Result<CommandLine> Parser::parse(const std::vector<std::string>& words) {
  CommandTree tree(words);
  const std::string problem = tree.read(words);
  if (const auto said = without_synonym(tree, words); !said.empty())
    return parse(said);
  CommandLine line;
  line.verb = tree.verb();
  if (line.verb != nullptr && words_option(*line.verb) != nullptr && !m_reading_words &&
      !tree.has("--help")) {
    m_reading_words = true;
    return parse_with_words(*line.verb, words);
  }
  const auto said_alone = [&](std::string_view word) {
    return words.size() == 1 && words[0] == word;
  };
  if (tree.has("--version") || said_alone("version") || said_alone("-v")) {
    line.verb = nullptr;
    line.text = "chillboxctl " CHILLBOX_VERSION "\n";
    return line;
  }
  const auto extra = tree.left_over();
  if (tree.name() == "help")
    return help_for(extra);
  if (tree.has("--help") && (line.verb != nullptr || extra.empty()))
    return help_for(line.verb == nullptr && tree.name().empty() ? std::vector<std::string>()
                                                                : std::vector{tree.name()});
  if (line.verb == nullptr && tree.name().empty() && extra.empty() && problem.empty()) {
    line.text = help_text();
    line.exit = exit_code(Code::usage);
    return line;
  }
  if (line.verb == nullptr && tree.name().empty())
    return extra.empty() ? usage(problem)
                         : unknown_verb(extra.front(), {extra.begin() + 1, extra.end()});
  if (line.verb == nullptr)
    return unknown_verb(tree.name(), extra);
  // In `relase blog status` the misspelt command comes before the one that was found.
  const auto word = std::ranges::find_if(words, [](const auto& w) { return !w.starts_with('-'); });
  if (!extra.empty() && word != words.end() && *word == extra.front() &&
      !tree.name().starts_with(*word))
    return unknown_verb(*word, {});
  const std::string hint = cat("chillboxctl help ", line.verb->name);
  // A misspelt option can make required ones missing, so it is reported first.
  const auto misspelt = [](const std::string& text) { return text.starts_with('-'); };
  if (!extra.empty() && (problem.empty() || std::ranges::any_of(extra, misspelt)))
    return unexpected_word(extra.front(), hint);
  if (!problem.empty())
    return usage(problem, hint);
  for (const auto& [key, values] : tree.own().values)
    for (const std::string& value : values)
      line.args.add(key, value);
  for (const auto& [key, set] : tree.own().flags)
    if (set)
      line.args.add(key, "");
  const auto& flags = tree.common().flags;
  line.terminal = {flags.at("json"), flags.at("quiet"), flags.at("no-color"), flags.at("verbose")};
  TRY(take_hosts(line, tree.common()));
  return line;
}

} // namespace

Result<CommandLine> parse_command_line(
    const std::vector<std::string>& words, const Environment& env, std::string& hint) {
  return Parser(env, hint).parse(words);
}

std::vector<std::string> words_of(const CommandLine& line) {
  std::vector<std::string> words;
  for (const auto word : split(line.verb->name, ' '))
    words.emplace_back(word);
  std::vector<std::string> positions;
  const bool runs_words = words_option(*line.verb) != nullptr; // "--" comes before those
  for (const Option& option : line.verb->options) {
    const std::string key(key_of(option));
    if (is_position(option) && runs_words && option.kind != ArgKind::words) {
      words.push_back(line.args.text(key));
    } else if (is_position(option)) {
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
  if (line.terminal.verbose)
    words.emplace_back("--verbose");
  if (!positions.empty())
    words.emplace_back("--");
  words.insert(words.end(), positions.begin(), positions.end());
  return words;
}

} // namespace chillbox::cli
