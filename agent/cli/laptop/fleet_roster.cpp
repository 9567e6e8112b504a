#include "cli/laptop/fleet_roster.hpp"

#include "base/encoding.hpp"
#include "base/text.hpp"
#include "cli/core/table.hpp"
#include "cli/core/terminal.hpp"
#include "cli/laptop/deploy_sign.hpp"
#include "cli/laptop/target.hpp"
#include "crypto/hash.hpp"
#include "os/disk.hpp"
#include "os/lock.hpp"

#include <algorithm>

namespace chillbox::cli {
namespace {

using control::Roster;

Result<std::vector<Host>> hosts_named(const Places& places, const std::vector<std::string>& names) {
  std::vector<Host> hosts;
  for (const auto& name : names) {
    Host host = TRY(target_named(places, name)).host;
    host.name = name;
    hosts.push_back(std::move(host));
  }
  return hosts;
}

std::vector<std::string> names_of(const Roster& roster) {
  std::vector<std::string> names;
  for (const auto& host : roster.hosts)
    names.push_back(host.name);
  return names;
}

void add_new(std::vector<std::string>& to, const std::vector<std::string>& more) {
  for (const auto& one : more)
    if (std::ranges::find(to, one) == to.end())
      to.push_back(one);
}

std::string first_of(const Roster& roster) {
  return roster.hosts.empty() ? "" : roster.hosts.front().name;
}

// The newest epoch that the hosts have. conflict: a host of another fleet.
Result<uint64_t> newest_epoch(const FactsOf& facts, const std::string& fleet) {
  uint64_t newest = 0;
  for (const auto& one : facts) {
    if (!one.answer || !one.answer->fleet)
      continue;
    const auto& seat = *one.answer->fleet;
    if (!seat.fleet.empty() && seat.fleet != fleet)
      return fail(Code::conflict,
          cat(one.host, " is of fleet '", printable(seat.fleet, 80), "', not of '", fleet, "'"));
    newest = std::max(newest, seat.epoch);
  }
  return newest;
}

Result<std::string> signed_text(
    Call& call, const Places& places, const Roster& roster, const FactsOf& facts) {
  const auto someone = std::ranges::find_if(facts, [](const auto& one) { return !!one.answer; });
  if (someone == facts.end())
    return fail(Code::unreachable,
        facts.empty() ? "the fleet has no host"
                      : cat("no host answers: ", facts.front().host, ": ",
                            printable(facts.front().message, 300)));
  const std::string text = control::roster_text(roster);
  crypto::Blake2b512 blake2b;
  blake2b.update(bytes_of(text));
  const SiteName fleet = TRY_IN("the fleet's name", SiteName::parse(roster.fleet));
  const ToSign what{blake2b.finish(),
      artifact::Statement{.site = fleet,
          .fleet = true,
          .version = {},
          .serial = roster.epoch,
          .sha256 = crypto::sha256_of(bytes_of(text)),
          .expires = {}}};
  auto signature = TRY(sign_for(call, places, *someone->answer, someone->host, what));
  return control::signed_roster_text({text, std::move(signature)});
}

using Taken = std::vector<HostAnswer<control::RosterTaken>>;
Result<Taken> send_to(
    const Places& places, const std::string& text, const std::vector<std::string>& names) {
  return ask_hosts<control::RosterTaken>(
      TRY(hosts_named(places, names)), {"fleet", "take", "--json", "--", base64(bytes_of(text))});
}

// Whether a host has this one, or another one of the same epoch.
enum class Has { neither, this_one, another };
Has what_has(const HostAnswer<control::Facts>& host, const RosterFile& file) {
  const auto seat = host.answer ? host.answer->fleet : std::nullopt;
  if (!seat || seat->fleet != file.roster.fleet || seat->epoch != file.roster.epoch)
    return Has::neither;
  return seat->digest.empty() || seat->digest == file.digest ? Has::this_one : Has::another;
}

// A change that broke off after a host had taken it is what is; one that none has is forgotten.
Result<void> finish_broken(const std::string& path, const FactsOf& facts) {
  const std::string begun = path + ".new";
  const auto left = read_roster(begun);
  if (!left)
    return {};
  if (std::ranges::any_of(
          facts, [&](const auto& one) { return what_has(one, *left) == Has::this_one; }))
    TRY(write_own_file(path, left->text, control::k_max_signed_roster));
  return os::real_disk().remove(begun);
}

// Of two that were signed at the same time, the one that counts is the one that the first host has
// or, while that does not answer, a host.
Result<void> check_counts(const FactsOf& facts, const RosterFile& file) {
  const auto another = std::ranges::find_if(
      facts, [&](const auto& one) { return what_has(one, file) == Has::another; });
  if (another == facts.end())
    return {};
  const auto first =
      std::ranges::find(facts, first_of(file.roster), &HostAnswer<control::Facts>::host);
  const bool asked = first != facts.end() && first->answer;
  if (asked ? what_has(*first, file) == Has::this_one
            : std::ranges::any_of(
                  facts, [&](const auto& one) { return what_has(one, file) == Has::this_one; }))
    return {};
  return fail(Code::conflict,
      cat(another->host, " has another roster of epoch ", file.roster.epoch, " of fleet '",
          file.roster.fleet, "' than ", file.path,
          ": somebody else changed the fleet at the same time; take the file of the one who did, "
          "and make your change again"));
}

Result<void> ask_first(const Places& places, const std::string& text, const std::string& first) {
  const auto taken = TRY(send_to(places, text, {first}));
  if (taken.front().answer)
    return {};
  return fail(
      taken.front().exit == exit_code(Code::unreachable) ? Code::unreachable : Code::conflict,
      cat(first, ": ", printable(taken.front().message, 500),
          "; until it takes the new roster it "
          "is the first host, and runs what runs once. If it is switched off: the same command "
          "with --fenced. Nothing was changed"));
}

} // namespace

Result<RosterFile> read_roster(const std::string& path) {
  auto text = read_own_file(path, control::k_max_signed_roster);
  if (!text && text.error().code == Code::not_found)
    return fail(Code::not_found,
        cat("there is no fleet here (", path, "): chillboxctl fleet add NAME[,..]"));
  const auto parts = TRY_IN(path, control::parse_signed_roster(TRY(text)));
  auto roster = TRY_IN(path, control::parse_roster(parts.roster));
  return RosterFile{
      path, std::move(roster), *std::move(text), crypto::sha256_of(bytes_of(parts.roster)).str()};
}

const control::Facts* facts_of(const FactsOf& facts, const std::string& host) {
  const auto found = std::ranges::find(facts, host, &HostAnswer<control::Facts>::host);
  return found == facts.end() || !found->answer ? nullptr : &*found->answer;
}

FleetReport report_of(const Roster& roster) {
  FleetReport report{roster.fleet, roster.epoch, {}, roster.balanced};
  for (const auto& host : roster.hosts)
    report.hosts.push_back({.host = host.name,
        .address = host.address,
        .roles = host.roles,
        .first = report.hosts.empty(),
        .epoch = {},
        .state = {},
        .sites = {},
        .code = {},
        .message = {}});
  return report;
}

void print_report(Call& call, const FleetReport& report) {
  if (call.terminal.json()) {
    call.terminal.print(answer_text("fleet", report));
    return;
  }
  Table table{{"HOST", "ADDRESS", "ROLES", "EPOCH", "STATE", "SITES", "WORTH A LOOK"}, {}};
  for (const auto& host : report.hosts)
    table.rows.push_back({cat(host.host, host.first ? " (first)" : ""), host.address,
        join(host.roles, ","), host.epoch ? std::to_string(*host.epoch) : "", host.state,
        join(host.sites, ", "), printable(host.message, 500)});
  call.terminal.print(cat("fleet ", report.fleet, ", epoch ", report.epoch));
  print_table(call.terminal, table, "no host is left");
  for (const auto& site : report.balanced)
    call.terminal.print(cat("balanced: ", site.site, " (", join(site.names, ", "), ")"));
  for (const auto& one : report.rollouts.value_or(std::vector<control::OrderedRollout>{})) {
    if (!one.problem.empty()) {
      call.terminal.print(cat("\n", one.site, ": ", printable(one.problem, 300)));
      continue;
    }
    Table hosts{{"HOST", "STATE", "BEFORE", "SAYS"}, {}};
    for (const auto& host : one.hosts)
      hosts.rows.push_back({host.host, std::string(control::name(host.state)),
          printable(host.before, 80), printable(host.message, 300)});
    call.terminal.print(cat("\n", one.site, " ", one.version, ", order ", one.serial, " by ",
        printable(one.signer, 80),
        one.ended      ? ": ended"
            : one.stop ? ": stopped"
                       : ""));
    print_table(call.terminal, hosts, "");
  }
}

Result<Received> send_roster(Call& call, const Places& places, const RosterFile& file,
    const std::vector<std::string>& more) {
  auto names = names_of(file.roster);
  add_new(names, more);
  FleetReport report = report_of(file.roster);
  for (size_t i = report.hosts.size(); i < names.size(); ++i)
    report.hosts.push_back({.host = names[i],
        .address = {},
        .roles = {},
        .epoch = {},
        .state = "removed",
        .sites = {},
        .code = {},
        .message = {}});
  std::vector<int> codes;
  Received received;
  for (const auto& one : TRY(send_to(places, file.text, names))) {
    FleetRow& row = report.hosts[codes.size()];
    codes.push_back(one.exit);
    if (one.answer)
      row.epoch = one.answer->seat.epoch;
    received.taken |= one.answer.has_value();
    received.refused &= !one.answer && one.exit != exit_code(Code::unreachable);
    row.code = one.code;
    row.message = one.message;
  }
  print_report(call, report);
  call.exit = joined_exit(codes);
  if (call.exit != 0 && !call.terminal.json())
    call.terminal.print_error(cat(call.terminal.err(Style::bad, "chillboxctl:"), " ",
        std::ranges::count_if(codes, [](int code) { return code != 0; }), " of ", codes.size(),
        " hosts did not take it",
        received.taken ? ": chillboxctl fleet push sends it again"
                       : cat(", and ", file.path, " is as it was")));
  return received;
}

Result<void> change_roster(
    Call& call, const Places& places, const std::string& path, const RosterChange& change) {
  if (change.fleet.empty())
    (void)TRY(read_roster(path)); // or there is nothing to lock
  TRY(make_private_dir(path.substr(0, path.rfind('/'))));
  const auto lock = TRY(os::LockFile::take(path + ".lock", "chillboxctl fleet"));
  auto old = read_roster(path);
  if (!old && old.error().code != Code::not_found)
    return std::unexpected(old.error());
  Roster roster = old ? old->roster : Roster{change.fleet, 0, {}};
  auto names = names_of(roster);
  add_new(names, change.more);
  const FactsOf facts =
      TRY(ask_hosts<control::Facts>(TRY(hosts_named(places, names)), {"facts", "--json"}));
  const uint64_t newest = TRY(newest_epoch(facts, roster.fleet));
  TRY(finish_broken(path, facts));
  const auto finished = read_roster(path);
  if (finished)
    roster = finished->roster;
  if (newest > roster.epoch)
    return fail(Code::conflict,
        cat("a host has epoch ", newest, " of fleet '", roster.fleet, "', and ", path,
            " is of epoch ", roster.epoch,
            ": somebody else changed the fleet; take the file of the one who did"));
  if (finished)
    TRY(check_counts(facts, *finished));
  const std::string first = first_of(roster);
  const auto before = names_of(roster);
  TRY(change.edit(roster, facts));
  ++roster.epoch;
  (void)TRY(control::parse_roster(control::roster_text(roster))); // as each host will
  const std::string text = TRY(signed_text(call, places, roster, facts));
  const std::string begun = path + ".new";
  TRY(write_own_file(begun, text, control::k_max_signed_roster));
  if (!first.empty() && first_of(roster) != first && !change.fenced)
    if (const auto taken = ask_first(places, text, first); !taken) {
      if (taken.error().code != Code::unreachable) // else it may have taken it
        TRY(os::real_disk().remove(begun));
      return taken;
    }
  std::vector<std::string> gone = before;
  std::erase_if(gone, [&](const std::string& name) {
    return std::ranges::find(roster.hosts, name, &control::FleetHost::name) != roster.hosts.end();
  });
  // Until a host has it, it is nobody's roster: somebody else may be changing the fleet, too.
  const auto received = TRY(send_roster(call, places, {path, roster, text, ""}, gone));
  if (received.taken)
    TRY(write_own_file(path, text, control::k_max_signed_roster));
  return received.taken || received.refused ? os::real_disk().remove(begun) : Result<void>{};
}

} // namespace chillbox::cli
