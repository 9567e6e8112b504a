#include "cli/laptop/host_export.hpp"

#include "base/text.hpp"
#include "cli/core/answers.hpp"
#include "cli/laptop/backup_carry.hpp"
#include "cli/laptop/deploy_memory.hpp"
#include "cli/laptop/host_record.hpp"
#include "cli/laptop/project.hpp"
#include "cli/report/all_jobs.hpp"
#include "os/clock.hpp"

#include <algorithm>

namespace chillbox::cli {
namespace {

constexpr uint64_t k_most_jobs = 10'000;
constexpr int64_t k_tomorrow = 86'400'000; // their clocks differ

// Of those of chillbox.toml, the environment that names this host.
std::string env_of(const std::string& root, const std::string& host) {
  const auto project = project_at(root);
  if (!project || std::ranges::find(project->top.hosts, host) != project->top.hosts.end())
    return "";
  for (const auto& [name, table] : project->envs)
    if (std::ranges::find(table.hosts, host) != table.hosts.end())
      return name;
  return "";
}

// The record's name, under which deploys are remembered: also of one that is known under another
// address.
std::string name_here(const Places& places, const RemoteCtl& host, const control::Facts& facts) {
  if (!host.target().record)
    for (const auto& record : load_hosts(places, nullptr))
      if (!facts.recipient.empty() && record.recipient == facts.recipient)
        return record.name;
  return host.name();
}

Result<ExportedSite> look_at(RemoteCtl& host, const std::string& known, const std::string& site) {
  const auto facts = TRY(host.ask<control::Facts>({"facts", "--", site}));
  ExportedSite found{.site = site};
  if (facts.site) {
    found.version = facts.site->version;
    found.release = facts.site->release;
    found.names = facts.site->names;
  }
  found.root = recall(Places::find(), known, site).root;
  if (!found.root.empty())
    found.env = env_of(found.root, known);
  return found;
}

// Custom targets are a program of the host's, too; what is not ours cannot be run here.
Result<void> keep_target(RemoteCtl& host, const std::string& folder, const std::string& target) {
  if (!parse_key_name(target))
    return fail(Code::denied, cat(host.name(), ": '", printable(target, 80), "' is no target"));
  const auto read = TRY(host.shell().command({"cat", "/etc/chillbox/backup/" + target}));
  if (read.code != 0)
    return fail(Code::denied,
        cat(host.name(), ": the settings of its target cannot be read: ",
            printable(trim(read.err), 200), ". Its address has to be root@HOST"));
  return write_own_file(cat(folder, "/", k_export_target, "/", target), read.out, k_max_export);
}

// All of its jobs. Of more than fit in the file the oldest stay behind, which is said.
Result<void> keep_jobs(Call& call, RemoteCtl& host, const std::string& folder) {
  constexpr uint64_t k_at_once = 200; // what a command prints there has a limit
  const auto page = [&](const Period& period, uint64_t limit) {
    const auto until = rfc3339(period.until_ms / 1000 + 1); // a time has whole seconds there
    return host.ask<control::JobList>({"jobs", "-n", std::to_string(limit), "-u", until});
  };
  control::JobList list;
  const Period until_now{.until_ms = os::real_clock().wall_ms() + k_tomorrow};
  list.jobs = TRY(all_jobs(page, until_now, k_most_jobs, k_at_once));
  const size_t all = list.jobs.size();
  std::string text = control::answer_text("jobs", list);
  while (text.size() > k_max_export) {
    list.jobs.resize(list.jobs.size() / 2, list.jobs.front());
    text = control::answer_text("jobs", list);
  }
  if (list.jobs.size() < all || all >= k_most_jobs)
    call.terminal.print_status(
        cat("history     the newest ", list.jobs.size(), " jobs; older ones are not exported"));
  return write_own_file(cat(folder, "/", k_export_jobs), text, k_max_export);
}

} // namespace

std::string name_of_exported(std::string_view host) {
  std::string name(host);
  if (!parse_key_name(name))
    name = address_of(ssh_destination(host));
  std::ranges::replace(name, ':', '-');
  return parse_key_name(name) ? name : "host";
}

Result<void> export_host(Call& call) {
  const Places places = Places::find();
  const std::string folder = call.args.text("to");
  auto host = TRY(RemoteCtl::open(places, TRY(target_named(places, call.args.text("HOST")))));
  const auto facts = TRY(host.ask<control::Facts>({"facts"}));
  const std::string known = name_here(places, host, facts);
  const auto list = TRY(host.ask<control::BackupList>({"backup", "list"}));
  const auto key = TRY(pin_backup_key(places, host.target(), list.key));
  TRY(make_private_dir(folder));
  HostExport all{.host = name_of_exported(known),
      .server_name = facts.server_name,
      .target = list.target,
      .key = key.to_line(),
      .time_ms = os::real_clock().wall_ms()};
  if (!list.target.empty())
    TRY(keep_target(host, folder, list.target));
  for (const auto& name : facts.sites) {
    auto site = TRY(look_at(host, known, TRY(SiteName::parse(name)).str()));
    const auto newest = std::ranges::find_if(
        list.backups, [&](const control::Backup& b) { return b.site.str() == site.site; });
    if (newest != list.backups.end()) {
      site.backup = newest->name;
      site.serial = newest->serial;
      if (!call.args.has("no-data"))
        (void)TRY(pull_backup(host, list, site.site, newest->serial, folder));
    }
    if (!call.terminal.json())
      call.terminal.print(
          cat(site.site, " ", site.version, site.backup.empty() ? ": no backup" : ": backup ",
              site.backup.empty() ? "" : std::to_string(site.serial),
              site.root.empty() ? "; its project is not on this laptop"
                                : cat("; project ", site.root)));
    all.sites.push_back(std::move(site));
  }
  TRY(keep_jobs(call, host, folder));
  // Last: without it the folder is no export.
  const std::string text = answer_text("host-export", all);
  TRY(write_own_file(cat(folder, "/", k_export_file), text + "\n", k_max_export));
  if (call.terminal.json())
    call.terminal.print(text);
  else
    call.terminal.print_status(cat("exported    ", all.sites.size(), " sites of ", all.host, " to ",
        folder, ". It can write to the target of the backups: keep it as you keep a key"));
  return {};
}

} // namespace chillbox::cli
