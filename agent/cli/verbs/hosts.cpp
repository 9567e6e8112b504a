// hosts, hosts list, hosts remove: the hosts that this laptop remembers, and how they are now.
#include "cli/core/answers.hpp"
#include "cli/core/duration.hpp"
#include "cli/core/host_setup.hpp"
#include "cli/core/table.hpp"
#include "cli/core/terminal.hpp"
#include "cli/fleet/ssh.hpp"
#include "cli/laptop/host_record.hpp"

#include "base/text.hpp"
#include "os/clock.hpp"

#include <array>

namespace chillbox::cli {
namespace {

constexpr std::array k_hosts_remove_options{
    Option{"NAME", ArgKind::text, "", "the name in the list"},
};

struct Seen {
  std::string state, version;
  std::vector<std::string> sites;
};

// All at once, in batch mode: one that does not answer within five seconds is away.
Result<std::vector<Seen>> look_at(const std::vector<HostRecord>& records) {
  std::vector<Host> hosts;
  for (const HostRecord& record : records) {
    hosts.push_back(TRY(host_of(record))); // of those that could be read
    hosts.back().ssh.insert(hosts.back().ssh.end(), {"-o", "ConnectTimeout=5"});
  }
  ParallelSsh command{{"status", "--json"}};
  command.on_error = [](const Host&, const std::string&) {};
  std::vector<Seen> all;
  for (const HostResult& from : TRY(run_in_parallel(hosts, command))) {
    const auto status = control::read_answer<control::Status>(from.out);
    Seen& seen = all.emplace_back();
    if (!status) {
      seen.state = from.code == exit_code(Code::unreachable) ? "away" : "no answer";
      continue;
    }
    seen.state = status->host.sealed ? "locked" : "unlocked";
    seen.version = status->host.version;
    for (const auto& site : status->sites)
      seen.sites.push_back(site.site);
  }
  return all;
}

Result<void> run_hosts(Call& call) {
  const Places places = Places::find();
  std::vector<std::string> problems;
  std::vector<HostRecord> records = load_hosts(places, &problems);
  for (const std::string& problem : problems)
    call.terminal.print_error(printable(problem, 500));
  const auto seen = TRY(look_at(records));
  const int64_t now = os::real_clock().wall_ms();
  Hosts answer;
  Table table{{"NAME", "ADDRESS", "STATE", "SITES", "VERSION", "SEEN"}, {}};
  for (size_t i = 0; i < records.size(); ++i) {
    HostRecord& record = records[i];
    if (!seen[i].version.empty()) {
      auto changed = change_host(
          places, record.name,
          [&](HostRecord& as_it_is) -> Result<void> {
            as_it_is.seen_ms = now;
            as_it_is.version = seen[i].version;
            as_it_is.sites = seen[i].sites;
            return {};
          },
          Missing::is_an_error);
      if (!changed && changed.error().code == Code::not_found)
        continue; // it was removed meanwhile
      record = TRY(std::move(changed));
    }
    answer.hosts.push_back({.name = record.name,
        .ssh = record.ssh,
        .state = seen[i].state,
        .version = record.version,
        .sites = record.sites});
    table.rows.push_back({record.name, record.ssh, seen[i].state, join(record.sites, ", "),
        record.version, record.seen_ms == 0 ? "never" : format_age(record.seen_ms, now)});
  }
  if (call.terminal.json())
    call.terminal.print(answer_text("hosts", answer));
  else
    print_table(call.terminal, table, "no host is known here yet: chillboxctl setup root@HOST");
  for (const auto& host : answer.hosts)
    if (host.state == "locked" && !call.terminal.json())
      call.terminal.print_status(
          cat(host.name, " is locked: chillboxctl -H ", host.name, " unlock"));
  return {};
}

Result<void> run_hosts_remove(Call& call) {
  const Places places = Places::find();
  const std::string name = call.args.text("NAME");
  if (const auto known = load_host(places, name); !known && known.error().code == Code::not_found) {
    std::vector<std::string> names;
    for (const HostRecord& record : load_hosts(places, nullptr))
      names.push_back(record.name);
    return no_such("host", name, names);
  }
  TRY(forget_host(places, name));
  print_change(call, "hosts-remove", name, true,
      cat(name,
          " is forgotten here; nothing was changed there, and your key is still trusted there"));
  return {};
}

} // namespace

extern constinit const Verb k_hosts{"hosts", Group::laptop, Where::laptop,
    "show the hosts that this laptop knows, and how they are", {}, run_hosts};
extern constinit const Verb k_hosts_list{
    "hosts list", Group::laptop, Where::laptop, "the same", {}, run_hosts};
extern constinit const Verb k_hosts_remove{"hosts remove", Group::laptop, Where::laptop,
    "forget a host; nothing is changed there", k_hosts_remove_options, run_hosts_remove};

} // namespace chillbox::cli
