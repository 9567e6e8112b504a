#include "rollout/watch.hpp"
#include "rollout/acquire.hpp"
#include "rollout/health.hpp"
#include "rollout/ports.hpp"
#include "rollout/retire.hpp"
#include "rollout/slots.hpp"
#include "rollout/steps.hpp"

#include "base/text.hpp"
#include "base/unsynced.hpp"
#include "nginx/counts.hpp"
#include "store/counters.hpp"

#include <algorithm>

namespace chillbox::rollout {
namespace {

constexpr os::Millis k_watch_pause{1'000}; // its limits are counts of a window
constexpr std::string_view k_cut = "unproven: another job ended its watch before its time";
// Crashes of a copy: as many as its check before the switch forgives.
constexpr uint32_t k_forgiven = 1;
constexpr uint32_t k_bad_probes = 3;       // in a row
constexpr uint32_t k_bad_with_answers = 2; // when visitors get bad answers as well
constexpr uint64_t k_few = 20;             // answers: below this many a ratio means nothing
constexpr uint64_t k_points = 20;          // percent of the answers, and so much more than before
constexpr os::Millis k_before{
    60'000}; // of the old release's answers are looked at, or as long as the watch

// What the verdict rests on.
struct Seen {
  bool maintained = false; // at any time: then the 503s are the operator's
  uint32_t probes = 0, bad_probes = 0;
  nginx::Answers answers, before; // since the switch; of the release before it
  uint32_t crashes = 0;
  std::string worse; // what visitors get, when nothing else speaks against the release
};

// More answers than before are bad, by so much that it is worth a warning and a look of our own.
bool is_worse(const nginx::Answers& now, const nginx::Answers& before) {
  const uint64_t usual = before.all < k_few ? 0 : before.bad_percent();
  return now.all >= k_few && now.bad_percent() >= usual + k_points;
}

std::string text_of(const Seen& seen, os::Millis time) {
  const auto many = [](uint64_t n, std::string_view what) {
    return cat(n, what, n == 1 ? "" : "s");
  };
  return cat(time.count() / 1000, ".", time.count() % 1000 / 100,
      " s: ", many(seen.probes, " health check"), ", ", seen.bad_probes, " bad; ",
      seen.answers.all == 0
          ? std::string("no visitor")
          : cat(seen.answers.bad, " of ", many(seen.answers.all, " answer"), " 5xx"),
      seen.before.all == 0 ? std::string()
                           : cat(" (", seen.before.bad, " of ", seen.before.all, " before)"),
      "; ",
      seen.crashes == 0 ? std::string("no crash")
                        : cat(seen.crashes, seen.crashes == 1 ? " crash" : " crashes"));
}

// What its log says, else what it left running; "": neither.
std::string why_crashed(JobContext& r, const PlannedService& p, const openrc::SlotName& slot) {
  const std::string error = error_since_start(r, p);
  return error.empty() && r.host.slots.in_background(slot)
      ? ": it went into the background, and must stay in the foreground"
      : error;
}

Result<void> judge_slots(JobContext& r, Seen& seen) {
  for (const auto& p : r.release.services) {
    if (p.files_only())
      continue;
    for (const uint32_t index : p.indexes()) {
      const auto name = slot_name(r.release, p, index);
      const auto state = r.host.slots.state(name);
      const bool gone =
          state && (*state == openrc::SlotState::crashed || *state == openrc::SlotState::stopped);
      // Another daemon may have noted them.
      const auto noted = r.respawns_before.find(name.str());
      const uint32_t before = noted == r.respawns_before.end() ? k_forgiven : noted->second;
      const uint32_t all = r.host.slots.respawns(name);
      const uint32_t respawns = all - std::min(all, before);
      seen.crashes += gone ? std::max(respawns, 1U) : respawns;
      if (seen.crashes > 0)
        return fail(Code::rolled_back,
            cat(p.service.worker ? "worker '" : "service '", p.service.name.str(), "' crashed",
                why_crashed(r, p, name)));
    }
  }
  return {};
}

// A question of our own: does "/" fail here that did not fail in the copy of the old release, which
// is still there?
void compare_pages(JobContext& r, std::map<std::string, uint32_t>& bad) {
  if (!r.old)
    return;
  const auto before = load(r.host, *r.old);
  if (!before)
    return;
  for (auto p : r.release.services) {
    if (r.host.slots.release_in(slot_name(*before, p)) != r.old->id)
      continue; // the next job has taken its slot
    const auto old = std::ranges::find(
        before->services, p.service.name, [](const auto& other) { return other.service.name; });
    if (!p.listens() || old == before->services.end() || p.service.health.path == "/")
      continue; // nothing to ask, or nothing else than its health check asks
    p.service.health = {.path = "/", .timeout = p.service.health.timeout};
    PlannedService then = *old;
    then.port = port_of(r.row, then.service.name, r.old->slot).value_or(0);
    then.service.health = p.service.health;
    uint32_t& misses = bad[cat(
        "'/' of service '", p.service.name.str(), "', which answered in ", r.old->version, ",")];
    const bool worse = !probe_service(r.host, r.release, p) && probe_service(r.host, *before, then);
    misses = worse ? misses + 1 : 0;
  }
}

// What visitors get decides nothing alone: who asks for what fails anyway would undo every release.
// It makes us ask.
Result<void> judge_answers(JobContext& r, Seen& seen, std::map<std::string, uint32_t>& bad) {
  if (!is_worse(seen.answers, {}))
    return {};
  const std::string answers = cat(seen.answers.bad, " of ", seen.answers.all,
      " answers were 5xx since the switch, ", seen.before.bad, " of ", seen.before.all, " before");
  compare_pages(r, bad);
  for (const auto& [what, misses] : bad)
    if (misses >= k_bad_with_answers)
      return fail(Code::rolled_back, cat(what, " fails, and ", answers));
  if (!is_worse(seen.answers, seen.before))
    return {};
  if (seen.worse.empty())
    r.info(cat("warning: ", answers, "; it stays, because the host's own checks are good"));
  seen.worse = answers;
  return {};
}

// One look at all of it.
Result<void> look(JobContext& r, Seen& seen, std::map<std::string, uint32_t>& bad) {
  TRY(judge_slots(r, seen));
  for (const auto& p : r.release.services) {
    if (!p.listens())
      continue;
    ++seen.probes;
    uint32_t& misses = bad[cat("the health check of service '", p.service.name.str(), "'")];
    const auto answer = probe_service(r.host, r.release, p);
    misses = answer ? 0 : misses + 1;
    seen.bad_probes += answer ? 0 : 1;
    if (misses >= k_bad_probes)
      return fail(Code::rolled_back,
          cat("service '", p.service.name.str(), "': ", misses,
              " bad health checks in a row: ", answer.error().message));
  }
  seen.maintained =
      seen.maintained || r.host.disk.exists(nginx::maintenance_flag(r.host.paths, r.job.site));
  return seen.maintained ? Result<void>{} : judge_answers(r, seen, bad);
}

// Whoever ended the watch waits for the end of this job: nobody else has changed the row.
Result<Next> keep_verdict(JobContext& r, const Seen& seen, bool whole) {
  auto& row = r.release.row;
  const auto add = [&r](std::string_view text) {
    r.warning = cat(r.warning, r.warning.empty() ? "" : "; ", text);
  };
  if (!seen.worse.empty())
    add(seen.worse);
  if (whole)
    row.state = store::ReleaseState::good;
  else if (row.state == store::ReleaseState::unproven)
    add(k_cut);
  row.message = r.warning.empty() ? "" : cat(k_warning, r.warning);
  const Unsynced later; // the job's end makes it durable; until then it would be watched again
  TRY(r.host.store.put_release(row));
  (void)TRY(r.host.store.next_number(r.job.site, std::string(store::k_manifest)));
  return Next::proceed;
}

// Bad checks and crashes: the error makes the loop undo the switch, and the old slot, still warm,
// has the traffic back. What was seen is recorded in the history either way.
Result<Next> run_watch(JobContext& r) {
  (void)undo_stage(r); // if put_tree() left it; the end of the job tries it again
  const auto window = watch_of(r);
  if (window <= os::Millis::zero())
    return Next::proceed;
  if (r.job.options.no_watch) {
    r.info("not watched, as requested");
    if (r.release.row.state != store::ReleaseState::unproven)
      return Next::proceed;
    r.release.row.message = cat(
        k_warning, r.warning, r.warning.empty() ? "" : "; ", "unproven: not watched, as requested");
    TRY(r.host.store.put_release(r.release.row));
    return Next::proceed;
  }
  const os::Millis begun = r.host.clock.mono();
  const int64_t since = r.host.clock.wall_ms();
  Seen seen;
  std::map<std::string, uint32_t> bad;
  nginx::Counts& counts = nginx::counts(r.host.paths);
  const auto visitors = counts.follow(r.job.site, since);
  seen.before = counts.answers(r.job.site,
      r.release.row.live_ms - std::max(window, k_before).count(), r.release.row.live_ms);
  const auto read_on = [&] { seen.answers = visitors->seen(); };
  Result<void> verdict{};
  r.control.turn().let_go(); // said already, but not by a job that continues after its switch
  r.control.watching = true;
  r.control.turn().watch_begins();
  while (verdict && r.host.clock.mono() - begun < window && !r.control.watch_is_cut()) {
    r.control.wait(std::min(k_watch_pause, window - (r.host.clock.mono() - begun)));
    if (r.control.stopping())
      return Next::proceed;
    read_on();
    verdict = look(r, seen, bad);
  }
  r.control.watching = false;
  r.has_old_slot = r.control.turn().watch_ends(verdict.has_value());
  if (r.control.stopping())
    return Next::proceed;
  read_on();
  const os::Millis watched = r.host.clock.mono() - begun;
  const bool whole = watched >= window;
  r.info(
      cat(!whole && r.control.watch_is_cut() ? "watch cut short by another job after " : "watched ",
          text_of(seen, watched)));
  if (!verdict)
    return std::unexpected(verdict.error());
  return keep_verdict(r, seen, whole);
}

} // namespace

void note_respawns(JobContext& r) {
  for (const auto& p : r.release.services)
    if (!p.files_only())
      for (const uint32_t index : p.indexes()) {
        const auto name = slot_name(r.release, p, index);
        r.respawns_before[name.str()] = r.host.slots.respawns(name);
      }
}

os::Millis watch_of(const JobContext& r) {
  return r.release.site.watch.value_or(r.host.config.watch);
}

bool was_cut(const store::Release& release) {
  return release.state == store::ReleaseState::unproven && release.message.contains(k_cut);
}

Result<std::optional<store::Job>> order_watch(HostContext& host, const SiteName& site) {
  const auto row = TRY(host.store.site(site));
  const auto live = row && !row->stopped ? TRY(live_row(host, *row)) : std::nullopt;
  if (!live || !was_cut(*live))
    return std::nullopt;
  const int64_t now = host.clock.wall_ms();
  store::Job job{.id = store::new_job_id(now), .kind = store::JobKind::watch, .site = site};
  job.version = live->version;
  job.actor = store::k_agent_actor;
  job.created_ms = now;
  TRY(host.store.add_job(job));
  return job;
}

namespace {

// It does not hold: the job continues as a rollback to what is good. Until that has switched the
// release is one to be watched again: whatever interrupts the job, it is not left alone.
Result<Next> go_back(JobContext& r, const Error& why) {
  auto& bad = r.release.row;
  bad.message = r.row.previous_good.empty() ? why.message : cat(k_cut, "; then: ", why.message);
  r.old->message = bad.message;
  TRY(r.host.store.put_release(bad));
  if (r.row.previous_good.empty())
    return fail(Code::unhealthy, cat(why.message, "; there is no good release to go back to"));
  r.info(why.message);
  r.job.message =
      cat(bad.version, " (", bad.id, ") failed when it was watched again: ", why.message,
          "; rolled back to ", r.row.previous_good);
  r.job.version.clear();
  return Next::proceed;
}

Result<Next> run_watch_again(JobContext& r) {
  if (!r.old || r.row.stopped || !was_cut(*r.old)) {
    r.job.message = "nothing is left to watch";
    return Next::finished;
  }
  r.release = TRY(load(r.host, *r.old));
  TRY(assign_ports(r.host, r.row, r.release));
  r.job.release = r.old->id;
  const auto watched = run_watch(r);
  if (r.control.stopping())
    return Next::proceed;
  if (!watched)
    return watched.error().code == Code::rolled_back ? go_back(r, watched.error()) : watched;
  retire_old_slot(r);
  r.job.message = cat(r.release.row.version, " is live and ", store::name(r.release.row.state),
      r.warning.empty() ? "" : "; warning: ", r.warning);
  return Next::finished;
}

} // namespace

extern const Step k_watch_again{
    .name = "watch", .run = run_watch_again, .touches_site = false, .checks_signers = false};
extern const Step k_watch{.name = "watch", .run = run_watch, .phase = Step::Phase::after_commit};

} // namespace chillbox::rollout
