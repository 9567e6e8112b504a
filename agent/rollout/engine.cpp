#include "rollout/engine.hpp"

#include "base/guarded.hpp"
#include "base/log.hpp"
#include "base/text.hpp"
#include "os/memory.hpp"
#include "rollout/acquire.hpp"
#include "rollout/job_context.hpp"
#include "rollout/prune.hpp"

#include <algorithm>

namespace chillbox::rollout {

using store::JobKind;
using store::JobState;

namespace {

constexpr os::Millis k_retry_pause{1'000};
constexpr os::Millis k_look{200};
constexpr unsigned k_most_exceptions = 3; // of one job

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
  const auto job = m_host.store.job(id);
  if (!job || !*job || (*job)->finished_ms != 0)
    return;
  const std::lock_guard lock(m_mutex);
  if (const auto it = m_running.find((*job)->site);
      it != m_running.end() && !it->second->job.empty()) {
    Running& running = *it->second;
    const bool forward = running.kind == JobKind::deploy || running.kind == JobKind::rollback;
    if ((*job)->kind == JobKind::rollback && forward && !running.control.switched)
      running.control.cancel();
    running.control.cut_watch();
  }
  enqueue((*job)->site, {.job = id, .kind = (*job)->kind});
  schedule();
}

void Engine::cancel(const std::string& id) {
  const std::lock_guard lock(m_mutex);
  for (auto& [site, running] : m_running)
    if (running->job == id && !running->control.switched)
      running->control.cancel();
}

os::Millis Engine::waited(const store::Job& job) {
  const os::Millis limit = m_host.config.upload_wait;
  const os::Millis now = m_host.clock.mono();
  if (m_since.size() > 2 * m_host.config.queue_max)
    m_since.clear(); // of jobs that were superseded, nearly all of them
  const auto age = std::clamp(
      os::Millis{m_host.clock.wall_ms() - job.created_ms}, os::Millis{0}, limit + os::Millis{1});
  os::Millis since = m_since.try_emplace(job.id, now - age).first->second;
  if (m_coming.contains(job.sha256))
    since = now;
  if (const auto came = m_came.find(job.sha256); came != m_came.end())
    since = std::max(since, came->second);
  return now - since;
}

void Engine::upload_begun(const std::string& sha256) {
  const std::lock_guard lock(m_mutex);
  m_coming.insert(sha256);
}

void Engine::upload_ended(const std::string& sha256) {
  const std::lock_guard lock(m_mutex);
  if (const auto one = m_coming.find(sha256); one != m_coming.end())
    m_coming.erase(one);
  const os::Millis now = m_host.clock.mono();
  std::erase_if(
      m_came, [&](const auto& entry) { return now - entry.second > m_host.config.upload_wait; });
  m_came[sha256] = now;
}

// Whether what a job waited for has come: looked at once more after it said that it waits, because
// it may have come meanwhile.
bool Engine::wait_is_over(const store::Job& job) {
  if (job.state == JobState::waiting_unlock)
    return m_host.vault.unsealed();
  if (job.state != JobState::waiting_upload)
    return false;
  const auto digest = Digest::parse(job.sha256);
  const bool expired = waited(job) > m_host.config.upload_wait;
  return expired ||
      (digest && m_host.disk.exists(m_host.paths.artifact(*digest)) &&
          !signature_of(m_host, job).empty());
}

void Engine::requeue(const std::function<bool(const store::Job&)>& which) {
  const auto unfinished = m_host.store.unfinished();
  const std::lock_guard lock(m_mutex);
  for (const auto& job : unfinished.value_or(std::vector<store::Job>{}))
    if (which(job) && wait_is_over(job))
      enqueue(job.site, {.job = job.id, .kind = job.kind});
  schedule();
}

void Engine::uploaded(const std::string& sha256) {
  requeue([&](const store::Job& job) {
    return job.state == JobState::waiting_upload && job.sha256 == sha256;
  });
}

void Engine::expire() {
  const auto unfinished = m_host.store.unfinished();
  {
    const std::lock_guard lock(m_mutex);
    m_retry.reset();
    m_deadline.reset();
    for (const auto& job : unfinished.value_or(std::vector<store::Job>{}))
      if (!wait_is_over(job))
        note_deadline(job);
  }
  requeue([](const store::Job& job) { return job.state == JobState::waiting_upload; });
}

std::optional<os::Millis> Engine::next_deadline() {
  const std::lock_guard lock(m_mutex);
  return m_deadline && m_retry ? std::min(m_deadline, m_retry) : m_deadline ? m_deadline : m_retry;
}

void Engine::note_deadline(const store::Job& job) {
  if (job.state == JobState::waiting_upload)
    m_deadline = std::min(m_deadline.value_or(os::Millis::max()),
        m_host.clock.mono() + m_host.config.upload_wait - waited(job) + os::Millis{1});
}

std::vector<std::string> Engine::unlocked(os::Millis limit, const std::function<bool()>& enough) {
  struct Tally {
    std::mutex mutex;
    std::condition_variable changed;
    size_t open = 0;
    std::vector<std::string> up;
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
      enqueue(row.site, {.done = [tally, site = row.site](const Result<BroughtUp>& result) {
        const std::lock_guard count(tally->mutex);
        --tally->open;
        if (result && result->waiting.empty())
          tally->up.push_back(site.str());
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
  return tally->up;
}

void Engine::alone(const SiteName& site, std::function<void()> work) {
  const std::lock_guard lock(m_mutex);
  enqueue(site, {.other = std::move(work)});
  schedule();
}

size_t Engine::running() {
  const std::lock_guard lock(m_mutex);
  return m_running.size();
}

bool Engine::ask_to_stop() {
  const std::lock_guard lock(m_mutex);
  m_stopping = true;
  for (auto& [site, running] : m_running)
    running->control.stop();
  return m_running.empty();
}

void Engine::stop() {
  (void)ask_to_stop();
  std::unique_lock lock(m_mutex);
  m_idle.wait(lock, [this] { return m_running.empty(); });
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

void Engine::let_go(const SiteName& site) {
  const std::lock_guard lock(m_mutex);
  const auto running = m_running.find(site);
  if (running == m_running.end() || !running->second->has_place)
    return;
  running->second->has_place = false;
  schedule();
}

// The sites in turn; one whose lane is full is passed by, and keeps its turn.
void Engine::schedule() {
  for (size_t i = 0; i < m_turns.size() && !m_stopping;) {
    const SiteName site = m_turns[i];
    const auto queue = m_queues.find(site);
    if (m_running.contains(site) || !has_room(lane_of(queue->second.front()))) {
      ++i;
      continue;
    }
    if (!begin(site))
      return try_later();
    m_turns.erase(m_turns.begin() + static_cast<std::ptrdiff_t>(i));
    queue->second.pop_front();
    if (queue->second.empty())
      m_queues.erase(queue);
    else
      m_turns.push_back(site);
    i = 0;
  }
}

// Whatever goes wrong here: the task is still in its queue.
bool Engine::begin(const SiteName& site) {
  const auto started = guarded("start a job", [&] {
    const Task& task = m_queues.at(site).front();
    auto running = std::make_shared<Running>();
    running->kind = task.kind;
    running->job = task.job;
    running->lane = lane_of(task);
    running->control.on_let_go = [this, site] { let_go(site); };
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
  m_running.erase(site);
  (void)guarded(
      "after a job", [&] { done ? ended(site, task, !running->job.empty()) : again(site, task); });
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
    return bring_up_site(site, task, running.control);
  if (const auto job = m_host.store.job(task.job); job && *job) {
    const std::lock_guard lock(m_mutex);
    running.control.waited = waited(**job);
  }
  run_job(m_host, task.job, running.control);
  if (const auto job = m_host.store.job(task.job);
      !running.control.stopping() && job && *job && (*job)->finished_ms != 0)
    prune_after_job(m_host, site); // after its end: nobody who follows it waits for this
}

void Engine::bring_up_site(const SiteName& site, const Task& task, JobControl& control) {
  bool interrupted = false;
  const auto result = guarded("bring up", [&] {
    const auto unfinished = m_host.store.unfinished().value_or(std::vector<store::Job>{});
    const bool keep =
        std::ranges::any_of(unfinished, [&](const store::Job& job) { return job.site == site; });
    interrupted = std::ranges::any_of(unfinished,
        [&](const store::Job& job) { return job.site == site && job.state == JobState::running; });
    return bring_up(m_host, site, keep, control);
  });
  if (!result)
    log::error(cat("site '", site.str(), "': ", result.error().message));
  if (task.done)
    task.done(result);
  else if (!interrupted &&
      !control.stopping()) // at the start: a daemon that died after a job's end left this
    prune_after_job(m_host, site);
}

void Engine::ended(const SiteName& site, const Task& task, bool is_job) {
  if (!is_job || m_stopping)
    return;
  const auto job = m_host.store.job(task.job);
  if (!job || !*job)
    return;
  note_deadline(**job);
  if ((*job)->finished_ms != 0)
    m_since.erase(task.job);
  else if (wait_is_over(**job))
    enqueue(site, {.job = task.job, .kind = task.kind});
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
}

} // namespace chillbox::rollout
