#include "cli/core/gate.hpp"

#include "base/names.hpp"
#include "base/text.hpp"
#include "cli/core/daemon.hpp"

#include <sys/prctl.h>

#include <algorithm>
#include <array>

namespace chillbox::cli {
namespace {

constexpr size_t k_max_command = 64 * 1024;
constexpr std::string_view k_program = "CHILLBOX_HOST= chillboxctl";

constexpr std::array<std::string_view, 37> k_relayed_verbs{"ping", "status", "sites", "top",
    "snapshots", "report", "facts", "releases", "jobs", "report jobs", "job", "plan", "logs",
    "deploy", "rollback", "undo", "restart", "start", "stop", "maintenance on", "maintenance off",
    "drain", "undrain", "hold", "release-hold", "retry", "withdraw", "audit", "unlock", "lock",
    "people add", "people list", "people remove", "fleet take", "rollout take", "rollout reports",
    "rollout halt"};

std::unexpected<Error> not_ours() {
  return fail(Code::denied,
      "this account runs the commands of chillboxctl and nothing else: no shell, no files, no forwarding");
}

// One word in quotes, with '\'' for each quote in it; what it is taken from begins after it then.
Result<std::string> take_word(std::string_view& rest) {
  constexpr std::string_view k_quote = "'\\''";
  std::string word;
  if (!rest.starts_with(" '"))
    return not_ours();
  rest.remove_prefix(2);
  for (;;) {
    const auto end = rest.find('\'');
    if (end == std::string_view::npos)
      return not_ours();
    word += rest.substr(0, end);
    rest.remove_prefix(end);
    if (!rest.starts_with(k_quote))
      break;
    word += '\'';
    rest.remove_prefix(k_quote.size());
  }
  rest.remove_prefix(1);
  return word;
}

// Files, descriptors and other machines are not for this process.
Result<void> check(const CommandLine& line) {
  const auto refuse = [&](const std::string& what) {
    return fail(Code::denied, cat(line.verb->name, " ", what, " is not for the gate"));
  };
  if (std::ranges::find(k_relayed_verbs, line.verb->name) == k_relayed_verbs.end())
    return fail(
        Code::denied, cat(line.verb->name, " does not go through the gate: root may, on the host"));
  if (!line.hosts.empty() || !line.inventory.empty() || !line.limit.empty())
    return refuse("on other hosts");
  if (!line.verb->here_with.empty() && line.args.has(line.verb->here_with))
    return refuse(cat("--", line.verb->here_with));
  if (line.args.has("passphrase-fd") && line.args.text("passphrase-fd") != "0")
    return refuse("with that descriptor");
  if (line.verb->name == "deploy" && line.args.text("DIR|ARTIFACT") != "-")
    return refuse("of a file");
  if (line.verb->name == "plan" && line.args.text("ARTIFACT|SITE") != "-" &&
      line.args.text("ARTIFACT|SITE").find_first_of("./") != std::string::npos)
    return refuse("of a file");
  for (const Option& option : line.verb->options)
    if (option.value.contains("FILE") && line.args.has(key_of(option)))
      return refuse(cat("--", key_of(option)));
  for (const Option& option : line.verb->options)
    if (option.of_project && !line.args.has(key_of(option)))
      return fail(Code::usage, "SITE is required");
  return {};
}

} // namespace

Result<std::vector<std::string>> parse_remote_line(std::string_view line) {
  if (line.size() > k_max_command)
    return fail(Code::too_large, "the command has more than 64 KiB");
  const bool control = std::ranges::any_of(
      line, [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; });
  if (control || !is_utf8(line) || !line.starts_with(k_program))
    return not_ours();
  std::vector<std::string> words;
  for (auto rest = line.substr(k_program.size()); !rest.empty();)
    words.push_back(TRY(take_word(rest)));
  if (words.empty())
    return not_ours();
  return words;
}

Result<CommandLine> through_gate(
    const std::vector<std::string>& words, const Environment& env, bool& json, std::string& hint) {
  ::prctl(PR_SET_DUMPABLE, 0); // another one of this account reads and changes nothing in it
  const bool one = words.size() == 2 && words[0] == "--";
  const std::string name = TRY(parse_key_name(one ? words[1] : ""));
  const std::string asked = env("SSH_ORIGINAL_COMMAND");
  if (asked.empty())
    return fail(Code::denied,
        cat("hello ", name, ": this account has no shell; on your laptop: chillboxctl join ",
            "USER@HOST, chillboxctl status"));
  const auto said = TRY(parse_remote_line(asked));
  json = std::ranges::find(said, "--json") != said.end();
  auto line = TRY(parse_command_line(said, [](const char*) { return std::string(); }, hint));
  if (line.verb == nullptr)
    return fail(Code::denied, "help is on your laptop: chillboxctl help");
  TRY(check(line));
  ask_as(name);
  return line;
}

} // namespace chillbox::cli
