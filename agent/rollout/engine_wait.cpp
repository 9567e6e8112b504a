// Jobs that wait for an upload or for the unlock.
#include "rollout/engine.hpp"

#include "rollout/acquire.hpp"
#include "rollout/secret_set.hpp"

#include <algorithm>

namespace chillbox::rollout {

using store::JobState;

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
    if (!m_host.store.write_ends())
      m_retry = m_host.clock.mono() + k_retry_pause;
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

} // namespace chillbox::rollout
