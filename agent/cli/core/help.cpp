#include "cli/core/help.hpp"

#include "base/text.hpp"
#include "cli/core/table.hpp"

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

namespace chillbox::cli {
namespace {

constexpr size_t k_help_width = 80;

// What is used from the first day on, and on each day. A verb that is not there is left out.
struct Heading {
  std::string_view title;
  std::array<std::string_view, 8> verbs;
};
constexpr std::array k_first{
    Heading{"From nothing to a live site", {"setup", "new", "deploy"}},
    Heading{"Each day", {"status", "logs", "rollback", "undo", "secrets set", "run", "unlock"}},
    Heading{"With others", {"people add", "join", "hosts", "whoami"}},
    Heading{"When something is wrong", {"doctor", "releases", "hold", "recover"}},
};

// "  trust add KEY          trust the signatures of a deployer"
std::string line_of(const Verb& verb) {
  std::string usage = cat("  ", verb.name);
  for (const Option& option : verb.options)
    if (is_position(option))
      usage += cat(" ", option.names);
  constexpr size_t k_help = 30;
  std::string out;
  if (usage.size() >= k_help) {
    out = cat(usage, "\n");
    usage.clear();
  }
  for (const auto& line : fold(verb.help, k_help_width - k_help, 0)) {
    out += cat(usage, std::string(k_help - usage.size(), ' '), line, "\n");
    usage.clear();
  }
  return out;
}

bool is_first(std::string_view verb) {
  return std::ranges::any_of(
      k_first, [&](const Heading& h) { return std::ranges::find(h.verbs, verb) != h.verbs.end(); });
}

std::string indented(std::string_view text, size_t indent) {
  std::string out;
  for (const auto& line : fold(text, k_help_width - indent, 0))
    out += cat(std::string(indent, ' '), line, "\n");
  return out;
}

std::string option_text(const Option& option) {
  std::string names(is_position(option) ? key_of(option) : option.names);
  if (const auto comma = names.find(','); comma != std::string::npos && !is_position(option))
    names.replace(comma, 1, ", ");
  if (!option.value.empty() && !is_position(option))
    names += cat(" ", option.value);
  if (is_position(option) && option.kind == ArgKind::choice)
    names += cat(": ", option.value);
  std::string help(option.help);
  if (option.required)
    help += help.empty() ? "required" : " (required)";
  return cat("  ", names, "\n", help.empty() ? "" : indented(help, 6));
}

std::string footer() {
  return "`chillboxctl help all` lists every command, `help COMMAND` explains one, with an\n"
         "example. More: `help exit-codes`, `help environment`, `help files`,\n"
         "`help threat-model`, and the manual, chillboxctl(1).\n";
}

// "ci add|list|remove": verbs of two words side by side.
void add_name(std::vector<std::string>& names, std::string_view verb) {
  const auto space = verb.find(' ');
  const std::string_view first = verb.substr(0, space);
  if (space != verb.npos && !names.empty() && names.back().starts_with(cat(first, " ")))
    names.back() += cat("|", verb.substr(space + 1));
  else
    names.emplace_back(verb);
}

} // namespace

std::string help_text() {
  std::string out = "usage: chillboxctl COMMAND [ARGUMENTS]\n";
  for (const Heading& heading : k_first) {
    std::string lines;
    for (const auto name : heading.verbs)
      if (const Verb* verb = name.empty() ? nullptr : find_verb(name))
        lines += line_of(*verb);
    if (!lines.empty())
      out += cat("\n", heading.title, "\n", lines);
  }
  out += "\nAll others\n";
  for (const auto group : {Group::laptop, Group::setup, Group::seal, Group::show, Group::act}) {
    std::vector<std::string> names;
    for (const Verb& verb : verbs())
      if (verb.group == group && !is_first(verb.name))
        add_name(names, verb.name);
    std::string line;
    for (size_t i = 0; i < names.size(); ++i) {
      const std::string part = cat(names[i], i + 1 < names.size() ? "," : "");
      if (line.size() + part.size() + 3 > k_help_width)
        out += cat(" ", std::exchange(line, ""), "\n");
      line += cat(" ", part);
    }
    if (!line.empty())
      out += cat(" ", line, "\n");
  }
  return cat(out, "\n", footer());
}

std::string help_all_text() {
  std::string out;
  std::optional<Group> group;
  for (const Verb& verb : verbs()) {
    if (verb.group != group)
      out += cat(group ? "\n" : "", heading(verb.group), "\n");
    group = verb.group;
    out += line_of(verb);
  }
  return cat(out,
      "\nAll commands take --json, -q, -v, --no-color and -h; those on the host also\n-H USER@HOST.\n");
}

std::string help_of(const Verb& verb) {
  std::string usage = cat("usage: chillboxctl ", verb.name), positions, options;
  for (const Option& option : verb.options)
    (is_position(option) ? positions : options) += option_text(option);
  std::string words; // come last
  for (const Option& option : verb.options)
    if (option.kind == ArgKind::words)
      words = cat(" -- ", option.names, "..");
    else if (is_position(option))
      usage += cat(" ", option.names, option.kind == ArgKind::list ? ".." : "");
  std::string out =
      cat(usage, options.empty() ? "" : " [OPTIONS]", words, "\n\n", indented(verb.help, 0));
  if (!positions.empty())
    out += cat("\n", positions);
  if (!options.empty())
    out += cat("\nOptions\n", options);
  if (const auto lines = examples_of(verb.name); !lines.empty()) {
    out += "\nFor example\n";
    for (const auto line : split(lines, '\n'))
      out += cat("  ", line, "\n");
  }
  out += "\nAlso --json, -q, -v, --no-color, -h";
  if (verb.where == Where::host)
    out += "; on other machines: -H USER@HOST[,..],\n--hosts INVENTORY, --limit PATTERN";
  return cat(out, ".\n");
}

std::string help_of_family(const std::string& name) {
  std::string out;
  for (const Verb& verb : verbs())
    if (verb.name.starts_with(name + " "))
      out += line_of(verb);
  return out.empty() ? "" : cat("usage: chillboxctl ", name, " COMMAND [ARGUMENTS]\n\n", out);
}

std::span<const Synonym> synonyms() {
  static constexpr std::array k_synonyms{
      Synonym{"seal", "lock", true},
      Synonym{"unseal", "unlock", true},
      Synonym{"ps", "status", true},
      Synonym{"apps", "sites", true},
      Synonym{"ls", "sites", true},
      Synonym{"list", "sites", true},
      Synonym{"history", "releases", true},
      Synonym{"reboot", "restart", false},
      Synonym{"up", "deploy", false},
      Synonym{"push", "deploy", false},
      Synonym{"ship", "deploy", false},
      Synonym{"launch", "new", false},
      Synonym{"exec", "run", false},
      Synonym{"shell", "run", false},
      Synonym{"console", "run", false},
      Synonym{"down", "stop", false},
      Synonym{"destroy", "remove", false},
      Synonym{"delete", "remove", false},
      Synonym{"rm", "remove", false},
      Synonym{"install", "setup", false},
      Synonym{"env", "secrets set", false},
      Synonym{"check", "doctor", false},
      Synonym{"users", "trust list", false},
      Synonym{"login", "whoami", false},
      Synonym{"revert", "rollback", false},
      Synonym{"build", "pack", false},
      Synonym{"certs", "tls", false},
      Synonym{"events", "notices", false},
      Synonym{"tail", "logs", false},
      Synonym{"unhold", "release-hold", false},
      Synonym{"update", "upgrade", false},
      Synonym{"self-update", "upgrade", false},
  };
  return k_synonyms;
}

} // namespace chillbox::cli
