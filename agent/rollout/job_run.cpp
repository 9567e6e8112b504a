#include "rollout/steps.hpp"
#include "rollout/trust.hpp"

#include "base/guarded.hpp"
#include "base/json.hpp"
#include "base/log.hpp"
#include "base/text.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>

namespace chillbox::rollout {

using store::EventKind;

// The job's row and the events that wait for it go to the store together: one transaction, one
// sync, for the end of a step and the beginning of the next.
class Journal {
public:
  explicit Journal(JobContext& r) : m_r(r) {}
  void event(EventKind kind, std::string_view text) {
    if (kind == EventKind::log && !has_room(text.size()))
      return;
    m_pending.push_back({0, m_r.host.clock.wall_ms(), m_r.job.step, kind, printable(text, 2000)});
    if (m_pending.size() >= 100)
      (void)write();
  }
  Result<void> write() {
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

constexpr Step k_obtain{"obtain", run_obtain, nullptr};
constexpr Step k_verify{"verify", run_verify, nullptr};
constexpr Step k_unseal{"unseal", run_unseal, nullptr};
constexpr Step k_start{"start", run_start, undo_start};
constexpr Step k_check{"check", run_check, nullptr};
constexpr Step k_configure{"configure", run_configure, nullptr};
constexpr Step k_stop_first{"handover", run_stop_first, undo_stop_first};
constexpr Step k_switch{"switch", run_switch, undo_switch};
constexpr Step k_reload{"reload", run_reload, undo_reload};
constexpr Step k_watch{"watch", run_watch, nullptr};
constexpr Step k_retire{"retire", run_retire, nullptr};
constexpr Step k_current{"same", run_current, nullptr};

constexpr Step k_deploy[] = {k_obtain, k_verify, {"unseal", run_unseal_all, nullptr},
    {"stage", run_stage, undo_stage}, {"preflight", run_preflight, nullptr},
    {"install", run_install, undo_install}, {"build", run_build, nullptr}, k_start, k_check,
    k_configure, k_stop_first, k_switch, k_reload, k_watch, k_retire};
constexpr Step k_rollback[] = {{"target", run_select, nullptr},
    {"restage", run_restore_secrets, undo_restore_secrets}, k_start, k_check, k_configure,
    k_stop_first, k_switch, k_reload, k_retire};
constexpr Step k_restart[] = {
    k_current, k_start, k_check, k_configure, k_stop_first, k_switch, k_reload, k_watch, k_retire};
constexpr Step k_secrets[] = {k_obtain, k_verify, k_unseal,
    {"exchange", run_replace_secrets, undo_replace_secrets}, k_current, k_start, k_check,
    k_configure, k_stop_first, k_switch, k_reload, k_watch, k_retire};
constexpr Step k_bring_up[] = {k_current, k_start, k_check, k_switch};
constexpr Step k_stop[] = {{"stop", run_stop, nullptr}};
constexpr Step k_remove[] = {{"remove", run_remove, nullptr}};

Result<void> load_row(JobContext& r) {
  if (auto row = TRY(r.host.store.site(r.job.site)))
    r.row = std::move(*row);
  if (!r.row.live.empty())
    r.old = TRY(r.host.store.release(r.job.site, r.row.live));
  return {};
}

// What a library throws in a step is that step's error. Nothing else is caught: the tests end a job
// in the middle of a step by it.
template <class F> std::invoke_result_t<F> attempt(std::string_view step, F&& work) {
  try {
    return work();
  } catch (const std::exception&) {
    return std::unexpected(detail::caught(step));
  }
}

void undo_from(JobContext& r, std::span<const Step> steps, size_t last) {
  for (size_t i = last + 1; i-- > 0;)
    if (steps[i].undo != nullptr)
      (void)attempt(steps[i].name, [&] {
        steps[i].undo(r);
        return Result<void>();
      });
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
  if (auto written = r.journal->write(); !written) // and with it the end in the audit trail
    log::error(cat("job ", r.job.id, ": ", written.error().message));
  log::info(cat("job ", r.job.id, " ", store::name(r.job.kind), " ", r.job.site.str(), ": ",
      store::name(state), ": ", r.job.message));
}

// After the end: nothing of it changes the job, but a hook that did not run is not passed over in
// silence.
void run_lifecycle_hook(JobContext& r, const std::string& name, const Environment& env) {
  if (const auto ran = run_event(r.host, name, env, [](std::string_view) {}); !ran)
    log::warn(cat("job ", r.job.id, ": ", ran.error().message));
}

// It is live and does not hold, and what was live before must not come back.
void stay(JobContext& r, std::string_view step, const Error& why, const Error& why_not_back) {
  (void)run_retire(r);
  finish(r, JobState::failed, Code::unhealthy,
      cat(step, ": ", why.message, "; ", r.release.version, " stays live anyway, because ",
          why_not_back.message));
}

// The verdict of a step that failed: what its code means for the whole job.
void give_up(JobContext& r, std::span<const Step> steps, size_t at, Error error) {
  const std::string step(steps[at].name);
  r.journal->event(EventKind::undo, error.message);
  if (error.code == Code::rolled_back && r.old && r.old->id != r.release.id)
    if (const auto good = check_release(r.host, *r.old); !good)
      return stay(r, step, error, good.error());
  // A first release that does not hold has nothing to roll back to.
  if (error.code == Code::rolled_back && !r.old)
    error.code = Code::unhealthy;
  r.release.message = error.message;
  undo_from(r, steps, at);
  if (r.old && r.old->id == r.release.id)
    (void)r.host.store.put_release(*r.old);
  const bool cancelled = error.code == Code::interrupted;
  std::string message = cat(step, ": ", error.message);
  if (r.old && r.job.kind != JobKind::remove)
    message += error.code == Code::rolled_back ? cat("; ", r.old->version, " is live again")
                                               : cat("; ", r.old->version, " stays live");
  finish(r, cancelled ? JobState::cancelled : JobState::failed, error.code, std::move(message));
  Environment env{{"CHILLBOX_SITE", r.job.site.str()}, {"CHILLBOX_VERSION", r.job.version},
      {"CHILLBOX_RESULT", std::string(code_name(error.code))}};
  run_lifecycle_hook(r, "deploy-failed", env);
}

std::string verdict(const JobContext& r) {
  const std::string warning = r.warning.empty() ? "" : cat("; warning: ", r.warning);
  if (!r.job.message.empty())
    return r.job.message + warning;
  return cat(r.release.version, " is live (release ", r.release.id, ", slot ",
      letter(r.release.slot), ")", warning);
}

// What a job needs to go on behind its switch.
Result<void> load_behind_switch(JobContext& r) {
  auto release = TRY(r.host.store.release(r.job.site, r.job.release));
  if (!release)
    return fail(Code::corrupt, cat("release ", r.job.release, " is not in the store"));
  r.release = std::move(*release);
  r.old =
      r.job.previous.empty() ? std::nullopt : TRY(r.host.store.release(r.job.site, r.job.previous));
  TRY(load_release(r));
  r.journal->event(EventKind::info, "the daemon was restarted after the switch: continues");
  r.control.switched = true;
  return assign_ports(r.host, r.row, r.services, r.release.slot);
}

// One step with its record before and after. nullopt: the job ended or waits.
bool take_step(JobContext& r, std::span<const Step> steps, size_t i, bool quiet) {
  r.job.step = std::string(steps[i].name);
  if (!quiet)
    r.journal->event(EventKind::begin, "");
  if (auto written = r.journal->write(); !written) {
    give_up(r, steps, i, std::move(written).error());
    return false;
  }
  const os::Millis begun = r.host.clock.mono();
  auto next = attempt(steps[i].name, [&]() -> Result<Next> {
    TRY(permit(r, steps[i].name));
    return steps[i].run(r);
  });
  if (r.control.stopping())
    return false; // the journal says where we were; the next start goes on
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
  case Next::wait_upload:
    r.job.state = JobState::waiting_upload;
    r.journal->event(EventKind::info, "waits for the upload");
    break;
  case Next::wait_unlock:
    r.job.state = JobState::waiting_unlock;
    r.journal->event(EventKind::info, "the host is locked: waits for `chillboxctl unlock`");
    break;
  }
  (void)r.journal->write();
  return false;
}

void run_steps(JobContext& r, size_t from) {
  const auto steps = steps_of(r.job.kind);
  // A job that waited begins again, quietly until where it stood.
  const Step* stood = find_step(r.job.kind, r.job.step);
  const size_t stood_at = stood == nullptr ? 0 : static_cast<size_t>(stood - steps.data());
  for (size_t i = from; i < steps.size(); ++i)
    if (!take_step(r, steps, i, i < stood_at))
      return;
  finish(r, JobState::done, std::nullopt, verdict(r));
  Environment env{{"CHILLBOX_SITE", r.job.site.str()}, {"CHILLBOX_VERSION", r.release.version},
      {"CHILLBOX_RESULT", "ok"}};
  run_lifecycle_hook(r, "post-deploy", env);
}

} // namespace

void JobControl::set(std::atomic<bool>& flag) {
  {
    const std::lock_guard lock(m_mutex);
    flag = true;
  }
  m_changed.notify_all();
}

void JobControl::wait(os::Millis time) {
  std::unique_lock lock(m_mutex);
  m_changed.wait_for(
      lock, time, [this] { return m_cancel || m_stop || (m_cut_watch && watching); });
}

bool JobContext::allows(std::string_view option) const {
  const auto options = parse_json(job.options.empty() ? "{}" : job.options, 4096);
  return options && options->is_object() && options->value(option, false);
}

void JobContext::info(std::string_view text) {
  if (journal != nullptr)
    journal->event(EventKind::info, text);
}

void JobContext::output(std::string_view text) {
  if (journal != nullptr)
    journal->event(EventKind::log, text);
}

std::span<const Step> steps_of(JobKind kind) {
  switch (kind) {
  case JobKind::deploy: return k_deploy;
  case JobKind::rollback: return k_rollback;
  case JobKind::restart: return k_restart;
  case JobKind::secrets: return k_secrets;
  case JobKind::start: return k_bring_up;
  case JobKind::stop: return k_stop;
  case JobKind::remove: return k_remove;
  case JobKind::ping: // ended when it was accepted
  case JobKind::unknown: return {};
  }
  return {};
}

const Step* find_step(JobKind kind, std::string_view name) {
  const auto steps = steps_of(kind);
  const auto it = std::ranges::find(steps, name, &Step::name);
  return it == steps.end() ? nullptr : &*it;
}

void run_job(HostContext& host, const std::string& job_id, JobControl& control) {
  auto job = host.store.job(job_id);
  if (!job || !*job || (*job)->finished_ms != 0)
    return; // superseded or cancelled meanwhile
  bool resume = false;
  if ((*job)->state == JobState::running) { // by a daemon that is gone
    resume = recover_job(host, **job, control);
    job = host.store.job(job_id);
    if (!job || !*job)
      return;
  }
  JobContext r(host, **job, control);
  Journal journal(r);
  r.journal = &journal;
  if (auto loaded = load_row(r); !loaded)
    return finish(r, JobState::failed, loaded.error().code, loaded.error().message);
  if (r.job.started_ms == 0)
    r.job.started_ms = host.clock.wall_ms();
  r.job.state = JobState::running;
  if (r.job.previous.empty() && r.old)
    r.job.previous = r.old->id;
  if (!resume)
    return run_steps(r, 0);
  if (auto loaded = load_behind_switch(r); !loaded)
    return finish(r, JobState::failed, loaded.error().code, loaded.error().message);
  const auto steps = steps_of(r.job.kind);
  run_steps(r, static_cast<size_t>(find_step(r.job.kind, "reload") - steps.data()));
}

bool recover_job(HostContext& host, const store::Job& job, const JobControl& whole) {
  JobControl control(&whole);
  JobContext r(host, job, control);
  Journal journal(r);
  r.journal = &journal;
  if (auto loaded = load_row(r); !loaded) {
    log::error(cat("job ", job.id, ": ", loaded.error().message));
    return false;
  }
  const auto steps = steps_of(r.job.kind);
  const Step* stood = find_step(r.job.kind, r.job.step);
  const Step* change = find_step(r.job.kind, "switch");
  const bool live =
      !r.job.release.empty() && r.row.live == r.job.release && r.job.previous != r.job.release;
  if (stood != nullptr && change != nullptr && live && stood >= change)
    return true;
  if (stood != nullptr) {
    if (auto release = host.store.release(r.job.site, r.job.release); release && *release)
      r.release = std::move(**release);
    if (r.old && r.old->id == r.release.id && r.job.kind != JobKind::start)
      r.release.slot = other_slot(r.old->slot);                // a second copy of the live release
    r.control.switched = change != nullptr && stood >= change; // perhaps: then it may have visitors
    if (const auto set = host.store.secret_set(r.job.site);
        r.job.kind == JobKind::rollback && r.old && set && *set && (*set)->sha256 != r.old->secrets)
      r.old_secrets = r.old->secrets; // new secrets stay: their serial is installed, and the job
                                      // takes them up again
    r.journal->event(EventKind::undo, "the daemon was restarted in this step: starts it again");
    undo_from(r, steps, static_cast<size_t>(stood - steps.data()));
    r.job.release.clear();
    r.job.step.clear();
  }
  r.job.state = JobState::queued;
  if (auto written = r.journal->write(); !written)
    log::error(cat("job ", r.job.id, ": ", written.error().message));
  return false;
}

} // namespace chillbox::rollout
