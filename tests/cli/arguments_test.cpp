#include "catch.hpp"

#include "cli/core/arguments.hpp"
#include "cli/core/help.hpp"

#include "base/text.hpp"

#include <algorithm>
#include <set>

using namespace chillbox;
using namespace chillbox::cli;

namespace {

std::string nothing(const char*) {
  return "";
}

std::string hint; // of the last one that was refused

auto parse(const std::vector<std::string>& words, const Environment& env = nothing) {
  return parse_command_line(words, env, hint);
}

bool mentions(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

} // namespace

TEST_CASE("a verb of one word or two is found, and trust:add is trust add") {
  CHECK(parse({"status"})->verb->name == "status");
  CHECK(parse({"trust", "add", "K"})->verb->name == "trust add");
  CHECK(parse({"trust:add", "K"})->verb->name == "trust add");
  CHECK(parse({"audit"})->verb->name == "audit");
  CHECK(parse({"audit", "verify"})->verb->name == "audit verify");
}

TEST_CASE("positions and options reach the verb under their names") {
  const auto line = parse({"logs", "-n", "7", "blog/api", "--follow"});
  REQUIRE(line);
  CHECK(line->args.text("SITE[/SERVICE]") == "blog/api");
  CHECK(line->args.number("lines", 0) == 7);
  CHECK(line->args.has("follow"));
  CHECK_FALSE(parse({"logs", "blog"})->args.has("follow"));
  CHECK_FALSE(parse({"logs", "blog"})->args.has("lines"));
}

TEST_CASE("the log of a run is named as a service of its site is [fault-1125]") {
  CHECK(parse({"logs", "blog/run.7f3a9c0d"})->args.text("SITE[/SERVICE]") == "blog/run.7f3a9c0d");
  CHECK(parse({"logs", "blog/run.12", "-n", "3"}));
  for (const char* wrong :
      {"blog/run.", "blog/run.A", "blog/run./x", "blog/run.1.log", "blog/ran.1"})
    CHECK_FALSE(parse({"logs", wrong}));
}

TEST_CASE("a list takes commas and repetition, and leaves the position behind it alone") {
  const auto line = parse({"pack", "-r", "a,b", "-r", "c", "DIR", "-k", "key", "-o", "out"});
  REQUIRE(line);
  CHECK(line->args.list("recipient") == std::vector<std::string>{"a", "b", "c"});
  CHECK(line->args.text("DIR") == "DIR");
}

TEST_CASE("options of all verbs may be given before, within or after the verb") {
  CHECK(parse({"trust", "--json", "add", "K"})->terminal.json);
  CHECK(parse({"-H", "status", "status", "-H", "b"})->hosts ==
      std::vector<std::string>{"status", "b"});
  for (const auto& words : std::vector<std::vector<std::string>>{
           {"--json", "-q", "sites"}, {"sites", "--json", "-q"}, {"--json", "sites", "-q"}}) {
    const auto line = parse(words);
    REQUIRE(line);
    CHECK(line->terminal.json);
    CHECK(line->terminal.quiet);
    CHECK_FALSE(line->terminal.no_color);
  }
}

TEST_CASE("what is wrong with the command line is named, with a hint") {
  struct Row {
    std::vector<std::string> words;
    std::string message, hint_part;
  };
  const std::vector<Row> rows{
      {{"statsu"}, "no command 'statsu'", "did you mean status?"},
      {{"trust"}, "trust needs one of: add, list, remove", "help"},
      {{"trust", "ad"}, "trust has only: add", "help"},
      {{"status", "x"}, "'x' is one argument too many", "chillboxctl help status"},
      {{"status", "--frobnicate=1"}, "there is no option --frobnicate", "chillboxctl help status"},
      {{"remove"}, "SITE", "chillboxctl help remove"},
      {{"remove", "chillboxd"}, "chillboxd", "chillboxctl help remove"},
      {{"logs", "blog/a b"}, "a b", "chillboxctl help logs"},
      {{"logs", "blog", "-n", "x"}, "whole number", "chillboxctl help logs"},
      {{"deploy", "A", "--to", "http://h", "--webhook-key", "k", "--timeout", "soon"}, "duration",
          "chillboxctl help deploy"},
      {{"unlock", "--passphrase-fd", "-1"}, "passphrase-fd", "chillboxctl help unlock"},
      {{"statsu", "blog", "status"}, "no command 'statsu'", "did you mean status?"},
      {{"status", "status"}, "'status' is one argument too many", "chillboxctl help status"},
      {{"audit", "verify", "-n", "5"}, "there is no option", "chillboxctl help audit verify"},
      {{"audit", "-n", "5", "verify"}, "there is no option", "chillboxctl help audit verify"},
      {{"rollback", "blog", "1.0.0", "2.0.0"}, "one argument too many",
          "chillboxctl help rollback"},
  };
  for (const Row& row : rows) {
    const auto line = parse(row.words);
    INFO(join(row.words, " "));
    REQUIRE_FALSE(line);
    INFO(line.error().message);
    CHECK(mentions(line.error().message, row.message));
    CHECK(mentions(hint, row.hint_part));
  }
}

TEST_CASE("[fault-76] no verb takes a passphrase as an argument, and one that is tried is not repeated") {
  for (const Verb& verb : verbs())
    for (const Option& option : verb.options)
      if (mentions(std::string(option.names), "pass"))
        CHECK((key_of(option) == "passphrase-fd" || option.kind == ArgKind::flag));
  for (const auto& words : std::vector<std::vector<std::string>>{{"unlock", "--passphrase=hunter2"},
           {"unlock", "--passphrase", "hunter2"}, {"init", "--password", "hunter2"}}) {
    const auto line = parse(words);
    REQUIRE_FALSE(line);
    CHECK(mentions(line.error().message, "never an argument"));
    CHECK_FALSE(mentions(line.error().message, "hunter2"));
    CHECK(mentions(hint, "--passphrase-fd"));
  }
}

TEST_CASE("-H goes to verbs of the host only, and CHILLBOX_HOST is its default") {
  const auto env = [](const char* name) -> std::string {
    return std::string_view(name) == "CHILLBOX_HOST" ? "a@h1, b@h2" : "";
  };
  CHECK(parse({"status"}, env)->hosts == std::vector<std::string>{"a@h1", "b@h2"});
  CHECK(parse({"status", "-H", "c@h3"}, env)->hosts == std::vector<std::string>{"c@h3"});
  CHECK(parse({"-H", "c@h3,d@h4", "status"})->hosts == std::vector<std::string>{"c@h3", "d@h4"});
  CHECK(parse({"validate", "x"}, env)->hosts.empty());
  CHECK_FALSE(parse({"validate", "x", "-H", "h"}));
  CHECK_FALSE(parse({"keygen", "-H", "h"}));
}

TEST_CASE("a host that ssh would take for an option or a shell word is refused") {
  for (const char* host : {"-oProxyCommand=x", "a b", "a'b", "a\nb"}) {
    INFO(host);
    CHECK_FALSE(parse({"status", "--host", host}));
  }
}

TEST_CASE("[fault-1177] a host that ssh would be asked for in vain is refused, and a password is not shown") {
  for (const char* host : {"http://h", "SSH://h", "ssh://", "ssh://root@", "ssh://h:0",
           "ssh://h:99999", "ssh://h:x", "root@", "@h"}) {
    INFO(host);
    const auto line = parse({"status", "-H", host});
    REQUIRE_FALSE(line);
    CHECK(line.error().message.find("is not a host for ssh: write USER@HOST") != std::string::npos);
  }
  for (const char* host : {"ssh://root:hunter2@h", "root:hunter2@h"}) {
    const auto line = parse({"status", "-H", host});
    REQUIRE_FALSE(line);
    CHECK(line.error().message.find("has a password before it") != std::string::npos);
    CHECK(line.error().message.find("hunter2") == std::string::npos);
  }
  for (const char* host : {"h", "root@h", "ssh://h", "ssh://root@h:22/", "ssh://[::1]:22",
           "ssh://root@[::1]", "root@2001:db8::1"}) {
    INFO(host);
    CHECK(parse({"status", "-H", host}));
  }
}

TEST_CASE("the words for another machine are the same call again") {
  const auto line = parse({"-H", "h", "rollback", "blog", "1.0.0", "--no-wait", "--json"});
  REQUIRE(line);
  CHECK(join(words_of(*line), " ") == "rollback --no-wait --json -- blog 1.0.0");
  const auto again = parse(words_of(*line));
  INFO((again ? "" : again.error().message));
  REQUIRE(again);
  CHECK(again->args.text("VERSION") == "1.0.0");
  const auto trust = parse({"trust", "add", "RWkey", "--sites", "a,b", "-H", "h"});
  REQUIRE(trust);
  CHECK(join(words_of(*trust), " ") == "trust add --sites=a --sites=b -- RWkey");
}

TEST_CASE("help is text for every verb, and asks for nothing else") {
  CHECK(parse({"--version"})->text.starts_with("chillboxctl "));
  CHECK(parse({"help"})->text == help_text());
  CHECK(parse({"--help"})->text == help_text());
  for (const Verb& verb : verbs()) {
    std::vector<std::string> words{"help"};
    for (const auto word : split(verb.name, ' '))
      words.emplace_back(word);
    const auto line = parse(words);
    INFO(verb.name);
    REQUIRE(line);
    CHECK(line->verb == nullptr);
    CHECK(mentions(line->text, verb.help));
    for (const Option& option : verb.options)
      CHECK(mentions(line->text, option.help.substr(0, 12)));
    CHECK(mentions(help_all_text(), verb.name));
  }
  for (const auto& words : std::vector<std::vector<std::string>>{
           {"help", "trust"}, {"trust", "--help"}, {"trust", "-h"}, {"--help", "trust"}})
    CHECK(mentions(parse(words)->text, "trust add KEY"));
  CHECK_FALSE(parse({"nonsense", "--help"}));
  CHECK_FALSE(parse({"help", "nonsense"}));
  CHECK_FALSE(parse({"help", "trust", "nonsense"}));
}

TEST_CASE("the table has no verb twice, and no option twice in a verb") {
  std::set<std::string_view> names;
  for (const Verb& verb : verbs()) {
    CHECK(names.insert(verb.name).second);
    CHECK(verb.run != nullptr);
    std::set<std::string_view> keys;
    const auto remote = verb.where == Where::host
        ? remote_options()
        : std::span<const Option>(); // others may have their own
    for (const auto options : {common_options(), remote, verb.options})
      for (const Option& option : options)
        CHECK(keys.insert(key_of(option)).second);
  }
}
