#include "rollout/plan.hpp"

#include "artifact/artifact_store.hpp"
#include "artifact/verify.hpp"
#include "base/encoding.hpp"
#include "base/text.hpp"
#include "rollout/acquire.hpp"
#include "rollout/capacity.hpp"
#include "rollout/compare.hpp"
#include "rollout/ports.hpp"
#include "rollout/preflight.hpp"
#include "rollout/snapshots.hpp"
#include "rollout/stop_first.hpp"
#include "rollout/switch_traffic.hpp"
#include "rollout/trust.hpp"
#include "tls/plan.hpp"

#include <unistd.h>

#include <algorithm>

namespace chillbox::rollout {
namespace {

constexpr size_t k_most_diff = 400'000;

// A plan's job: it is not in the store, records nothing, and what it staged goes with it.
struct Draft {
  Draft(HostContext& w, const SiteName& site)
      : job(w, {.id = "plan-" + random_token(8), .kind = store::JobKind::deploy, .site = site},
            control) {}
  ~Draft() { (void)job.host.disk.remove_tree(job.stage_dir()); }
  Draft(const Draft&) = delete;
  Draft& operator=(const Draft&) = delete;
  JobControl control;
  JobContext job;
};

control::SetChange sets(
    const std::vector<std::string>& before, const std::vector<std::string>& after) {
  control::SetChange change;
  for (const auto& item : after)
    if (std::ranges::find(before, item) == before.end())
      change.added.push_back(item);
  for (const auto& item : before)
    if (std::ranges::find(after, item) == after.end())
      change.removed.push_back(item);
  return change;
}

// `diff -u` of the text in force, which is a file, and the planned one, which does not become one.
Result<std::string> diff_to(JobContext& r, const std::string& text) {
  const std::string name = cat("chillbox.", r.job.site.str(), ".conf");
  const std::string installed = cat(TRY(r.host.nginx.directory()), "/", name);
  const os::Command command{
      .argv = {"diff", "-u", "-L", name + " (in force)", "-L", name + " (planned)",
          r.host.disk.exists(installed) ? installed : "/dev/null", "-"},
      .input = text,
      .output_limit = k_most_diff};
  os::Exit exit = TRY(r.host.runner.run(command));
  constexpr int k_trouble = 2; // 0: the same, 1: they differ
  if (exit.code >= k_trouble)
    return fail(Code::failure, cat("diff: ", printable(trim(exit.err), 300)));
  if (exit.out.size() == k_most_diff) // an answer has a limit
    exit.out.replace(exit.out.rfind('\n') + 1, std::string::npos, "... and more\n");
  return std::move(exit.out);
}

Result<control::PlannedNginx> nginx_part(JobContext& r, const std::string& text) {
  // No text: one that could not be rendered is among the problems.
  const bool same = text.empty() || r.host.nginx.installed(r.job.site).value_or("") == text;
  const std::string diff = same ? "" : TRY(diff_to(r, text));
  return control::PlannedNginx{diff, !same};
}

// How long it was the last time, of the newest jobs.
std::pair<int64_t, std::string> last_downtime(JobContext& r) {
  for (const auto& job :
      r.host.store.jobs(r.job.site.str(), 200).value_or(std::vector<store::Job>{}))
    if (job.gap_ms > 0)
      return {job.gap_ms, job.id};
  return {0, ""};
}

control::PlannedDowntime downtime_part(JobContext& r) {
  std::vector<std::string> names;
  for (const auto& p : r.release.services)
    if (must_stop_first(r, p))
      names.push_back(cat("'", p.service.name.str(), "'"));
  if (names.empty())
    return {.expected = false,
        .last_ms = 0,
        .reason =
            r.old ? "the new copies are healthy before the old ones stop" : "nothing is live yet"};
  const auto [ms, job] = last_downtime(r);
  return {.expected = true,
      .last_ms = ms,
      .reason = cat(join(names, ", "), names.size() == 1 ? " has" : " have",
          " strategy stop-first: the old copy stops before the new one starts; ",
          ms > 0 ? cat("it took ", ms, " ms in job ", job) : "it has not been measured yet")};
}

// What every plan ends with, of what it has so far.
void finish(control::Plan& plan, const Capacity& c, const HostContext& host,
    const config::Site& site, std::string_view nginx, std::vector<std::string> problems) {
  plan.plain = tls::plain_names(site, nginx, host.disk, host.paths, host.config);
  plan.disk = {c.bytes_needed(), c.space.free_bytes, c.entries_needed(host.config.reserve_percent),
      c.space.free_inodes};
  plan.memory = {c.memory, c.memory_available.value_or(0)};
  plan.problems = std::move(problems);
  plan.warnings = limit_warnings(site);
  const auto some = [](const control::SetChange& set) {
    return !set.added.empty() || !set.removed.empty();
  };
  plan.change = some(plan.hosts) || some(plan.cron) || !plan.other.empty() || plan.nginx.reload ||
      !plan.drift.empty() || plan.from != plan.to ||
      std::ranges::any_of(plan.services,
          [](const auto& service) { return service.change != control::Change::none; });
}

// Authentic it must be before anything of it is parsed. That it is too old for this host is one
// problem among others.
Result<std::vector<std::string>> verify_draft(JobContext& r, const artifact::StoredFile& stored,
    const std::string& signature, artifact::Statement said) {
  const auto trusted = TRY(artifact::load_trusted_keys(r.host.paths.trusted()));
  artifact::Expected wanted{.site = said.site,
      .version = said.version,
      .sha256 = stored.sha256,
      .allow_downgrade = true,
      .allow_jump = true};
  r.verified = TRY(artifact::verify(trusted, signature, stored.blake2b, stored.sha256, wanted));
  wanted.allow_downgrade = wanted.allow_jump = false;
  wanted.installed_serial = TRY(r.host.store.serial(said.site, "site"));
  wanted.allow_jump = wanted.installed_serial == 0;
  wanted.serial_jump_max = r.host.config.serial_jump_max;
  wanted.now_unix = r.host.clock.wall();
  if (const auto good = check_withdrawn(r.host, said.site, stored.sha256.str(), said.serial); !good)
    return std::vector<std::string>{good.error().message};
  if (r.old && r.old->sha256 == stored.sha256.str())
    return std::vector<std::string>{}; // it is the live one
  if (const auto fresh =
          artifact::verify(trusted, signature, stored.blake2b, stored.sha256, wanted);
      !fresh)
    return std::vector<std::string>{fresh.error().message};
  return std::vector<std::string>{};
}

} // namespace

Result<control::Plan> plan_artifact(HostContext& host, int fd, const std::string& signature) {
  auto said = TRY_IN("signature", artifact::stated(signature));
  if (said.secrets)
    return fail(Code::invalid, "this is a secret set: a plan is made for releases");
  Draft draft(host, said.site);
  JobContext& r = draft.job;
  TRY(r.read_row());
  const auto stored = TRY(artifact::digest_file(fd));
  r.job.version = said.version;
  r.job.sha256 = stored.sha256.str();
  auto problems = TRY(verify_draft(r, stored, signature, said));
  r.artifact = Fd(::dup(fd));
  if (TRY(open_artifact_key(r)) == Next::wait_unlock)
    return fail(Code::sealed, "the host is locked: the artifact cannot be read");
  TRY(run_stage(r));
  std::ranges::move(preflight_problems(r), std::back_inserter(problems));

  const std::string tree = cat(r.stage_dir(), "/", r.job.site.str());
  // A site without services when nothing is live, or it cannot be read.
  auto live = r.old ? load(host, *r.old) : LoadedRelease(store::Release{{}, r.job.site});
  const auto old = live ? std::move(*live) : LoadedRelease(*r.old);
  const auto installed = TRY(host.store.serial(r.job.site, "site"));
  auto nginx = TRY(nginx_part(r, r.release.row.nginx));
  control::Plan plan{.site = r.job.site.str(),
      .from = r.old ? r.old->version : "",
      .to = said.version,
      .services = compare_services(host, old, r.release, tree),
      .hosts = sets(old.site.domains, r.release.site.domains),
      .cron = sets(old.site.crontab, r.release.site.crontab),
      .nginx = std::move(nginx),
      .downtime = downtime_part(r),
      .sha256 = r.job.sha256,
      .signer = r.verified->signer,
      .serial = said.serial,
      .installed_serial = installed};
  if (r.old && live)
    plan.other = compare_rest(host, old, r.release, tree);
  if (!live)
    problems.push_back(cat("the live release cannot be read: ", live.error().message));
  const auto why = snapshot_hindrance(r);
  if (why && snapshot_required(r))
    problems.push_back(*why);
  finish(plan, capacity_of(r, r.staged_size), host, r.release.site, r.release.row.nginx,
      std::move(problems));
  if (!plan.change && r.old && !same_site_file(host, old, tree)) {
    plan.other = {cat(site_file(old), ": what the host does not use")};
    plan.change = true;
  }
  if (why && !snapshot_required(r))
    plan.warnings.push_back(*why);
  return plan;
}

Result<control::Plan> plan_site(HostContext& host, const SiteName& site) {
  Draft draft(host, site);
  JobContext& r = draft.job;
  r.job.kind = store::JobKind::restart;
  TRY(r.read_row());
  if (!r.old)
    return fail(Code::not_found, cat("no release of '", site.str(), "' is live on this host"));
  r.release = TRY(load(host, *r.old));
  TRY(choose_ports(host, r.row, r.release));
  const std::string text = TRY(render(host, r.release));
  auto nginx = TRY(nginx_part(r, text));
  control::Plan plan{.site = site.str(),
      .from = r.old->version,
      .to = r.old->version,
      .services = running_services(host, r.release),
      .nginx = std::move(nginx),
      .drift = drift(host, r.release)};
  if (r.row.stopped)
    plan.drift.push_back(
        cat("the site is stopped: `chillboxctl start ", site.str(), "` brings it back"));
  r.release.row.slot = other_slot(r.old->slot);
  plan.downtime = downtime_part(r);
  auto capacity = capacity_of(r, host.disk.measure(r.release_dir()).value_or(os::TreeSize{}));
  capacity.bytes = capacity.entries = 0; // it is installed
  auto problems = capacity_problems(capacity, host.paths, host.config.reserve_percent);
  for (const auto& file : missing_secrets(host, r.release.site))
    problems.push_back(cat("secret '", file, "' is not staged: `chillboxctl unlock`"));
  finish(plan, capacity, host, r.release.site, text, std::move(problems));
  return plan;
}

Result<std::string> nginx_in_force(HostContext& host, const SiteName& site) {
  auto text = TRY(host.nginx.installed(site));
  if (text.empty())
    return fail(Code::not_found, cat("no NGINX text of '", site.str(), "' is in force"));
  return text;
}

} // namespace chillbox::rollout
