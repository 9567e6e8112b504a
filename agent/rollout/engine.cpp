#include "rollout/engine.hpp"

#include "base/guarded.hpp"
#include "base/log.hpp"
#include "base/text.hpp"
#include "base/unsynced.hpp"
#include "os/memory.hpp"
#include "rollout/acquire.hpp"
#include "rollout/job_context.hpp"
#include "rollout/prune.hpp"
#include "rollout/secret_set.hpp"

#include <algorithm>

namespace chillbox::rollout {

using store::JobKind;
using store::JobState;

namespace {

constexpr os::Millis k_look{200};         // at enough(); what comes up is an event
constexpr unsigned k_most_exceptions = 3; // of one job

// "" : all of the site is up, or it is down because somebody chose that (trust.hpp).
std::string why_not_up(HostContext& host, const SiteName& site, const Result<BroughtUp>& result) {
  if (!result)
    return result.error().code == Code::denied ? std::string() : result.error().message;
  return result->waiting.empty()
      ? std::string()
      : cat("waits for ", join(result->waiting, ", "), ": ", secrets_remedy(host, site));
}

} // namespace

void Engine::recover() {
  const auto unfinished = m_host.store.unfinished();
  if (!unfinished)
    return log::error(cat("recover: ", unfinished.error().message));
  const auto sites = sites_with_files(m_host).value_or(std::set<SiteName>{});
  if (sites.empty()) // else each site's turn does it
    if (const auto pruned = prune_artifacts(m_host); !pruned)
      log::warn(
          cat("artifacts of removed sites stay until the next job: ", pruned.error().message));
  const std::lock_guard lock(m_mutex);
  for (const auto& site : sites)
    enqueue(site, {});
  for (const auto& job : *unfinished) {
    if (job.state == JobState::queued || job.state == JobState::running || wait_is_over(job))
      enqueue(job.site, {.job = job.id, .kind = job.kind});
    note_deadline(job);
  }
  schedule();
}

void Engine::submit(const std::string& id) {
  auto job = m_host.store.job(id);
  if (!job || !*job || (*job)->finished_ms != 0)
    return;
  note_what_is_live(**job);
  const std::lock_guard lock(m_mutex);
  if (const auto it = m_running.find((*job)->site); it != m_running.end()) {
    Running& running = *it->second;
    const bool forward = running.kind == JobKind::deploy || running.kind == JobKind::rollback;
    if ((*job)->kind == JobKind::rollback && forward && !running.control.switched)
      running.control.cancel();
  }
  enqueue((*job)->site, {.job = id, .kind = (*job)->kind});
  schedule();
}

// A rollback is from what is live when it is asked for: what a watch rolls back meanwhile is not
// rolled back once more.
void Engine::note_what_is_live(store::Job& job) {
  const auto row = m_host.store.site(job.site);
  if (job.kind != JobKind::rollback || !job.version.empty() || !row || !*row)
    return;
  job.previous = (*row)->live;
  const Unsynced later; // the audit entry of the order, or the job's first record that is synced
  if (auto written = m_host.store.update_job(job); !written)
    log::warn(cat("job ", job.id, ": ", written.error().message));
}

void Engine::cancel(const std::string& id) {
  const std::lock_guard lock(m_mutex);
  for (auto& [site, running] : m_running)
    if (running->job == id && !running->control.switched)
      running->control.cancel();
}

Engine::CameUp Engine::unlocked(os::Millis limit, const std::function<bool()>& enough) {
  struct Tally {
    std::mutex mutex;
    std::condition_variable changed;
    size_t open = 0;
    CameUp came;
  };
  const auto tally = std::make_shared<Tally>();
  {
    const std::lock_guard lock(m_mutex);
    for (const auto& row : m_host.store.sites().value_or(std::vector<store::SiteRow>{})) {
      if (row.live.empty() || row.stopped)
        continue;
      {
        const std::lock_guard count(tally->mutex);
        ++tally->open;
      }
      enqueue(row.site, {.done = [this, tally, site = row.site](const Result<BroughtUp>& result) {
        const std::string why = why_not_up(m_host, site, result),
                          later = result && why.empty() ? unopened_set(m_host, site) : "";
        const std::lock_guard count(tally->mutex);
        --tally->open;
        if (!why.empty())
          tally->came.failed.push_back(cat(site.str(), ": ", why));
        else if (result && result->started)
          tally->came.sites.push_back(site.str());
        if (!later.empty())
          tally->came.after_boot.push_back(cat(site.str(), ": ", later));
        tally->changed.notify_all();
      }});
    }
    schedule();
  }
  requeue([](const store::Job& job) { return job.state == JobState::waiting_unlock; });
  std::unique_lock lock(tally->mutex);
  const os::Millis end = m_host.clock.mono() + limit;
  while (tally->open > 0 && m_host.clock.mono() < end && !enough())
    tally->changed.wait_for(lock, k_look);
  return tally->came;
}

void Engine::alone(const SiteName& site, std::function<void()> work) {
  const std::lock_guard lock(m_mutex);
  enqueue(site, {.other = std::move(work)});
  schedule();
}

size_t Engine::running() {
  const std::lock_guard lock(m_mutex);
  return m_running.size() + m_watching.size();
}

bool Engine::ask_to_stop() {
  const std::lock_guard lock(m_mutex);
  m_stopping = true;
  m_host.slots.leave();
  for (const auto* all : {&m_running, &m_watching})
    for (auto& [site, running] : *all)
      running->control.stop();
  return m_running.empty() && m_watching.empty();
}

void Engine::stop() {
  (void)ask_to_stop();
  std::unique_lock lock(m_mutex);
  m_idle.wait(lock, [this] { return m_running.empty() && m_watching.empty(); });
  if (const auto written = m_host.store.write_ends(); !written) // the last moment for it
    log::error(cat("the ends of jobs are not recorded: ", written.error().message));
}

void Engine::enqueue(const SiteName& site, Task task) {
  auto& queue = m_queues[site];
  if (!task.job.empty() &&
      std::ranges::any_of(queue, [&](const Task& t) { return t.job == task.job; }))
    return;
  if (queue.empty())
    m_turns.push_back(site);
  queue.push_back(std::move(task));
}

Engine::Lane Engine::lane_of(const Task& task) {
  if (task.other)
    return Lane::urgent;
  if (task.job.empty())
    return Lane::bring_up;
  const bool urgent =
      task.kind == JobKind::rollback || task.kind == JobKind::stop || task.kind == JobKind::start;
  return urgent ? Lane::urgent : Lane::work;
}

bool Engine::has_room(Lane lane) const {
  const auto taken = std::ranges::count_if(m_running,
      [&](const auto& entry) { return entry.second->lane == lane && entry.second->has_place; });
  return lane == Lane::urgent || static_cast<size_t>(taken) < m_host.config.jobs_max;
}

// The sites in turn; one whose lane is full is passed by, and keeps its turn.
void Engine::schedule() {
  for (size_t i = 0; i < m_turns.size() && !m_stopping;) {
    const SiteName site = m_turns[i];
    const auto queue = m_queues.find(site);
    const auto next = next_of(site, queue->second);
    if (next == queue->second.end() || !has_room(lane_of(*next))) {
      ++i;
      continue;
    }
    if (!begin(site, *next))
      return try_later();
    m_turns.erase(m_turns.begin() + static_cast<std::ptrdiff_t>(i));
    queue->second.erase(next);
    if (queue->second.empty())
      m_queues.erase(queue);
    else
      m_turns.push_back(site);
    i = 0;
  }
}

// The first; next to a watch the first job, since what else a site needs takes it whole.
std::deque<Engine::Task>::iterator Engine::next_of(const SiteName& site, std::deque<Task>& queue) {
  if (m_running.contains(site))
    return queue.end();
  const auto watching = m_watching.find(site);
  if (watching == m_watching.end())
    return queue.begin();
  const Running& first = *watching->second;
  return first.ends ? queue.end() : std::ranges::find_if(queue, [&](const Task& task) {
    return !task.job.empty() && task.job != first.job; // it may still be queued from when it waited
  });
}

// Whatever goes wrong here: the task is still in its queue.
bool Engine::begin(const SiteName& site, const Task& task) {
  const auto started = guarded("start a job", [&] {
    auto running = std::make_shared<Running>(*this, site);
    running->kind = task.kind;
    running->job = task.job;
    running->lane = lane_of(task);
    m_running.emplace(site, running);
    return m_threads.start("a job", [this, site, task, running] { work(site, task, running); });
  });
  if (!started) {
    m_running.erase(site);
    log::warn(cat("site '", site.str(), "': ", started.error().message));
  }
  return started.has_value();
}

void Engine::try_later() {
  m_retry = m_host.clock.mono() + k_retry_pause;
  m_host.changed(""); // so that the new deadline is seen
}

void Engine::work(const SiteName& site, const Task& task, const std::shared_ptr<Running>& running) {
  const auto done = guarded(cat("site '", site.str(), "'"), [&] { run(site, task, *running); });
  if (this->running() == 1)
    os::trim_memory();
  const std::lock_guard lock(m_mutex);
  left(*running);
  (void)guarded("after a job", [&] { done ? ended(*running, task) : again(site, task); });
  if (m_host.store.has_unwritten_ends())
    try_later();
  if (!guarded("schedule", [this] { schedule(); }))
    try_later();
  if (m_stopping)
    m_host.changed("");
  m_idle.notify_all();
}

void Engine::run(const SiteName& site, const Task& task, Running& running) {
  if (task.other)
    return task.other();
  if (task.job.empty())
    return bring_up_site(running, task);
  if (const auto job = m_host.store.job(task.job); job && *job) {
    const std::lock_guard lock(m_mutex);
    running.control.waited = waited(**job);
  }
  run_job(m_host, task.job, running.control);
  const auto job = m_host.store.job(task.job);
  if (is_to_prune(running, job && *job && (*job)->finished_ms != 0))
    prune_after_job(m_host, site); // after its end: nobody who follows it waits for this
}

void Engine::bring_up_site(Running& running, const Task& task) {
  const SiteName& site = running.site;
  bool interrupted = false;
  const auto result = guarded("bring up", [&] {
    const auto unfinished = m_host.store.unfinished().value_or(std::vector<store::Job>{});
    const bool keep =
        std::ranges::any_of(unfinished, [&](const store::Job& job) { return job.site == site; });
    interrupted = std::ranges::any_of(unfinished,
        [&](const store::Job& job) { return job.site == site && job.state == JobState::running; });
    return bring_up(m_host, site, keep, running.control);
  });
  if (!result)
    log::error(cat("site '", site.str(), "': ", result.error().message));
  running.is_up = result && result->waiting.empty();
  if (task.done)
    task.done(result);
  else if (!interrupted &&
      !running.control.stopping()) // at the start: a daemon that died after a job's end left this
    prune_after_job(m_host, site);
}

void Engine::ended(const Running& one, const Task& task) {
  if (m_stopping || task.other)
    return;
  if (task.job.empty())
    return one.is_up ? watch_again(one.site) : void();
  const auto job = m_host.store.job(task.job);
  if (!job || !*job)
    return;
  note_deadline(**job);
  if ((*job)->finished_ms == 0) {
    // Running: that it waits, or begins again, could not be written.
    if ((*job)->state == JobState::queued || (*job)->state == JobState::running ||
        wait_is_over(**job))
      enqueue(one.site, {.job = task.job, .kind = task.kind});
    return;
  }
  m_since.erase(task.job);
  if (task.kind != JobKind::watch)
    watch_again(one.site);
}

// A step's exception is an error of that step. One outside the steps is to a job what a crash of
// the daemon is: what it left is undone, and it begins again. Not for ever.
void Engine::again(const SiteName& site, Task task) {
  if (task.job.empty() || m_stopping)
    return;
  if (++task.failed < k_most_exceptions) {
    enqueue(site, std::move(task));
    return;
  }
  auto job = m_host.store.job(task.job);
  if (!job || !*job || (*job)->finished_ms != 0)
    return;
  (*job)->state = JobState::failed;
  (*job)->code = Code::failure;
  (*job)->message = "internal error: see the log of chillboxd";
  (*job)->finished_ms = m_host.clock.wall_ms();
  if (auto written = m_host.store.finish_job(**job, (*job)->message); !written)
    log::error(cat("job ", task.job, ": ", written.error().message));
  enqueue(site, {.other = [this, over = **job] { run_failed_hook(m_host, over); }});
}

} // namespace chillbox::rollout
