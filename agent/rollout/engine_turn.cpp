// Two jobs of one site: the one that watches its release, and the next.
#include "rollout/engine.hpp"

#include "base/log.hpp"
#include "base/text.hpp"
#include "rollout/watch.hpp"

namespace chillbox::rollout {
namespace {

constexpr os::Millis k_turn_look{100}; // at cancelled(); the turn itself is an event

} // namespace

void Engine::let_go(Running& one) {
  const std::lock_guard lock(m_mutex);
  if (!one.has_place)
    return;
  one.has_place = false;
  schedule();
}

void Engine::watch_begins(Running& one) {
  const std::lock_guard lock(m_mutex);
  const auto running = m_running.find(one.site);
  if (m_stopping || running == m_running.end() || running->second.get() != &one)
    return;
  one.has_slots = false;
  m_watching.emplace(one.site, running->second);
  m_running.erase(running);
  schedule();
}

void Engine::retires(Running& one) {
  const std::lock_guard lock(m_mutex);
  one.has_slots = true;
  one.ends = false;
  if (const auto running = m_running.find(one.site);
      running != m_running.end() && running->second.get() == &one && !m_stopping) {
    m_watching.emplace(one.site, running->second);
    m_running.erase(running);
  }
  schedule();
}

std::shared_ptr<Engine::Running> Engine::other_of(const Running& one) const {
  for (const auto* all : {&m_running, &m_watching})
    if (const auto found = all->find(one.site); found != all->end() && found->second.get() != &one)
      return found->second;
  return nullptr;
}

void Engine::left(const Running& one) {
  for (auto* all : {&m_running, &m_watching})
    if (const auto found = all->find(one.site); found != all->end() && found->second.get() == &one)
      all->erase(found);
}

void Engine::wait_until(
    std::unique_lock<std::mutex>& lock, const Running& one, const std::function<bool()>& holds) {
  while (!holds() && !one.control.cancelled())
    m_idle.wait_for(lock, k_turn_look);
}

bool Engine::watch_ends(Running& one, bool good) {
  std::unique_lock lock(m_mutex);
  one.ends = true;
  const auto next = other_of(one);
  const auto is_off = [&] { return !next || !next->has_slots || other_of(one) != next; };
  if (good && (one.control.watch_is_cut() || !is_off()))
    return false;
  if (!is_off())
    next->control.yield();
  wait_until(lock, one, is_off);
  one.has_slots = true;
  return true;
}

void Engine::take_slots(Running& one) {
  std::unique_lock lock(m_mutex);
  const bool urgent = one.lane == Lane::urgent || one.kind == store::JobKind::remove;
  wait_until(lock, one, [&] {
    const auto other = other_of(one);
    if (other && other->has_slots && urgent)
      other->control.hurry();
    return !other || !other->has_slots;
  });
  one.has_slots = !one.control.cancelled();
}

void Engine::give_slots(Running& one) {
  const std::lock_guard lock(m_mutex);
  one.has_slots = false;
  m_idle.notify_all();
}

void Engine::end_watch(Running& one) {
  std::unique_lock lock(m_mutex);
  const auto watching = m_watching.find(one.site);
  if (watching == m_watching.end() || watching->second.get() == &one)
    return;
  const auto other = watching->second;
  other->control.cut_watch();
  wait_until(lock, one, [&] { return other_of(one) != other; });
}

void Engine::watch_again(const SiteName& site) {
  if (m_stopping || m_queues.contains(site) || m_running.contains(site) ||
      m_watching.contains(site))
    return;
  const auto job = order_watch(m_host, site);
  if (!job)
    return log::error(cat("site '", site.str(), "': watch again: ", job.error().message));
  if (*job)
    enqueue(site, {.job = (*job)->id, .kind = (*job)->kind});
}

bool Engine::is_to_prune(const Running& one, bool ended) {
  const std::lock_guard lock(m_mutex);
  if (ended)
    m_unpruned.insert(one.site);
  return !m_stopping && !other_of(one) && m_unpruned.erase(one.site) > 0;
}

} // namespace chillbox::rollout
