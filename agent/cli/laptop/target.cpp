#include "cli/laptop/target.hpp"

#include "base/text.hpp"
#include "cli/core/prompt.hpp"

#include <unistd.h>

#include <algorithm>

namespace chillbox::cli {
namespace {

using HostNames = std::vector<std::string>;

HostNames comma_list(const std::string& text) {
  HostNames names;
  for (const auto part : split(text, ','))
    if (!trim(part).empty())
      names.emplace_back(trim(part));
  return names;
}

HostNames names_of(const std::vector<HostRecord>& records) {
  HostNames names;
  for (const HostRecord& record : records)
    names.push_back(record.name);
  return names;
}

// What was said somewhere; empty: nothing was.
Result<HostNames> said(
    const Places& places, const TargetQuestion& question, const Environment& env) {
  if (!question.flag.empty())
    return question.flag;
  // An environment that is named says which host it is for, even against CHILLBOX_HOST.
  const std::string env_name = environment_name(question.env_name, env);
  if (question.env_name.empty())
    if (auto names = comma_list(env("CHILLBOX_HOST")); !names.empty())
      return names;
  if (question.project != nullptr) {
    auto table = TRY(question.project->table(env_name));
    if (!table.hosts.empty())
      return std::move(table.hosts);
  } else if (!question.env_name.empty()) {
    return fail(Code::usage,
        cat("-e ", printable(env_name, 80),
            ": there is no chillbox.toml here or above, which has the environments"));
  }
  return comma_list(TRY(load_user_config(places)).host);
}

} // namespace

std::string environment_name(const std::string& flag, const Environment& env) {
  return flag.empty() ? env("CHILLBOX_ENV") : flag;
}

Result<Target> target_named(const Places& places, const std::string& text) {
  auto record = load_host(places, text);
  if (record) {
    Host host = TRY(host_of(*record));
    return Target{std::move(host), *std::move(record)};
  }
  if (record.error().code != Code::not_found)
    return std::unexpected(record.error());
  Host host = TRY(host_from(ssh_destination(text)));
  host.name = text;
  for (HostRecord& known : load_hosts(places, nullptr))
    if (ssh_destination(known.ssh) == host.target) {
      Host remembered = TRY(host_of(known));
      return Target{std::move(remembered), std::move(known)};
    }
  return Target{std::move(host), std::nullopt};
}

bool has_another_key(const Target& target, const std::string& recipient) {
  return target.record && !target.record->recipient.empty() &&
      target.record->recipient != recipient;
}

Result<std::vector<Target>> find_targets(
    const Places& places, const TargetQuestion& question, const Environment& env) {
  HostNames names = TRY(said(places, question, env));
  if (names.empty()) {
    const HostNames known = names_of(load_hosts(places, nullptr));
    if (known.empty())
      return fail(Code::usage,
          cat("which host? none is known yet: chillboxctl setup USER@HOST makes one ready, or ",
              question.example, " -H USER@HOST"));
    if (known.size() == 1)
      names = known;
    else if (question.choose)
      names.push_back(TRY(question.choose(known)));
    else
      return fail(Code::usage,
          cat("which host? ", printable(join(known, ", "), 500), " are known: ", question.example,
              " -H ", printable(known.front(), 80)));
  }
  std::vector<Target> targets;
  for (const std::string& name : names) {
    Target target = TRY(target_named(places, name));
    const bool again = std::ranges::any_of(
        targets, [&](const Target& other) { return other.host.target == target.host.target; });
    if (!again)
      targets.push_back(std::move(target));
  }
  return targets;
}

std::function<Result<std::string>(const HostNames&)> chooser() {
  if (::isatty(STDIN_FILENO) == 1)
    return choose_host;
  return {};
}

Result<std::string> choose_host(const HostNames& names) {
  std::string prompt = "which host?";
  for (size_t i = 0; i < names.size(); ++i)
    prompt += cat("  ", i + 1, ") ", printable(names[i], 80));
  const std::string answer = TRY(ask_line(prompt, "choosing a host", "name it with -H NAME"));
  const auto number = parse_u64(trim(answer));
  if (number && *number >= 1 && *number <= names.size())
    return names[*number - 1];
  if (std::ranges::find(names, trim(answer)) != names.end())
    return std::string(trim(answer));
  return fail(Code::usage, cat("'", printable(trim(answer), 80), "' is none of these hosts"));
}

} // namespace chillbox::cli
