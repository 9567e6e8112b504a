#include "catch.hpp"

#include "base/text.hpp"
#include "cli/core/arguments.hpp"
#include "cli/core/help.hpp"
#include "cli/core/table.hpp"

#include <fstream>
#include <iterator>
#include <sstream>

using namespace chillbox;
using namespace chillbox::cli;

namespace {

std::string nothing_asked(const char*) {
  return "";
}

// As a shell splits a line without variables.
std::vector<std::string> shell_split(std::string_view line) {
  std::vector<std::string> words{""};
  bool quoted = false;
  for (const char c : line.substr(0, line.find(" >"))) {
    if (c == '"')
      quoted = !quoted;
    else if (c == ' ' && !quoted)
      words.emplace_back();
    else
      words.back() += c;
  }
  return words;
}

std::string manual_text() {
  std::string here = __FILE__;
  here.erase(here.rfind("tests/cli/"));
  std::ifstream file(cat(here, "agent/man/chillboxctl.1.scd"));
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

// "ci add|list" is two.
void add_names(std::vector<std::string>& named, std::string_view text) {
  const auto words = split(text, '|');
  const bool explained = text.find("  ") != std::string_view::npos;
  for (size_t i = 0; i < words.size() && !explained; ++i)
    named.push_back(cat(i == 0 ? "" : text.substr(0, text.find(' ') + 1), words[i]));
  if (explained)
    named.emplace_back(text);
}

void check_width(const std::string& text) {
  for (const auto line : split(text, '\n')) {
    INFO(line);
    CHECK((columns_of(line) <= 80 || line.find("chillboxctl ") != std::string_view::npos));
  }
}

} // namespace

TEST_CASE("every verb has an example in its help, and each line of it is one that the program takes") {
  for (const Verb& verb : verbs()) {
    INFO(verb.name);
    const auto lines = examples_of(verb.name);
    CHECK_FALSE(lines.empty());
    for (const auto line : split(lines, '\n')) {
      INFO(line);
      auto words = shell_split(line);
      REQUIRE(words.front() == "chillboxctl");
      words.erase(words.begin());
      std::string hint;
      const auto parsed = parse_command_line(words, nothing_asked, hint);
      if (!parsed)
        FAIL(parsed.error().message);
      REQUIRE(parsed->verb != nullptr);
      CHECK(parsed->verb->name == verb.name);
      CHECK(help_of(verb).find(line) != std::string::npos);
    }
  }
}

TEST_CASE("help fits 80 columns, and that of the program two screens") {
  check_width(help_text());
  check_width(help_all_text());
  for (const Verb& verb : verbs())
    check_width(help_of(verb));
  for (const Topic& topic : help_topics())
    check_width(topic.text());
  const std::string all = help_text();
  CHECK(split(all, '\n').size() <= 58);
}

TEST_CASE("the help of the program names every verb once, and `help all` explains each") {
  std::string text = help_text();
  text = text.substr(0, text.find("\nAll commands take"));
  std::vector<std::string> named;
  for (const auto line : split(text, '\n'))
    if (!line.starts_with("   "))              // else the rest of an explanation
      for (const auto name : split(line, ',')) // "status   show ...", or only names
        add_names(named, trim(name));
  const std::string all = help_all_text();
  for (const Verb& verb : verbs()) {
    INFO(verb.name);
    CHECK(std::ranges::count_if(named, [&](const std::string& said) {
      return said == verb.name ||
          (said.starts_with(cat(verb.name, " ")) && said.find("  ") != std::string::npos &&
              find_verb(said.substr(0, said.find(' ', verb.name.size() + 1))) == nullptr);
    }) == 1);
    CHECK(all.find(cat("\n  ", verb.name)) != std::string::npos);
  }
}

TEST_CASE("help TOPIC: the exit codes and the environment are those of chillboxctl(1)") {
  std::string page = manual_text();
  std::erase(page, '\\');
  std::erase(page, '*');
  const std::string codes = help_topics()[0].text(), variables = help_topics()[1].text();
  for (const auto line : split(codes, '\n'))
    if (line.size() > 7 && line[6] == ' ' && line[5] == ' ' && line[4] != ' ') {
      INFO(line);
      CHECK(page.find(cat(":[ ", line.substr(7), "\n")) != std::string::npos);
    }
  const auto begin = page.find("# ENVIRONMENT"), end = page.find("# FILES");
  REQUIRE(begin < end);
  const std::string section = page.substr(begin, end - begin);
  size_t names = 0;
  for (const auto line : split(variables, '\n'))
    if (!line.empty() &&
        line.find_first_of("abcdefghijklmnopqrstuvwxyz.") == std::string_view::npos)
      for (const auto name : split(line, ',')) {
        INFO(name);
        CHECK(section.find(cat("_", trim(name), "_")) != std::string::npos);
        ++names;
      }
  CHECK(names >= 8);
  for (const Topic& topic : help_topics()) {
    std::string hint;
    const auto parsed = parse_command_line({"help", std::string(topic.name)}, nothing_asked, hint);
    REQUIRE(parsed);
    CHECK(parsed->text == topic.text());
  }
}

TEST_CASE("words of other tools: those that harm nothing are taken, the others suggested") {
  std::string hint;
  for (const Synonym& synonym : synonyms()) {
    INFO(synonym.word);
    CHECK(find_verb(synonym.verb) != nullptr);
    CHECK(find_verb(synonym.word) == nullptr);
    const auto parsed =
        parse_command_line({"--json", std::string(synonym.word)}, nothing_asked, hint);
    if (synonym.accepted && parsed) {
      CHECK(parsed->verb->name == synonym.verb);
      CHECK(parsed->terminal.json);
    } else if (synonym.accepted) { // it was understood, and lacks an argument
      CHECK(parsed.error().message.find("is required") != std::string::npos);
    } else {
      REQUIRE_FALSE(parsed);
      CHECK(hint == cat("did you mean ", synonym.verb, "?"));
    }
  }
  for (const auto& [word, verb] :
      {std::pair{"unhold", "release-hold"}, {"certs", "tls"}, {"update", "upgrade"},
          {"self-update", "upgrade"}, {"events", "notices"}, {"tail", "logs"}}) {
    CHECK_FALSE(parse_command_line({word}, nothing_asked, hint));
    CHECK(hint ==
        cat("did you mean ", verb, "?")); // "hold" is the nearest to unhold, and its opposite
  }
  for (const auto& word : {"version", "-v", "--version"})
    CHECK(parse_command_line({word}, nothing_asked, hint)->text.starts_with("chillboxctl "));
  CHECK_FALSE(parse_command_line({"destroy", "hello"}, nothing_asked, hint));
  CHECK(parse_command_line({"-H", "ps", "unseal"}, nothing_asked, hint)->hosts ==
      std::vector<std::string>{"ps"});
}

TEST_CASE("without a command it prints the help, and ends as a wrong command line does") {
  std::string hint;
  const auto line = parse_command_line({}, nothing_asked, hint);
  REQUIRE(line);
  CHECK(line->text == help_text());
  CHECK(line->exit == exit_code(Code::usage));
  CHECK(parse_command_line({"help"}, nothing_asked, hint)->exit == 0);
}
