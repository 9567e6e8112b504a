#include "cli/core/last_change.hpp"

#include <ranges>
#include <set>

namespace chillbox::cli {
namespace {

using control::Job;
using control::JobKind;

bool is_of_another_host(const Job& job) {
  return job.actor.find(" on ") != std::string::npos;
}

class Replay {
public:
  std::optional<LastChange> changed_by(const Job& job) {
    switch (job.kind) {
    case JobKind::stop: return by_stop(job);
    case JobKind::start:
    case JobKind::restart: return by_start(job);
    case JobKind::deploy:
    case JobKind::rollback:
      if (job.release == job.previous && !job.options.with_data)
        return m_stopped.contains("") ? by_start(job) : std::nullopt;
      break;
    case JobKind::secrets:
      if (job.step == "obtain") // "already in use"
        return std::nullopt;
      if (m_stopped.contains(""))
        return LastChange{job};
      break;
    case JobKind::watch:
      if (job.release == job.previous)
        return std::nullopt;
      break;
    case JobKind::remove:
    case JobKind::restore: break;
    case JobKind::ping:
    case JobKind::unknown: return std::nullopt;
    }
    m_stopped.clear(); // what is live now was started
    return LastChange{job};
  }

private:
  std::optional<LastChange> by_stop(const Job& job) {
    return m_stopped.insert(job.service).second ? std::optional(LastChange{job}) : std::nullopt;
  }
  std::optional<LastChange> by_start(const Job& job) {
    if (m_stopped.empty())
      return std::nullopt;
    LastChange change{job};
    if (m_stopped.contains(""))
      change.started = {""};
    else
      change.started.assign(m_stopped.begin(), m_stopped.end());
    m_stopped.clear();
    return change;
  }
  std::set<std::string> m_stopped; // services; "": the whole site
};

} // namespace

std::optional<LastChange> last_change(const std::vector<Job>& jobs) {
  Replay replay;
  std::optional<LastChange> last;
  for (const Job& job : std::views::reverse(jobs))
    if (job.state == control::JobState::done && !is_of_another_host(job))
      if (auto change = replay.changed_by(job))
        last.emplace(std::move(*change));
  return last;
}

} // namespace chillbox::cli
