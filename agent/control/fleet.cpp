#include "control/fleet.hpp"

#include "base/names.hpp"
#include "base/text.hpp"
#include "control/messages.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <set>

namespace chillbox::control {
namespace {

constexpr size_t k_most_hosts = 100, k_most_roles = 20, k_most_balanced = 100, k_most_names = 100;

// It ends up in an NGINX text and after -H: a host name or an address, and nothing else.
bool is_address(std::string_view text) {
  return !text.empty() && text.size() <= 253 && !text.starts_with('-') &&
      std::ranges::all_of(text, [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' || c == '-' || c == ':';
      });
}

// One line of base64; whether it is a key is found out by who uses it.
bool is_key_line(std::string_view text) {
  return text.size() <= 100 && std::ranges::all_of(text, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '+' ||
        c == '/' || c == '=';
  });
}

Result<void> check(const FleetHost& host) {
  (void)TRY_IN("name", parse_key_name(host.name));
  if (!is_address(host.address))
    return fail(Code::invalid,
        cat("host '", host.name, "': address '", printable(host.address, 100),
            "' is no host name in lower case and no IP address"));
  if (!host.recipient.starts_with("age1") || host.recipient.size() > 100)
    return fail(Code::invalid, cat("host '", host.name, "': its recipient is not age1..."));
  if (!is_key_line(host.report_key))
    return fail(Code::invalid, cat("host '", host.name, "': its report key is none of minisign"));
  if (host.roles.size() > k_most_roles)
    return fail(Code::invalid, cat("host '", host.name, "': more than ", k_most_roles, " roles"));
  for (const auto& role : host.roles)
    (void)TRY_IN(cat("host '", host.name, "': role"), parse_key_name(role));
  return {};
}

// Names end up in an NGINX text as well; room nginx looks at them once more.
Result<void> check(const BalancedSite& site) {
  (void)TRY_IN("balanced", SiteName::parse(site.site));
  const auto refuse = [&](const std::string& why) {
    return fail(Code::invalid, cat("balanced '", site.site, "': ", why));
  };
  if (site.names.empty() || site.names.size() > k_most_names)
    return refuse(cat(site.names.size(), " host names, it takes 1 to ", k_most_names));
  for (const auto& name : site.names)
    if (!is_address(name) || name.find(':') != std::string::npos)
      return refuse(cat("'", printable(name, 100), "' is no host name in lower case"));
  return {};
}

} // namespace

bool FleetHost::balances() const {
  return std::ranges::find(roles, k_balancer) != roles.end();
}

const FleetHost* Roster::by_recipient(std::string_view recipient) const {
  const auto found = std::ranges::find(hosts, recipient, &FleetHost::recipient);
  return found == hosts.end() ? nullptr : &*found;
}
const FleetHost* Roster::by_name(std::string_view name) const {
  const auto found = std::ranges::find(hosts, name, &FleetHost::name);
  return found == hosts.end() ? nullptr : &*found;
}

Result<Roster> parse_roster(std::string_view text) {
  auto roster =
      TRY_IN("roster", from_json<Roster>(TRY_IN("roster", parse_json(text, k_max_signed_roster))));
  const auto refuse = [](const std::string& why) {
    return fail(Code::invalid, cat("roster: ", why));
  };
  (void)TRY_IN("roster: fleet", SiteName::parse(roster.fleet));
  if (roster.epoch == 0 || roster.epoch > INT64_MAX)
    return refuse("no epoch from 1");
  if (roster.hosts.size() > k_most_hosts)
    return refuse(cat(roster.hosts.size(), " hosts, the limit is ", k_most_hosts));
  std::set<std::string> seen;
  for (const auto& host : roster.hosts) {
    TRY_IN("roster", check(host));
    for (const auto& [what, value] : {std::pair("name ", host.name),
             std::pair("recipient ", host.recipient), std::pair("report key ", host.report_key)})
      if (!value.empty() && !seen.insert(cat(what, value)).second)
        return refuse(cat("two hosts have the same ", what, value));
  }
  if (roster.balanced.size() > k_most_balanced)
    return refuse(cat(roster.balanced.size(), " balanced sites, the limit is ", k_most_balanced));
  for (const auto& site : roster.balanced) {
    TRY_IN("roster", check(site));
    if (!seen.insert(cat("site ", site.site)).second)
      return refuse(cat("'", site.site, "' is balanced twice"));
    for (const auto& name : site.names)
      if (!seen.insert(cat("host name ", name)).second)
        return refuse(cat("two balanced sites have the host name ", name));
  }
  return roster;
}

std::string roster_text(const Roster& roster) {
  return dump(to_json(roster));
}

std::string signed_roster_text(const SignedRoster& both) {
  return dump(to_json(both)) + "\n";
}

Result<SignedRoster> parse_signed_roster(std::string_view text) {
  return TRY_IN("signed roster",
      from_json<SignedRoster>(TRY_IN("signed roster", parse_json(text, k_max_signed_roster))));
}

std::string engine_trouble(const EngineStatus& engine, int64_t now_ms) {
  if (engine.reachable && !engine.problem.empty())
    return engine.problem;
  if (!engine.reachable) {
    const int64_t s = std::max<int64_t>(0, now_ms - engine.since_ms) / 1000;
    const std::string time = s < 120 ? cat(s, " s")
        : s < 7200                   ? cat(s / 60, " min")
                                     : cat(s / 3600, " h");
    return cat("no word from the fleet's engine for ", time, ": ", engine.problem);
  }
  const int64_t differs = engine.ahead_s < 0 ? -engine.ahead_s : engine.ahead_s;
  return differs <= k_engine_clock
      ? ""
      : cat("this host's clock is ", differs, " s ", engine.ahead_s > 0 ? "behind" : "ahead of",
            " that of the fleet's engine: what runs once does not run here");
}

} // namespace chillbox::control
