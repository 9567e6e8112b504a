#include "rollout/data_exchange.hpp"
#include "rollout/job_context.hpp"
#include "rollout/permit.hpp"
#include "rollout/ports.hpp"
#include "rollout/retire.hpp"
#include "rollout/service_kind.hpp"
#include "rollout/steps.hpp"
#include "rollout/trust.hpp"
#include "rollout/watch.hpp"

#include "base/guarded.hpp"
#include "base/json.hpp"
#include "base/log.hpp"
#include "base/text.hpp"
#include "base/unsynced.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>

namespace chillbox::rollout {

using store::EventKind;

// The job's row and the events that wait for it go to the store together: one transaction for the
// end of a step and the beginning of the next. Most are not synced themselves: after a power cut
// the store may know an earlier step, and all that later ones changed is either in the release,
// whose row was made durable before, or mended by what the store says is live.
class Journal {
public:
  explicit Journal(JobContext& r) : m_r(r) {}
  void event(EventKind kind, std::string_view text) {
    if (kind == EventKind::log && !has_room(text.size()))
      return;
    m_pending.push_back({0, m_r.host.clock.wall_ms(), m_r.job.step, kind, printable(text, 2000)});
    if (m_pending.size() >= 100)
      (void)write(false);
  }
  // on_disk: the record itself, not only its place before the next transaction.
  Result<void> write(bool on_disk = true) {
    std::optional<Unsynced> later;
    if (!on_disk)
      later.emplace();
    TRY(m_r.host.store.record(m_r.job, m_pending));
    m_pending.clear();
    m_r.host.changed(m_r.job.id);
    return {};
  }

private:
  // A build that never stops talking must not fill the disk: the first 256 KiB of what the programs
  // of a job say are kept.
  bool has_room(size_t size) {
    constexpr size_t k_output_kept = 256 * 1024;
    if (m_output > k_output_kept)
      return false;
    m_output += size + 1;
    if (m_output > k_output_kept)
      event(EventKind::info, "more output follows and is not kept");
    return m_output <= k_output_kept;
  }
  JobContext& m_r;
  std::vector<store::JobEvent> m_pending;
  size_t m_output = 0;
};

namespace {

using store::JobKind;
using store::JobState;

// What a library throws in a step is that step's error. Nothing else is caught: the tests end a job
// in the middle of a step by it.
template <class F> std::invoke_result_t<F> attempt(std::string_view step, F&& work) {
  try {
    return work();
  } catch (const std::exception&) {
    return std::unexpected(detail::caught(step));
  }
}

// What could not be undone, in one line; "": all was.
std::string undo_from(JobContext& r, Steps steps, size_t last) {
  std::vector<std::string> left;
  for (size_t i = last + 1; i-- > 0 && !r.keeps_new;)
    if (steps[i]->undo != nullptr)
      if (const auto undone = attempt(steps[i]->name, [&] { return steps[i]->undo(r); }); !undone) {
        r.output(undone.error().message);
        left.push_back(undone.error().message);
      }
  return join(left, "; ");
}

// After the end: nothing of it changes the job, but a hook that did not run is not passed over in
// silence.
void run_lifecycle_hook(
    HostContext& host, const store::Job& job, const std::string& name, const Environment& env) {
  if (const auto ran = run_event(host, name, env, [](std::string_view) {}); !ran)
    log::warn(cat("job ", job.id, ": ", ran.error().message));
}

void finish(JobContext& r, JobState state, std::optional<Code> code, std::string message) {
  if (r.host.disk.exists(
          r.stage_dir())) // its removal failed: once more, plaintext shall not lie about
    (void)r.host.disk.remove_tree(r.stage_dir());
  r.job.state = state;
  r.job.code = code;
  r.job.message = std::move(message);
  r.job.finished_ms = r.host.clock.wall_ms();
  r.journal->event(EventKind::end, r.job.message);
  if (auto written = r.journal->write(); !written) { // and with it the end in the audit trail
    log::error(cat("job ", r.job.id, " has ended, and that is not recorded yet: ",
        written.error().message)); // the engine tries it again
    r.host.changed(r.job.id);      // which is asked of the store, which knows it
  }
  log::info(cat("job ", r.job.id, " ", store::name(r.job.kind), " ", r.job.site.str(), ": ",
      store::name(state), ": ", r.job.message));
  if (state != JobState::done)
    run_failed_hook(r.host, r.job);
}

// It is live and does not hold, and what was live before must not come back.
void stay(JobContext& r, std::string_view step, const Error& why, const Error& why_not_back) {
  retire_old_slot(r);
  finish(r, JobState::failed, Code::unhealthy,
      cat(step, ": ", why.message, "; ", r.release.row.version, " stays live anyway, because ",
          why_not_back.message));
}

// A message is one line: of several problems the first, the others go to the log.
std::string first_problem(JobContext& r, std::string_view message) {
  std::vector<std::string_view> problems;
  for (const auto line : split(message, '\n'))
    if (!trim(line).empty())
      problems.push_back(trim(line));
  if (problems.empty())
    return std::string(message);
  for (size_t i = 1; i < problems.size(); ++i)
    r.output(problems[i]);
  return problems.size() == 1 ? std::string(problems[0])
                              : cat(problems[0], " (and ", problems.size() - 1, " more)");
}

std::string state_of_old(const JobContext& r) {
  if (!r.unwell.empty())
    return cat(", and is not healthy either: ", r.unwell);
  if (was_cut(*r.old) && r.job.kind != JobKind::watch) // which would begin it again at once
    return ", which is watched again";
  return r.old->state == store::ReleaseState::unproven ? ", whose watch did not end" : "";
}

// Nothing is said to be live then but what certainly is.
std::string not_undone(const JobContext& r, const std::string& left) {
  if (left.empty())
    return {};
  return cat(
      r.control.switched ? "; the rollback failed: " : "; not all of it could be undone: ", left,
      r.keeps_new                       ? cat("; ", r.release.row.version, " keeps its visitors")
          : r.control.switched && r.old ? cat("; ", r.old->version, " is live")
                                        : "");
}

// The verdict of a step that failed: what its code means for the whole job.
void give_up(JobContext& r, Steps steps, size_t at, Error error) {
  const std::string step(steps[at]->name);
  error.message = first_problem(r, error.message);
  r.journal->event(EventKind::undo, error.message);
  if (error.code == Code::rolled_back && r.old && r.old->id != r.release.row.id)
    if (const auto good = check_release(r.host, *r.old); !good)
      return stay(r, step, error, good.error());
  // A first release that does not hold has nothing to roll back to.
  if (error.code == Code::rolled_back && !r.old)
    error.code = Code::unhealthy;
  r.release.row.message = error.message;
  std::string left = undo_from(r, steps, at);
  if (r.control.stopping() && r.keeps_new)
    return; // the next start goes on with it
  if (r.old && r.old->id == r.release.row.id && !r.keeps_new)
    if (const auto put = r.host.store.put_release(*r.old); !put)
      left += cat(left.empty() ? "" : "; ", put.error().message);
  const bool cancelled = error.code == Code::interrupted && left.empty();
  std::string message = cat(step, ": ", error.message, not_undone(r, left));
  if (left.empty() && r.old && r.was_stopped)
    message += cat("; ", r.old->version, " stays stopped");
  else if (left.empty() && r.old && r.job.kind != JobKind::remove)
    message += cat("; ", r.old->version,
        error.code == Code::rolled_back ? " is live again" : " stays live", state_of_old(r));
  if (!left.empty() && (error.code == Code::rolled_back || error.code == Code::interrupted))
    error.code = Code::failure;
  finish(r, cancelled ? JobState::cancelled : JobState::failed, error.code, std::move(message));
}

// All is as before the job, which is queued again.
void begin_again(JobContext& r, Steps steps, size_t last, std::string_view why) {
  r.journal->event(EventKind::undo, why);
  if (const auto left = undo_from(r, steps, last); !left.empty())
    log::error(cat("job ", r.job.id, " begins again, but not all of it could be undone: ", left));
  if (r.control.stopping() && r.keeps_new)
    return;
  r.job.release.clear();
  r.job.step.clear();
  r.job.state = JobState::queued;
  if (auto written = r.journal->write(); !written)
    log::error(cat("job ", r.job.id, ": ", written.error().message));
}

std::string verdict(const JobContext& r) {
  const std::string warning = r.warning.empty() ? "" : cat("; warning: ", r.warning);
  if (!r.job.message.empty())
    return r.job.message + warning;
  return cat(r.release.row.version, " is live (release ", r.release.row.id, ", slot ",
      letter(r.release.row.slot), ")", warning);
}

// What a job needs to continue after its commit.
Result<void> load_committed(JobContext& r) {
  r.release = TRY(load(r.host, r.job.site, r.job.release));
  r.old =
      r.job.previous.empty() ? std::nullopt : TRY(r.host.store.release(r.job.site, r.job.previous));
  if (r.release.row.message.starts_with(k_warning))
    r.warning = r.release.row.message.substr(k_warning.size());
  r.journal->event(EventKind::info, "the daemon was restarted after the switch: continues");
  r.control.has_switched();
  return assign_ports(r.host, r.row, r.release);
}

// The first step after the commit.
size_t first_after_commit(Steps steps) {
  const auto it = std::ranges::find(steps, Step::Phase::after_commit, &Step::phase);
  return static_cast<size_t>(it - steps.begin());
}

constexpr std::string_view k_other_base =
    "what was live when this job began is not live any more: begins again";

// What the step needs of its site, which another job may have while that watches its release. What
// is live is looked at again: this job goes on from there, or begins again.
Result<Next> take_turn(JobContext& r, const Step& step) {
  if (r.control.switched || (!step.touches_site && !step.ends_watch))
    return Next::proceed;
  r.control.turn().take_slots();
  if (step.ends_watch && !r.control.cancelled())
    r.control.turn().end_watch();
  if (r.control.cancelled())
    return r.control.yielded() ? Next::again : Next::proceed; // the step says so
  const std::string base = r.old ? cat(r.old->id, letter(r.old->slot)) : "";
  TRY(r.read_row());
  const std::string now = r.old ? cat(r.old->id, letter(r.old->slot)) : "";
  return base == now ? Next::proceed : Next::again;
}

// One step with its record before and after. False: the job ended or waits.
bool take_step(JobContext& r, Steps steps, size_t i, bool quiet) {
  r.job.step = std::string(steps[i]->name);
  if (!quiet)
    r.journal->event(EventKind::begin, "");
  if (auto written = r.journal->write(steps[i]->recorded_first); !written) {
    give_up(r, steps, i, std::move(written).error());
    return false;
  }
  const os::Millis begun = r.host.clock.mono();
  auto next = attempt(steps[i]->name, [&]() -> Result<Next> {
    if (TRY(take_turn(r, *steps[i])) == Next::again)
      return Next::again;
    TRY(permit(r, *steps[i]));
    return steps[i]->run(r);
  });
  if (r.control.stopping())
    return false; // the journal says where we were; the next start continues
  if ((!next && r.control.yielded()) || (next && *next == Next::again)) {
    begin_again(r, steps, i, k_other_base);
    return false;
  }
  if (!next) {
    give_up(r, steps, i, std::move(next).error());
    return false;
  }
  switch (*next) {
  case Next::proceed:
    if (!quiet)
      r.journal->event(EventKind::done, cat((r.host.clock.mono() - begun).count(), " ms"));
    return true;
  case Next::finished:
    r.journal->event(EventKind::done, "");
    finish(r, JobState::done, std::nullopt, r.job.message);
    return false;
  case Next::again: return false; // done above
  case Next::wait_upload:
    r.job.state = JobState::waiting_upload;
    r.journal->event(EventKind::info, "waits for the upload");
    break;
  case Next::wait_unlock:
    r.job.state = JobState::waiting_unlock;
    r.journal->event(EventKind::info, "the host is locked: waits for `chillboxctl unlock`");
    break;
  }
  (void)r.journal->write(false); // unsynced: a job that begins again finds it out itself
  return false;
}

void run_steps(JobContext& r, size_t from) {
  const auto steps = steps_of(r.job);
  // A job that waited begins again, quietly until the step where it waited.
  const size_t stood_at = find_step(steps, r.job.step).value_or(0);
  for (size_t i = from; i < steps.size(); ++i)
    if (!take_step(r, steps, i, i < stood_at))
      return;
  finish(r, JobState::done, std::nullopt, verdict(r));
  Environment env{{"CHILLBOX_SITE", r.job.site.str()}, {"CHILLBOX_VERSION", r.release.row.version},
      {"CHILLBOX_RESULT", "ok"}};
  run_lifecycle_hook(r.host, r.job, "post-deploy", env);
}

// Of a daemon that is gone. True: the job's release is live, it continues after the commit. False:
// all is as before the job, which is queued again.
bool recover_job(HostContext& host, const store::Job& job, const JobControl& whole) {
  JobControl control(&whole);
  JobContext r(host, job, control);
  Journal journal(r);
  r.journal = &journal;
  if (auto loaded = r.read_row(); !loaded) {
    log::error(cat("job ", job.id, ": ", loaded.error().message));
    return false;
  }
  const auto steps = steps_of(r.job);
  const auto stood = find_step(steps, r.job.step);
  const bool commits = stood && steps[*stood]->phase != Step::Phase::before_commit;
  const bool live =
      !r.job.release.empty() && r.row.live == r.job.release && r.job.previous != r.job.release;
  if (commits && live)
    return true;
  if (stood) {
    if (auto release = host.store.release(r.job.site, r.job.release); release && *release)
      r.release.row = std::move(**release);
    if (r.old && r.old->id == r.release.row.id && r.job.kind != JobKind::start)
      r.release.row.slot = other_slot(r.old->slot); // a second copy of the live release
    if (commits)
      r.control.has_switched(); // perhaps: then it may have visitors
    const bool restores = find_step(steps, "restore-secrets").has_value();
    if (const auto set = host.store.secret_set(r.job.site);
        restores && r.old && set && *set && (*set)->sha256 != r.old->secrets)
      r.old_secrets = r.old->secrets; // new secrets stay: their serial is installed, and the job
                                      // takes them up again
    begin_again(r, steps, *stood, "the daemon was restarted in this step: starts it again");
    return false;
  }
  r.job.state = JobState::queued;
  if (auto written = r.journal->write(); !written)
    log::error(cat("job ", r.job.id, ": ", written.error().message));
  return false;
}

} // namespace

Result<void> JobContext::read_row() {
  if (auto known = TRY(host.store.site(job.site)))
    row = std::move(*known);
  was_stopped = row.stopped;
  old = TRY(live_row(host, row));
  return {};
}

void JobContext::info(std::string_view text) {
  if (journal != nullptr)
    journal->event(EventKind::info, text);
}

void JobContext::warn(const std::string& text) {
  info(cat("warning: ", text));
  warning = cat(warning, warning.empty() ? "" : "; ", text);
}

void JobContext::output(std::string_view text) {
  if (journal != nullptr)
    journal->event(EventKind::log, text);
}

namespace {

bool end_overtaken(HostContext& host, const store::Job& job, JobControl& control) {
  const auto newer = overtaken_by(host, job);
  if (!newer || newer->empty())
    return false;
  JobContext r(host, job, control);
  Journal journal(r);
  r.journal = &journal;
  finish(r, JobState::cancelled, Code::interrupted,
      cat("how it ended was not recorded, and ", *newer,
          " has changed the site since: nothing of it is done again"));
  return true;
}

} // namespace

void run_failed_hook(HostContext& host, const store::Job& job) {
  if (job.kind == JobKind::stop || job.kind == JobKind::remove)
    return; // they bring nothing up
  run_lifecycle_hook(host, job, "deploy-failed",
      {{"CHILLBOX_SITE", job.site.str()}, {"CHILLBOX_VERSION", job.version},
          {"CHILLBOX_RESULT", std::string(code_name(job.code.value_or(Code::failure)))}});
}

void run_job(HostContext& host, const std::string& job_id, JobControl& control) {
  auto job = host.store.job(job_id);
  if (!job || !*job || (*job)->finished_ms != 0)
    return; // superseded or cancelled meanwhile
  if ((*job)->state == JobState::running && end_overtaken(host, **job, control))
    return;
  bool resume = false;
  if ((*job)->state == JobState::running) { // by a daemon that is gone
    control.turn().take_slots();
    resume = recover_job(host, **job, control);
    control.turn().give_slots();
    job = host.store.job(job_id);
    if (!job || !*job)
      return;
  }
  JobContext r(host, **job, control);
  Journal journal(r);
  r.journal = &journal;
  if (auto loaded = r.read_row(); !loaded)
    return finish(r, JobState::failed, loaded.error().code, loaded.error().message);
  if (r.job.started_ms == 0)
    r.job.started_ms = host.clock.wall_ms();
  r.job.state = JobState::running;
  if (!resume) {
    r.asked_when_live = r.job.previous;
    if (r.old) // else a removal that was interrupted: it knows from this that there was a site
      r.job.previous = r.old->id;
    return run_steps(r, 0);
  }
  if (auto loaded = load_committed(r); !loaded)
    return finish(r, JobState::failed, loaded.error().code, loaded.error().message);
  run_steps(r, first_after_commit(steps_of(r.job)));
}

} // namespace chillbox::rollout
