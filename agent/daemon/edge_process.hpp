// The process of the edge, and when it is started again after it ended: at once, or after a pause
// that grows from 1 s to 60 s while it does not live for a second.
#pragma once

#include "base/error.hpp"
#include "base/fd.hpp"
#include "os/clock.hpp"
#include "os/process.hpp"

#include <cstdint>
#include <optional>

namespace chillbox::daemon {

class EdgeProcess {
public:
  // artifact_max: bytes that it lets an upload have.
  EdgeProcess(os::Clock& clock, uint64_t artifact_max);

  // Returns our end of its packets. `listener`: the socket on which it serves.
  Result<Fd> start(int listener);
  void start_later(); // it could not be started
  // Reaps it, and kills one that lives but takes no answers; it is due again. Returns its exit
  // code, 128 + the signal that ended it, or -1.
  int reap();

  bool is_due() const; // there is none, and its pause is over
  std::optional<os::Millis> due() const { return m_due; }
  os::Millis pause() const { return m_pause; }
  bool running() { return m_child.running(); }
  int pidfd() const { return m_child.pidfd(); }

private:
  os::Clock& m_clock;
  uint64_t m_artifact_max;
  os::Child m_child;
  os::Millis m_started{0};
  os::Millis m_pause{0};           // before the next start
  std::optional<os::Millis> m_due; // there is none: when it is tried again
};

} // namespace chillbox::daemon
