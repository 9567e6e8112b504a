// Artifacts that a job is about to need: pruning leaves them alone until the job, which then speaks
// for them, is in the store.
#pragma once

#include <algorithm>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace chillbox::rollout {

class ArtifactHolds {
public:
  // For as long as it exists. Waits while something is pruned: what the holder then sees on disk
  // stays there.
  class Hold {
  public:
    Hold(ArtifactHolds& all, std::string sha256) : m_all(all), m_sha256(std::move(sha256)) {
      const std::lock_guard lock(m_all.m_mutex);
      m_all.m_held.push_back(m_sha256);
    }
    ~Hold() {
      const std::lock_guard lock(m_all.m_mutex);
      m_all.m_held.erase(std::ranges::find(m_all.m_held, m_sha256));
    }
    Hold(const Hold&) = delete;
    Hold& operator=(const Hold&) = delete;

  private:
    ArtifactHolds& m_all;
    std::string m_sha256;
  };
  // For who prunes, from before the question what is needed until what is not is gone: meanwhile
  // no hold begins or ends.
  class Pruning {
  public:
    explicit Pruning(ArtifactHolds& all) : m_all(all), m_lock(all.m_mutex) {}
    bool is_held(std::string_view sha256) const {
      return std::ranges::find(m_all.m_held, sha256) != m_all.m_held.end();
    }

  private:
    ArtifactHolds& m_all;
    std::lock_guard<std::mutex> m_lock;
  };

private:
  std::mutex m_mutex;
  std::vector<std::string> m_held;
};

} // namespace chillbox::rollout
