#include "courier/leases.hpp"

namespace chillbox::courier {
namespace {

constexpr os::Millis k_alive_each{20'000}, k_alive_again{5'000};
constexpr std::chrono::seconds k_kept_alive{0}; // in Leases

} // namespace

Result<Leases> HostLeases::of(const std::vector<EngineWrite>& writes) {
  Leases leases;
  for (const auto& write : writes) {
    if (write.leased) {
      if (m_lease.empty()) {
        m_lease = TRY(m_grant(control::k_engine_lease));
        lives();
      }
      leases[k_kept_alive] = m_lease;
    } else if (write.kept.count() > 0 && !leases.contains(write.kept)) {
      leases[write.kept] = TRY(timed(write.kept));
    }
  }
  return leases;
}

// What is written early in its life is kept for its whole time, too.
Result<std::string> HostLeases::timed(std::chrono::seconds kept) {
  const std::chrono::seconds more = kept / 16;
  Timed& lease = m_timed[kept];
  const auto now = m_now(); // the engine counts from later than this
  if (!lease.id.empty() && now - lease.granted < more)
    return lease.id;
  lease.id.clear();
  lease.id = TRY(m_grant(kept + more));
  lease.granted = now;
  return lease.id;
}

void HostLeases::lost(const Leases& leases) {
  if (leases.contains(k_kept_alive))
    m_lease.clear();
  m_timed.clear();
}

void HostLeases::lives() {
  m_heard = m_now();
  m_due = m_heard + k_alive_each;
}

void HostLeases::silent() {
  if (m_now() - m_heard > os::Millis(control::k_engine_lease))
    m_lease.clear();
  else
    m_due = m_now() + k_alive_again;
}

} // namespace chillbox::courier
