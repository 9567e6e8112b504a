#include "cli/laptop/deploy_questions.hpp"

#include "base/names.hpp"
#include "base/text.hpp"
#include "cli/core/prompt.hpp"
#include "cli/laptop/host_record.hpp"

#include <algorithm>

namespace chillbox::cli {

std::vector<std::string> reasons_to_ask(const DeployQuestion& about) {
  const auto& [plan, facts, memory, version, host] = about;
  const auto& live = *facts.site;
  std::vector<std::string> reasons, gone;
  if (live.version.empty())
    return reasons;
  const auto& domains = plan.folder.site.domains;
  for (const std::string& name : live.names)
    if (std::ranges::find(domains, name) == domains.end())
      gone.push_back(name);
  if (!gone.empty())
    reasons.push_back(cat("visitors of ", printable(join(gone, ", "), 300),
        " would find nothing there any more: the site file here does not have it"));
  const std::string origin = plan.git ? plan.git->origin : "";
  const bool same_code =
      memory.root == plan.project.root || (!origin.empty() && origin == memory.origin);
  if (!memory.root.empty() && !same_code)
    reasons.push_back(cat(plan.site(), " was last deployed from ",
        printable(memory.origin.empty() ? memory.root : memory.origin, 300), ", and this is ",
        printable(origin.empty() ? plan.project.root : origin, 300)));
  if (compare_versions(version.text, live.version) < 0)
    reasons.push_back(
        cat(version.text, " is older than ", printable(live.version, 80), ", which is live",
            plan.git && plan.git->shallow && version.automatic
                ? " (this is a shallow clone, without all tags and commits: git fetch --unshallow)"
                : ""));
  return reasons;
}

Result<void> ask_before(Call& call, const DeployQuestion& about) {
  const auto& table = about.plan.table;
  auto reasons = reasons_to_ask(about);
  if (reasons.empty() && !table.confirm.value_or(false))
    return {};
  std::string question;
  for (const std::string& reason : reasons)
    question += cat(reason, ". ");
  return must_agree(call,
      cat(question, "Deploy ", about.plan.site(), " ", about.version.text, " to ",
          printable(about.host, 200), "?"),
      reasons.empty());
}

Result<void> check_facts(
    const control::Facts& facts, const std::string& site, const std::string& host) {
  if (facts.recipient.empty())
    return fail(Code::corrupt,
        cat(host, " has no host key: chillboxctl init there makes it, or chillboxctl setup ",
            host));
  if (facts.site->hold)
    return fail(Code::busy,
        cat(site, " is held on ", host, " by ", printable(facts.site->hold->actor, 80), ": ",
            printable(facts.site->hold->why, 300), "; chillboxctl release-hold ", site, " -H ",
            host, " ends it"));
  return {};
}

std::string free_name(
    const Places& places, const std::string& server_name, const std::string& destination) {
  const std::string address = address_of(destination);
  for (const std::string& text : {server_name, address}) {
    const bool is_name = text.find_first_not_of("0123456789.:") != std::string::npos && text != "_";
    const std::string name = is_name ? text.substr(0, text.find('.')) : text;
    const auto known = load_host(places, name);
    if (parse_key_name(name) && !known && known.error().code == Code::not_found)
      return name;
  }
  return "";
}

std::string plain_reason(std::string_view message, const std::string& site) {
  if (message.starts_with(site + ": "))
    message.remove_prefix(site.size() + 2);
  const auto colon = message.find(": ");
  if (colon != message.npos && !deploy_part(message.substr(0, colon)).step.empty())
    message.remove_prefix(colon + 2);
  if (const auto stays = message.rfind("; "); stays != message.npos &&
      (message.ends_with(" stays live") || message.ends_with("nothing was live")))
    message = message.substr(0, stays);
  return printable(message, 1500);
}

namespace {

// What the host could not undo, or did not: nobody but it knows what is live now.
bool is_in_doubt(std::string_view message) {
  for (const std::string_view part :
      {"; the rollback failed: ", "; not all of it could be undone: ", " stays live anyway, "})
    if (message.contains(part))
      return true;
  return false;
}

} // namespace

std::string still_live(const control::SiteFacts& before, const Error& error, const std::string& job,
    const std::string& host) {
  const std::string more =
      cat(" The whole log: chillboxctl job ", printable(job, 40), " -H ", printable(host, 200));
  if (is_in_doubt(error.message))
    return cat("See what is live now: chillboxctl status -H ", printable(host, 200), ".", more);
  if (before.version.empty())
    return cat("Nothing is live, as before.", more);
  if (error.code == Code::rolled_back)
    return cat(printable(before.version, 80), " is live again.", more);
  return cat(printable(before.version, 80), " is still live; no visitor saw the new one.", more);
}

} // namespace chillbox::cli
