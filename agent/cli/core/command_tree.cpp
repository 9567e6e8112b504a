#include "cli/core/command_tree.hpp"

#include "base/names.hpp"
#include "base/text.hpp"

#include <CLI/CLI.hpp>

#include <algorithm>

namespace chillbox::cli {
namespace {

std::string one_line(std::string text) {
  auto upper = [&](size_t i) { return i < text.size() && text[i] >= 'A' && text[i] <= 'Z'; };
  if (upper(0) && !upper(1)) // "SITE is required" stays
    text[0] = static_cast<char>(text[0] - 'A' + 'a');
  return printable(trim(text), 300);
}

void add_option(CLI::App& app, const Option& option, Slots& slots) {
  const std::string key(key_of(option));
  const std::string names = is_position(option) ? key : std::string(option.names);
  if (option.kind == ArgKind::flag) {
    app.add_flag(names, slots.flags[key], std::string(option.help));
    return;
  }
  CLI::Option* added = app.add_option(names, slots.values[key], std::string(option.help));
  if (is_position(option))
    added->type_name(option.kind == ArgKind::choice ? std::string(option.value) : "");
  else
    added->option_text(cat(option.value, option.required ? " REQUIRED" : ""));
  added->required(option.required || (is_position(option) && !option.names.starts_with('[')));
  if (option.kind == ArgKind::words)
    added->expected(1, -1);
  else if (option.kind == ArgKind::list)
    added->delimiter(',')->allow_extra_args(is_position(option));
  else
    added->expected(1)->allow_extra_args(false);
  added->check(CLI::Validator(
      [&option](std::string& text) {
        if (option.of_project && Version::parse(text))
          return std::string(); // the next position's: see laptop/defaults.hpp
        const auto fine = check(option, text);
        return fine ? std::string() : fine.error().message;
      },
      "", ""));
}

} // namespace

CommandTree::CommandTree(const std::vector<std::string>& words)
    : m_app(std::make_unique<CLI::App>("chillboxctl", "chillboxctl")) {
  m_app->set_help_flag(); // help is an option like the others
  m_app->allow_extras()->fallthrough()->require_subcommand(0, 1);
  for (const auto options : {common_options(), remote_options()})
    for (const Option& option : options)
      add_option(*m_app, option, m_common);
  m_app->add_flag("--version");
  child("help");
  for (const Verb& verb : verbs()) {
    const std::string name(verb.name);
    const auto space = name.find(' ');
    const auto begins = [&](std::string_view word) {
      return word.substr(0, word.find(':')) == name.substr(0, space);
    };
    if (std::ranges::none_of(words, begins))
      continue;
    if (space == std::string::npos) {
      add(child(name), verb);
      continue;
    }
    add(*child(name.substr(0, space)).add_subcommand(name.substr(space + 1)), verb);
    add(child(cat(name.substr(0, space), ":", name.substr(space + 1))), verb);
  }
}

CommandTree::~CommandTree() = default;

bool CommandTree::has(const std::string& flag) const {
  return m_app->count(flag) > 0;
}

// It is added by pointer, because add_subcommand(name) refuses a colon.
CLI::App& CommandTree::child(const std::string& name) {
  const auto same = [&](const CLI::App* app) { return app->get_name() == name; };
  if (const auto known = m_app->get_subcommands(same); !known.empty())
    return *known.front();
  auto app = std::make_shared<CLI::App>("", name);
  app->set_help_flag();
  app->allow_extras()->fallthrough()->require_subcommand(0, 1);
  return *m_app->add_subcommand(std::move(app));
}

void CommandTree::add(CLI::App& app, const Verb& verb) {
  m_verbs[&app] = &verb;
  Slots& slots = m_own[&verb];
  for (const Option& option : verb.options)
    if (option.kind != ArgKind::words) // take_words() reads those
      add_option(app, option, slots);
}

std::string CommandTree::read(const std::vector<std::string>& words) {
  std::vector<const char*> argv{"chillboxctl"};
  for (const std::string& word : words)
    argv.push_back(word.c_str());
  try {
    m_app->parse(static_cast<int>(argv.size()), argv.data());
  } catch (const CLI::ParseError& e) {
    return one_line(e.what());
  }
  return "";
}

const CLI::App& CommandTree::last() const {
  const CLI::App* app = m_app.get();
  while (!app->get_subcommands().empty())
    app = app->get_subcommands().front();
  return *app;
}

std::string CommandTree::name() const {
  const CLI::App& app = last();
  return verb() != nullptr ? std::string(verb()->name) : &app == m_app.get() ? "" : app.get_name();
}

const Verb* CommandTree::verb() const {
  const auto found = m_verbs.find(&last());
  return found == m_verbs.end() ? nullptr : found->second;
}

std::vector<std::string> CommandTree::left_over() const {
  std::vector<std::string> words = m_app->remaining(true);
  std::erase(words, "--"); // CLI11 returns it too
  // In `audit -n 5 verify` the option belongs to `audit`, which is another verb.
  for (const CLI::App* app = last().get_parent(); app != nullptr && app != m_app.get();
      app = app->get_parent())
    for (const CLI::Option* option : app->get_options())
      if (option->count() > 0)
        words.push_back(option->get_name());
  return words;
}

} // namespace chillbox::cli
