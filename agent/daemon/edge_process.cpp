#include "daemon/edge_process.hpp"

#include "daemon/startup.hpp"
#include "os/roles.hpp"
#include "os/socket.hpp"

#include <algorithm>
#include <string>

namespace chillbox::daemon {
namespace {

constexpr os::Millis k_life{1'000}; // one that lived so long is started again at once
constexpr os::Millis k_restart_pause{1'000};
constexpr os::Millis k_pause_most{60'000}; // one that keeps ending waits longer and longer
constexpr os::Millis k_reap_wait{1'000};

} // namespace

EdgeProcess::EdgeProcess(os::Clock& clock, uint64_t artifact_max)
    : m_clock(clock), m_artifact_max(artifact_max) {}

Result<Fd> EdgeProcess::start(int listener) {
  m_due.reset();
  auto [ours, theirs] = TRY(os::packet_pair());
  os::RoleCommand command = os::role_command(
      os::k_edge_role, {service_user(os::k_edge_user), std::to_string(m_artifact_max)});
  command.fds = {{theirs.get(), 3}, {listener, 4}};
  m_started = m_clock.mono();
  m_child = TRY(os::Child::start(command));
  return std::move(ours);
}

void EdgeProcess::start_later() {
  m_pause = std::clamp(2 * m_pause, k_restart_pause, k_pause_most);
  m_due = m_clock.mono() + m_pause;
}

int EdgeProcess::reap() {
  const auto code = m_child.wait(k_reap_wait);
  m_child = os::Child();
  if (m_clock.mono() - m_started < k_life) {
    start_later();
  } else {
    m_pause = os::Millis{0};
    m_due = m_clock.mono();
  }
  return code.value_or(-1);
}

bool EdgeProcess::is_due() const {
  return m_due && m_clock.mono() >= *m_due;
}

} // namespace chillbox::daemon
