#include "rollout/engine.hpp"

#include "base/log.hpp"
#include "base/text.hpp"
#include "os/memory.hpp"
#include "rollout/prune.hpp"
#include "rollout/steps.hpp"

#include <algorithm>
#include <thread>

namespace chillbox::rollout {

using store::JobKind;
using store::JobState;

void Engine::recover() {
  const auto unfinished = m_world.store.unfinished();
  if (!unfinished)
    return log::error(cat("recover: ", unfinished.error().message));
  const auto sites = sites_with_files(m_world).value_or(std::set<SiteName>{});
  if (sites.empty()) // else each site's turn does it
    if (const auto pruned = prune_artifacts(m_world); !pruned)
      log::warn(cat("artifacts of removed sites stay until the next job: ", pruned.error().message));
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
  const auto job = m_world.store.job(id);
  if (!job || !*job || (*job)->finished_ms != 0)
    return;
  const std::lock_guard lock(m_mutex);
  if (const auto it = m_running.find((*job)->site); it != m_running.end() && !it->second->job.empty()) {
    auto& [signals, kind, id_of_it] = *it->second;
    if ((*job)->kind == JobKind::rollback && (kind == JobKind::deploy || kind == JobKind::rollback) && !signals.switched)
      signals.cancel();
    signals.cut_watch();
  }
  enqueue((*job)->site, {.job = id, .kind = (*job)->kind});
  schedule();
}

void Engine::cancel(const std::string& id) {
  const std::lock_guard lock(m_mutex);
  for (auto& [site, running] : m_running)
    if (running->job == id && !running->signals.switched)
      running->signals.cancel();
}

os::Millis Engine::waited(const store::Job& job) {
  const os::Millis limit = m_world.config.upload_wait;
  const os::Millis now = m_world.clock.mono();
  if (m_since.size() > 2 * m_world.config.queue_max)
    m_since.clear(); // of jobs that were superseded, nearly all of them
  const auto age = std::clamp(os::Millis{m_world.clock.wall_ms() - job.created_ms}, os::Millis{0}, limit + os::Millis{1});
  return now - m_since.try_emplace(job.id, now - age).first->second;
}

// Whether what a job waited for is there: looked at once more after it said that it waits, because it may have come meanwhile.
bool Engine::wait_is_over(const store::Job& job) {
  if (job.state == JobState::waiting_unlock)
    return m_world.vault.unsealed();
  if (job.state != JobState::waiting_upload)
    return false;
  const auto digest = Digest::parse(job.sha256);
  const bool expired = waited(job) > m_world.config.upload_wait;
  return expired || (digest && m_world.disk.exists(m_world.paths.artifact(*digest)) && !signature_of(m_world, job).empty());
}

void Engine::requeue(const std::function<bool(const store::Job&)>& which) {
  const auto unfinished = m_world.store.unfinished();
  const std::lock_guard lock(m_mutex);
  for (const auto& job : unfinished.value_or(std::vector<store::Job>{}))
    if (which(job) && wait_is_over(job))
      enqueue(job.site, {.job = job.id, .kind = job.kind});
  schedule();
}

void Engine::uploaded(const std::string& sha256) {
  requeue([&](const store::Job& job) { return job.state == JobState::waiting_upload && job.sha256 == sha256; });
}

void Engine::expire() {
  const auto unfinished = m_world.store.unfinished();
  {
    const std::lock_guard lock(m_mutex);
    m_deadline.reset();
    for (const auto& job : unfinished.value_or(std::vector<store::Job>{}))
      if (!wait_is_over(job))
        note_deadline(job);
  }
  requeue([](const store::Job& job) { return job.state == JobState::waiting_upload; });
}

std::optional<os::Millis> Engine::next_deadline() {
  const std::lock_guard lock(m_mutex);
  return m_deadline;
}

void Engine::note_deadline(const store::Job& job) {
  if (job.state == JobState::waiting_upload)
    m_deadline = std::min(m_deadline.value_or(os::Millis::max()),
                          m_world.clock.mono() + m_world.config.upload_wait - waited(job) + os::Millis{1});
}

std::vector<std::string> Engine::unlocked(os::Millis limit) {
  struct Tally {
    std::mutex mutex;
    std::condition_variable changed;
    size_t open = 0;
    std::vector<std::string> up;
  };
  const auto tally = std::make_shared<Tally>();
  {
    const std::lock_guard lock(m_mutex);
    for (const auto& row : m_world.store.sites().value_or(std::vector<store::SiteRow>{})) {
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
  tally->changed.wait_for(lock, limit, [&] { return tally->open == 0; });
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

void Engine::stop() {
  std::unique_lock lock(m_mutex);
  m_stopping = true;
  for (auto& [site, running] : m_running)
    running->signals.stop();
  m_idle.wait(lock, [this] { return m_running.empty(); });
}

void Engine::enqueue(const SiteName& site, Task task) {
  auto& queue = m_queues[site];
  if (!task.job.empty() && std::ranges::any_of(queue, [&](const Task& t) { return t.job == task.job; }))
    return;
  if (queue.empty())
    m_turns.push_back(site);
  queue.push_back(std::move(task));
}

void Engine::schedule() {
  for (auto turn = m_turns.begin(); turn != m_turns.end() && !m_stopping && m_running.size() < m_world.config.jobs_max;) {
    const SiteName site = *turn;
    if (m_running.contains(site)) {
      ++turn;
      continue;
    }
    auto queue = m_queues.find(site);
    Task task = std::move(queue->second.front());
    queue->second.pop_front();
    turn = m_turns.erase(turn);
    if (queue->second.empty())
      m_queues.erase(queue);
    else
      turn = m_turns.insert(m_turns.end(), site);
    auto running = std::make_shared<Running>();
    running->kind = task.kind;
    running->job = task.job;
    m_running.emplace(site, running);
    std::thread(&Engine::work, this, site, std::move(task), std::move(running)).detach();
    turn = m_turns.begin();
  }
}

void Engine::work(SiteName site, Task task, std::shared_ptr<Running> running) {
  if (!running->job.empty()) {
    if (const auto job = m_world.store.job(task.job); job && *job) {
      const std::lock_guard lock(m_mutex);
      running->signals.waited = waited(**job);
    }
    run_job(m_world, task.job, running->signals);
    if (const auto job = m_world.store.job(task.job); !running->signals.stopping() && job && *job && (*job)->finished_ms != 0)
      tidy(m_world, site); // behind its end: nobody who follows it waits for this
  } else if (task.other) {
    task.other();
  } else {
    const auto unfinished = m_world.store.unfinished().value_or(std::vector<store::Job>{});
    const bool keep = std::ranges::any_of(unfinished, [&](const store::Job& job) { return job.site == site; });
    const bool interrupted = std::ranges::any_of(unfinished, [&](const store::Job& job) { return job.site == site && job.state == JobState::running; });
    const auto result = bring_up(m_world, site, keep);
    if (!result)
      log::error(cat("site '", site.str(), "': ", result.error().message));
    if (task.done)
      task.done(result);
    else if (!interrupted && !running->signals.stopping()) // at the start: a daemon that died after a job's end left this
      tidy(m_world, site);
  }
  if (this->running() == 1)
    os::give_back_memory();
  const std::lock_guard lock(m_mutex);
  m_running.erase(site);
  if (!running->job.empty() && !m_stopping)
    if (const auto job = m_world.store.job(task.job); job && *job) {
      note_deadline(**job);
      if ((*job)->finished_ms != 0)
        m_since.erase(task.job);
      else if (wait_is_over(**job))
        enqueue(site, {.job = task.job, .kind = task.kind});
    }
  schedule();
  m_idle.notify_all();
}

} // namespace chillbox::rollout
