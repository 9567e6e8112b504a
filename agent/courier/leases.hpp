// The leases of this host in the engine. That of what is `leased` exists from the first such write
// to its release, and is kept alive each 20 s meanwhile. That of what is `kept` for a time is not:
// it ends by itself, and is shared by all that is written within a sixteenth of its time. A grant
// that fails leaves no lease behind. Asks nobody itself; one thread.
#pragma once

#include "courier/etcd.hpp"
#include "os/clock.hpp"

#include <chrono>
#include <functional>
#include <map>
#include <string>
#include <vector>

namespace chillbox::courier {

class HostLeases {
public:
  // The id of a new lease of this life.
  using Grant = std::function<Result<std::string>(std::chrono::seconds life)>;
  using Now = std::function<os::Millis()>;
  HostLeases(Grant grant, Now now) : m_grant(std::move(grant)), m_now(std::move(now)) {}

  Result<Leases> of(const std::vector<EngineWrite>& writes);
  // The engine knows one of these no longer.
  void lost(const Leases& leases);

  const std::string& kept_alive() const { return m_lease; } // its id, "": none
  os::Millis due() const { return m_due; }
  void forget() { m_lease.clear(); }
  void lives();  // the engine says so
  void silent(); // it does not answer: after its life the lease may be gone

private:
  Result<std::string> timed(std::chrono::seconds kept);

  Grant m_grant;
  Now m_now;
  std::string m_lease;
  os::Millis m_heard{}, m_due{};
  struct Timed {
    std::string id;
    os::Millis granted{};
  };
  std::map<std::chrono::seconds, Timed> m_timed;
};

} // namespace chillbox::courier
