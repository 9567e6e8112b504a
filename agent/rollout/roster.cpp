#include "rollout/roster.hpp"

#include "artifact/verify.hpp"
#include "base/log.hpp"
#include "base/text.hpp"
#include "config/site.hpp"
#include "crypto/hash.hpp"

#include <algorithm>
#include <mutex>

namespace chillbox::rollout {
namespace {

using control::Roster;

constexpr std::string_view k_needs_engine =
    "this host has no engine: chillboxctl fleet init makes one, [fleet] of chillboxd.toml names it";
std::mutex s_taking; // one at a time: each is compared with the one before it

struct Held {
  Roster roster;
  std::string text;
  const control::FleetHost* here = nullptr;
  std::string problem; // why it does not count

  bool first() const { return here != nullptr && here == &roster.hosts.front(); }
};

Result<void> check_signature(const HostContext& host, const Roster& roster,
    const control::SignedRoster& text, uint64_t installed) {
  const SiteName fleet = TRY(SiteName::parse(roster.fleet));
  crypto::Blake2b512 blake2b;
  blake2b.update(bytes_of(text.roster));
  const auto sha256 = crypto::sha256_of(bytes_of(text.roster));
  const auto verified = TRY(artifact::verify(artifact::read_trusted_keys(host.paths.trusted()).keys,
      text.signature, blake2b.finish(), sha256,
      {.site = fleet,
          .fleet = true,
          .version = {},
          .sha256 = sha256,
          .installed_serial = installed,
          .now_unix = host.clock.wall()}));
  if (verified.statement.serial != roster.epoch)
    return fail(Code::denied,
        cat("signed as epoch ", verified.statement.serial, ", the roster says ", roster.epoch));
  return {};
}

std::string recipient_of(const HostContext& host) {
  return std::string(trim(host.disk.read(host.paths.recipient(), 256).value_or("")));
}

// What is stored. corrupt: it cannot be read, and then nothing else is accepted: its epoch is not
// known.
Result<std::optional<Held>> held(const HostContext& host) {
  if (!host.disk.exists(host.paths.roster()))
    return std::optional<Held>();
  const auto read = [&]() -> Result<Held> {
    auto text = TRY(control::parse_signed_roster(
        TRY(host.disk.read(host.paths.roster(), control::k_max_signed_roster))));
    Held out;
    out.roster = TRY(control::parse_roster(text.roster));
    out.text = text.roster;
    if (const auto good = check_signature(host, out.roster, text, 0); !good)
      out.problem = good.error().message;
    return out;
  };
  auto found = read();
  if (!found)
    return fail(Code::corrupt, cat(host.paths.roster(), ": ", found.error().message));
  found->here = found->roster.by_recipient(recipient_of(host));
  return std::optional(std::move(*found));
}

control::FleetSeat seat(const Held& held) {
  return {held.roster.fleet, held.roster.epoch, held.here == nullptr ? "" : held.here->name,
      held.first() && held.problem.empty(), held.problem,
      held.here == nullptr ? "" : held.here->report_key,
      crypto::sha256_of(bytes_of(held.text)).str()};
}

} // namespace

Result<control::RosterTaken> take_roster(HostContext& host, std::string_view text) {
  const std::lock_guard lock(s_taking);
  const auto given = TRY(control::parse_signed_roster(text));
  const auto roster = TRY(control::parse_roster(given.roster));
  const auto before = TRY(held(host));
  if (before && before->text == given.roster && before->problem.empty())
    return control::RosterTaken{seat(*before), false};
  const bool same = before && before->roster.fleet == roster.fleet;
  TRY_IN("roster", check_signature(host, roster, given, same ? before->roster.epoch : 0));
  if (before && !same)
    return fail(Code::conflict,
        cat("roster of fleet '", roster.fleet, "': this host is of fleet '", before->roster.fleet,
            "'; it can join another one once root has removed ", host.paths.roster()));
  if (!before && roster.by_recipient(recipient_of(host)) == nullptr)
    return fail(
        Code::denied, cat("roster of fleet '", roster.fleet, "': this host is none of its hosts"));
  if (const auto* here = roster.by_recipient(recipient_of(host)))
    (void)TRY_IN("roster", nginx::fleet_of(roster, *here));
  TRY(host.disk.write(host.paths.roster(), control::signed_roster_text(given), 0600));
  const auto now = TRY(held(host));
  log::info(cat("fleet '", roster.fleet, "': epoch ", roster.epoch, ", ", roster.hosts.size(),
      " hosts", now->here == nullptr ? ", without this host" : ""));
  return control::RosterTaken{seat(*now), true};
}

nginx::Fleet traffic_of(const HostContext& host) {
  const auto now = held(host);
  if (!now || !*now || !(*now)->problem.empty() || (*now)->here == nullptr)
    return {};
  return nginx::fleet_of((*now)->roster, *(*now)->here).value_or(nginx::Fleet{});
}

Result<Fleet> fleet_of(const HostContext& host) {
  auto now = TRY(held(host));
  if (!now)
    return fail(Code::not_found, "this host is of no fleet: chillboxctl fleet add");
  const std::string of = cat("fleet '", now->roster.fleet, "': ");
  if (!now->problem.empty())
    return fail(Code::denied, cat(of, "its roster does not count: ", now->problem));
  if (now->here == nullptr)
    return fail(Code::denied, cat(of, "this host was removed from it"));
  std::string me = now->here->name;
  return Fleet{std::move(now->roster), std::move(me)};
}

std::optional<control::FleetSeat> seat_of(const HostContext& host) {
  const auto now = held(host);
  if (!now)
    return control::FleetSeat{.problem = now.error().message};
  return *now ? std::optional(seat(**now)) : std::nullopt;
}

std::string runs_elsewhere(const HostContext& host, std::string_view where) {
  if (where == config::k_all_hosts)
    return "";
  const auto now = held(host);
  if (!now)
    return cat("runs nowhere: ", now.error().message);
  if (!*now && where == config::k_once)
    return "runs nowhere: this host is of no fleet: chillboxctl fleet add";
  if (!*now)
    return where == config::k_first_host
        ? ""
        : cat("runs on ", where, " alone, and this host is of no fleet");
  const Held& fleet = **now;
  const std::string of = cat(" of fleet ", fleet.roster.fleet);
  if (!fleet.problem.empty())
    return cat("runs nowhere: the roster", of, ": ", fleet.problem);
  if (where == config::k_once)
    return host.fleet == nullptr ? cat("runs nowhere: ", k_needs_engine)
        : fleet.here == nullptr  ? cat("runs nowhere: this host is none", of)
                                 : "";
  const bool first = where == config::k_first_host;
  if (first ? fleet.first() : fleet.here != nullptr && fleet.here->name == where)
    return "";
  if (first && fleet.roster.hosts.empty())
    return cat("runs nowhere: no host is left", of);
  return first ? cat("runs on ", fleet.roster.hosts.front().name, " alone, the first", of)
               : cat("runs on ", where, " alone,", of);
}

Result<void> check_where(const HostContext& host, std::string_view where) {
  if (where == config::k_once) {
    const auto why = runs_elsewhere(host, where);
    return why.empty() ? Result<void>{} : fail(Code::invalid, cat("once: ", why));
  }
  if (where == config::k_all_hosts || where == config::k_first_host)
    return {};
  const auto now = TRY(held(host));
  if (!now)
    return fail(Code::invalid, cat("names the host '", where, "', and this one is of no fleet"));
  std::vector<std::string> names;
  for (const auto& one : now->roster.hosts)
    names.push_back(one.name);
  if (std::ranges::find(names, where) == names.end())
    return fail(Code::invalid,
        cat("fleet ", now->roster.fleet, " has no host '", where, "': all, first, once, ",
            join(names, ", ")));
  return {};
}

} // namespace chillbox::rollout
