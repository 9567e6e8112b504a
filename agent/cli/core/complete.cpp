#include "cli/core/complete.hpp"

#include "base/text.hpp"

#include <algorithm>
#include <set>

namespace chillbox::cli {
namespace {

// What was typed so far, without the word at the cursor.
struct Typed {
  std::string name; // the verb or its beginning: "trust", "trust add"
  const Verb* verb = nullptr;
  std::vector<std::string> positions;
  std::vector<std::string> hosts;
  const Option* pending = nullptr; // an option whose value comes next
  bool only_positions = false;     // after "--"
};

bool has_name(const Option& option, std::string_view name) {
  return std::ranges::any_of(
      split(option.names, ','), [&](std::string_view n) { return n == name; });
}

std::vector<const Option*> options_for(const Verb* verb) {
  std::vector<const Option*> all;
  if (verb != nullptr)
    for (const Option& option : verb->options)
      if (!is_position(option))
        all.push_back(&option);
  for (const Option& option : common_options())
    all.push_back(&option);
  if (verb == nullptr || verb->where == Where::host)
    for (const Option& option : remote_options())
      all.push_back(&option);
  return all;
}

const Option* find_option(const Verb* verb, std::string_view name) {
  for (const Option* option : options_for(verb))
    if (has_name(*option, name))
      return option;
  return nullptr;
}

void keep_value(Typed& typed, const Option& option, std::string_view value) {
  if (has_name(option, "--host"))
    for (const auto host : split(value, ','))
      typed.hosts.emplace_back(host);
}

void take_option(Typed& typed, const std::string& word) {
  const auto equals = word.find('=');
  const Option* option = find_option(typed.verb, word.substr(0, equals));
  if (option == nullptr || option->kind == ArgKind::flag)
    return;
  if (equals == std::string::npos)
    typed.pending = option;
  else
    keep_value(typed, *option, word.substr(equals + 1));
}

void take_word(Typed& typed, std::string word) {
  if (typed.name.empty()) {
    if (const auto colon = word.find(':'); colon != std::string::npos)
      word[colon] = ' ';
    typed.name = word;
  } else if (typed.positions.empty() && find_verb(cat(typed.name, " ", word)) != nullptr) {
    typed.name += cat(" ", word);
  } else {
    typed.positions.push_back(word);
  }
  typed.verb = find_verb(typed.name);
}

Typed read_line(std::span<const std::string> words) {
  Typed typed;
  for (const std::string& word : words) {
    if (typed.pending != nullptr)
      keep_value(typed, *std::exchange(typed.pending, nullptr), word);
    else if (!typed.only_positions && word == "--")
      typed.only_positions = true;
    else if (!typed.only_positions && word.starts_with('-'))
      take_option(typed, word);
    else
      take_word(typed, word);
  }
  return typed;
}

// For "trust ": "add", "list" and the other words that follow it.
std::vector<std::string> words_below(std::string_view head) {
  std::vector<std::string> words;
  for (const Verb& verb : verbs())
    if (verb.name.starts_with(head))
      words.emplace_back(verb.name.substr(head.size()));
  return words;
}

class Finder {
public:
  Finder(std::string typed, const ValueSource& source)
      : m_typed(std::move(typed)), m_source(source) {}

  void verbs_below(std::string_view above); // the next word of every verb that begins with `above`
  void options(const Verb* verb);
  void value(const Option& option, const Typed& line,
      const std::string&
          before); // before: the part of the word that is complete, such as "--sites=a,"
  Completion done() { return std::move(m_found); }

private:
  void add(std::string text, std::string_view help) {
    if (text.starts_with(m_typed) && m_seen.insert(text).second)
      m_found.candidates.push_back({std::move(text), std::string(help)});
  }

  std::string m_typed;
  const ValueSource& m_source;
  std::set<std::string> m_seen;
  Completion m_found;
};

void Finder::verbs_below(std::string_view above) {
  const std::string head = above.empty() ? "" : cat(above, " ");
  for (const Verb& verb : verbs()) {
    if (!verb.name.starts_with(head))
      continue;
    const std::string_view rest = verb.name.substr(head.size());
    const auto space = rest.find(' ');
    if (space == std::string_view::npos)
      add(std::string(rest), verb.help);
    else if (find_verb(rest.substr(0, space)) == nullptr)
      add(std::string(rest.substr(0, space)),
          join(words_below(cat(head, rest.substr(0, space), " ")), ", "));
  }
  if (above.empty())
    add("help", "what a command does, and its options");
}

void Finder::options(const Verb* verb) {
  for (const Option* option : options_for(verb))
    add(std::string(option->names.substr(option->names.rfind("--"))), option->help);
}

void Finder::value(const Option& option, const Typed& line, const std::string& before) {
  ArgKind kind = option.kind;
  std::string head = before;
  if (kind == ArgKind::list) {
    if (const auto comma = m_typed.rfind(','); comma != std::string::npos && comma >= before.size())
      head = m_typed.substr(0, comma + 1);
  }
  m_found.files =
      kind == ArgKind::text || (kind == ArgKind::list && !option.value.starts_with("SITE"));
  if (option.value.starts_with("SITE") || option.names.ends_with("|SITE"))
    kind = ArgKind::site;
  if (kind == ArgKind::choice)
    for (const auto word : split(option.value, '|'))
      add(cat(head, word), "");
  if (kind >= ArgKind::site)
    for (const Candidate& candidate :
        m_source({kind, line.positions.empty() ? "" : line.positions.front(), line.hosts}))
      add(cat(head, candidate.text), candidate.help);
}

// The next position; the last one again if it is a list.
const Option* next_position(const Typed& line) {
  const Option* last = nullptr;
  size_t number = 0;
  for (const Option& option : line.verb->options)
    if (is_position(option)) {
      last = &option;
      if (number++ == line.positions.size())
        return last;
    }
  return last != nullptr && last->kind == ArgKind::list ? last : nullptr;
}

} // namespace

Completion complete(const std::vector<std::string>& words, const ValueSource& source) {
  const std::string typed = words.empty() ? "" : words.back();
  const Typed line = read_line(std::span(words).first(words.empty() ? 0 : words.size() - 1));
  Finder finder(typed, source);
  if (line.pending != nullptr) {
    finder.value(*line.pending, line, "");
  } else if (typed.starts_with('-') && !line.only_positions) {
    const auto equals = typed.find('=');
    if (equals == std::string::npos)
      finder.options(line.verb);
    else if (const Option* option = find_option(line.verb, typed.substr(0, equals)))
      finder.value(*option, line, typed.substr(0, equals + 1));
  } else if (line.name == "help") {
    finder.verbs_below(join(line.positions, " "));
  } else {
    if (line.positions.empty())
      finder.verbs_below(line.name);
    if (line.verb != nullptr)
      if (const Option* position = next_position(line))
        finder.value(*position, line, "");
  }
  return finder.done();
}

} // namespace chillbox::cli
