// fleet add, remove, balance, rotate, push, status, show: which hosts serve the same sites, in an
// order, as a roster that is signed here and that each of them keeps (laptop/fleet_roster.hpp);
// fleet take: what is run there for it.
#include "cli/core/answer_table.hpp"
#include "cli/core/options.hpp"
#include "cli/core/terminal.hpp"
#include "cli/laptop/fleet_roster.hpp"
#include "cli/laptop/host_record.hpp"
#include "cli/laptop/target.hpp"

#include "base/encoding.hpp"
#include "base/text.hpp"
#include "config/validators.hpp"
#include "nginx/balance.hpp"

#include <algorithm>
#include <array>
#include <filesystem>

namespace chillbox::cli {
namespace {

using control::FleetHost;
using control::Roster;

constexpr Option k_roster{"--file", ArgKind::text, "FILE",
    "the signed roster (default: config/chillbox/fleet.json in your home)"};
constexpr Option k_fenced{"--fenced", ArgKind::flag, "",
    "the host that was the first one is switched off, and stays so until it has the new roster"};
constexpr Option k_sign_with{
    "-k,--key", ArgKind::text, "KEY", "sign with this minisign secret key, not your own"};
constexpr std::array k_fleet_add_options{
    Option{"NAME", ArgKind::list, "", "names of `hosts`, with commas between"},
    Option{"--name", ArgKind::text, "FLEET", "of a new fleet: its name (default: main)"},
    Option{"--first", ArgKind::flag, "", "put it at the beginning: what runs once runs there"},
    Option{"--address", ArgKind::text, "ADDRESS",
        "where the other hosts reach it (default: as ssh does); for one host"},
    Option{"--roles", ArgKind::list, "ROLE[,..]", "what it is for, as you call it"},
    k_fenced,
    k_roster,
    k_sign_with,
    k_passphrase_fd,
};
constexpr std::array k_fleet_remove_options{
    Option{"NAME", ArgKind::list, "", "as `fleet show` names them, with commas between"},
    k_fenced,
    k_roster,
    k_sign_with,
    k_passphrase_fd,
};
constexpr std::array k_fleet_balance_options{
    Option{"SITE", ArgKind::text, "", "name of the site"},
    Option{"--names", ArgKind::list, "NAME[,..]",
        "its host names, all of them; without it the balancers let it go"},
    Option{"--body-max", ArgKind::text, "SIZE",
        "the largest request that they take for it (default: 32M)"},
    k_roster,
    k_sign_with,
    k_passphrase_fd,
};
constexpr std::array k_fleet_rotate_options{k_roster, k_sign_with, k_passphrase_fd};
constexpr std::array k_of_file{k_roster};
constexpr std::array k_fleet_take_options{
    Option{"ROSTER", ArgKind::text, "", "the file of the roster, as base64"}};

std::string roster_file(const Call& call, const Places& places) {
  return std::filesystem::absolute(call.args.text("file", places.config + "/fleet.json")).string();
}

// Facts of a host that is to be in it; conflict: it says another key than is known of it.
Result<void> put(Call& call, const Places& places, Roster& roster, const FactsOf& facts,
    const std::string& name, size_t at) {
  const auto answer = std::ranges::find(facts, name, &HostAnswer<control::Facts>::host);
  if (!answer->answer)
    return fail(Code::unreachable, cat(name, ": ", printable(answer->message, 300)));
  const Target target = TRY(target_named(places, name));
  if (has_another_key(target, answer->answer->recipient))
    return fail(Code::conflict,
        cat(name,
            " has another host key than the one that is remembered of it: chillboxctl "
            "hosts remove ",
            name, ", and chillboxctl setup, if it was set up again"));
  const auto known = std::ranges::find(roster.hosts, name, &FleetHost::name);
  const bool is_new = known == roster.hosts.end();
  FleetHost host = is_new ? FleetHost{name, address_of(target.host.target), {}, {}} : *known;
  host.recipient = answer->answer->recipient;
  host.report_key = answer->answer->report_key;
  if (call.args.has("address"))
    host.address = call.args.text("address");
  if (call.args.has("roles"))
    host.roles = call.args.list("roles");
  if (is_new || call.args.has("first")) {
    if (!is_new)
      roster.hosts.erase(known);
    roster.hosts.insert(call.args.has("first")
            ? roster.hosts.begin() + static_cast<std::ptrdiff_t>(at)
            : roster.hosts.end(),
        std::move(host));
  } else {
    *known = std::move(host);
  }
  return {};
}

// A copy of what hosts will look at, so that it is known here what they would refuse.
Result<void> check_traffic(const Roster& roster) {
  const auto is_balancer = [](const FleetHost& host) { return host.balances(); };
  if (roster.balanced.empty())
    return {};
  if (std::ranges::none_of(roster.hosts, is_balancer))
    return fail(Code::conflict,
        cat("fleet '", roster.fleet,
            "' has no balancer: chillboxctl fleet add NAME --roles balancer"));
  if (std::ranges::all_of(roster.hosts, is_balancer))
    return fail(Code::conflict,
        cat("fleet '", roster.fleet, "' has balancers, and no other host for their visitors"));
  (void)TRY(nginx::fleet_of(roster, roster.hosts.front()));
  return {};
}

Result<void> run_fleet_add(Call& call) {
  const Places places = Places::find();
  const auto names = call.args.list("NAME");
  if (call.args.has("address") && names.size() > 1)
    return fail(Code::usage, "--address is for one host at a time");
  if (const auto there = read_roster(roster_file(call, places));
      there && call.args.has("name") && call.args.text("name") != there->roster.fleet)
    return fail(Code::conflict,
        cat(there->path, " is the roster of fleet '", there->roster.fleet, "', not of '",
            printable(call.args.text("name"), 80),
            "': another fleet has a roster of its own, --file FILE"));
  for (const auto& name : names)
    if (!parse_key_name(name))
      return fail(Code::usage,
          cat("'", printable(name, 80),
              "' is no name of `hosts`: chillboxctl setup remembers a host by one"));
  return change_roster(call, places, roster_file(call, places),
      {.fleet = call.args.text("name", "main"),
          .more = names,
          .edit = [&](Roster& roster, const FactsOf& facts) -> Result<void> {
            for (size_t i = 0; i < names.size(); ++i)
              TRY(put(call, places, roster, facts, names[i], i));
            return check_traffic(roster);
          },
          .fenced = call.args.has("fenced")});
}

Result<void> run_fleet_remove(Call& call) {
  const Places places = Places::find();
  return change_roster(call, places, roster_file(call, places),
      {.fleet = {},
          .more = {},
          .edit = [&](Roster& roster, const FactsOf&) -> Result<void> {
            for (const auto& name : call.args.list("NAME"))
              if (std::erase_if(
                      roster.hosts, [&](const FleetHost& host) { return host.name == name; }) == 0)
                return fail(Code::not_found,
                    cat("fleet '", roster.fleet, "' has no host '", printable(name, 80),
                        "': chillboxctl fleet show"));
            return check_traffic(roster);
          },
          .fenced = call.args.has("fenced")});
}

Result<void> run_fleet_balance(Call& call) {
  const Places places = Places::find();
  control::BalancedSite site{.site = call.args.text("SITE"), .names = call.args.list("names")};
  (void)TRY_IN("SITE", SiteName::parse(site.site));
  if (call.args.has("body-max")) {
    const auto size = config::parse_size(call.args.text("body-max"));
    if (!size)
      return fail(Code::usage, "--body-max: such as 64M or 2G");
    site.body_max = *size;
  }
  return change_roster(call, places, roster_file(call, places),
      {.fleet = {}, .more = {}, .edit = [&](Roster& roster, const FactsOf&) -> Result<void> {
         const auto known =
             std::ranges::find(roster.balanced, site.site, &control::BalancedSite::site);
         if (site.names.empty() && known == roster.balanced.end())
           return fail(Code::not_found,
               cat("no balancer of fleet '", roster.fleet, "' takes visitors of '",
                   printable(site.site, 80), "': --names with its host names makes them do so"));
         if (site.names.empty())
           roster.balanced.erase(known);
         else if (known == roster.balanced.end())
           roster.balanced.push_back(site);
         else
           *known = site;
         return check_traffic(roster);
       }});
}

// A host that does not answer keeps what is known of it.
Result<void> run_fleet_rotate(Call& call) {
  const Places places = Places::find();
  return change_roster(call, places, roster_file(call, places),
      {.fleet = {}, .more = {}, .edit = [](Roster& roster, const FactsOf& facts) -> Result<void> {
         for (auto& host : roster.hosts)
           if (const auto* now = facts_of(facts, host.name)) {
             host.recipient = now->recipient;
             host.report_key = now->report_key;
           }
         return {};
       }});
}

Result<void> run_fleet_push(Call& call) {
  const Places places = Places::find();
  (void)TRY(send_roster(call, places, TRY(read_roster(roster_file(call, places)))));
  return {};
}

Result<void> run_fleet_show(Call& call) {
  print_report(call, report_of(TRY(read_roster(roster_file(call, Places::find()))).roster));
  return {};
}

// What one host says of itself, against the roster that is here.
int look(FleetRow& row, const RosterFile& file, const control::Status& status) {
  const Roster& roster = file.roster;
  row.state = status.host.sealed ? "locked" : status.host.drained ? "drained" : "unlocked";
  std::vector<std::string> notes;
  for (const auto& site : status.sites) {
    row.sites.push_back(cat(site.site, " ", site.version));
    if (site.state != control::SiteState::live)
      notes.push_back(cat(site.site, ": ", site.waiting.empty() ? name(site.state) : site.waiting));
    if (site.drained)
      notes.push_back(cat(site.site, ": drained"));
  }
  const auto& seat = status.host.fleet;
  if (seat)
    row.epoch = seat->epoch;
  const bool same = seat && seat->fleet == roster.fleet && seat->epoch == roster.epoch &&
      (seat->digest.empty() || seat->digest == file.digest);
  if (!same)
    notes.insert(notes.begin(),
        !seat                             ? "it has no roster: chillboxctl fleet push"
            : seat->fleet != roster.fleet ? cat("it is of fleet ", seat->fleet)
            : seat->epoch < roster.epoch
            ? "its roster is older than the one here: chillboxctl fleet push"
            : seat->epoch == roster.epoch
            ? "it has another roster of this epoch: somebody else changed the fleet at the same "
              "time"
            : "its roster is newer than the one here: somebody else changed the fleet");
  else if (!seat->problem.empty())
    notes.insert(notes.begin(), seat->problem);
  row.message = join(notes, "; ");
  if (same && seat->problem.empty())
    return 0;
  row.code = code_name(Code::partial);
  return exit_code(Code::partial);
}

// What the hosts report of rollouts that they walk, by the first one that has an engine. The exit
// code is that of the first one that has ended badly, as `rollout run` has it; 0: none has.
int add_rollouts(FleetReport& report, const std::vector<Host>& hosts) {
  for (const Host& host : hosts) {
    const auto asked =
        ask_hosts<control::OrderedRollouts>({host}, {"rollout", "reports", "--json"});
    if (!asked || !asked->front().answer)
      continue;
    report.rollouts = asked->front().answer->rollouts;
    for (const auto& one : *report.rollouts)
      if (const auto verdict = control::verdict_of_rollout(one); one.ended && !verdict)
        return exit_code(verdict.error().code);
    return 0;
  }
  return 0;
}

Result<void> run_fleet_status(Call& call) {
  const Places places = Places::find();
  const auto file = TRY(read_roster(roster_file(call, places)));
  FleetReport report = report_of(file.roster);
  std::vector<Host> hosts;
  for (const auto& row : report.hosts) {
    hosts.push_back(TRY(target_named(places, row.host)).host);
    hosts.back().name = row.host;
  }
  std::vector<int> codes;
  for (const auto& one : TRY(ask_hosts<control::Status>(hosts, {"status", "--json"}))) {
    FleetRow& row = report.hosts[codes.size()];
    row.code = one.code;
    row.message = one.message;
    // Also of a host whose `status` ends with 1: it answers, and what is wrong is in the table.
    codes.push_back(one.answer ? look(row, file, *one.answer) : one.exit);
  }
  const int rollouts = add_rollouts(report, hosts);
  print_report(call, report);
  call.exit = joined_exit(codes);
  if (call.exit == 0)
    call.exit = rollouts;
  return {};
}

Result<void> run_take(Call& call) {
  const Bytes text = TRY_IN("ROSTER", unbase64(call.args.text("ROSTER")));
  const auto taken = TRY(ask_or_print<control::RosterTaken>(
      call, {.verb = "fleet_take", .args = {.roster = std::string(text.begin(), text.end())}}));
  if (taken)
    call.terminal.print(cat(taken->changed ? "" : "unchanged: ", "fleet ", taken->seat.fleet,
        ", epoch ", taken->seat.epoch));
  return {};
}

} // namespace

extern constinit const Verb k_fleet_add{"fleet add", Group::laptop, Where::laptop,
    "make hosts a fleet, or put them into it", k_fleet_add_options, run_fleet_add};
extern constinit const Verb k_fleet_remove{"fleet remove", Group::laptop, Where::laptop,
    "take hosts out of the fleet", k_fleet_remove_options, run_fleet_remove};
extern constinit const Verb k_fleet_balance{"fleet balance", Group::laptop, Where::laptop,
    "have the fleet's balancers take the visitors of a site, or let it go", k_fleet_balance_options,
    run_fleet_balance};
extern constinit const Verb k_fleet_rotate{"fleet rotate", Group::laptop, Where::laptop,
    "take the hosts' keys as they are now, and sign the roster again", k_fleet_rotate_options,
    run_fleet_rotate};
extern constinit const Verb k_fleet_push{"fleet push", Group::laptop, Where::laptop,
    "send the roster to its hosts again", k_of_file, run_fleet_push};
extern constinit const Verb k_fleet_status{"fleet status", Group::laptop, Where::laptop,
    "show how each host of the fleet is", k_of_file, run_fleet_status};
extern constinit const Verb k_fleet_show{"fleet show", Group::laptop, Where::laptop,
    "show the roster as it is here", k_of_file, run_fleet_show};
extern constinit const Verb k_fleet_take{"fleet take", Group::act, Where::host,
    "keep a signed roster, which `fleet` sends", k_fleet_take_options, run_take};

} // namespace chillbox::cli
