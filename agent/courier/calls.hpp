// What the monitor asks for, in its order, one after the other, in a thread of their own; and the
// leases. That of what is `leased` exists from the first such write to its release, and is kept
// alive each 20 s meanwhile. That of what is `kept` for a time is not: it ends by itself, and is
// shared by all that is written within a sixteenth of its time.
#pragma once

#include "control/engine.hpp"
#include "courier/etcd.hpp"
#include "courier/members.hpp"
#include "courier/report.hpp"
#include "os/deadline.hpp"

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

namespace chillbox::courier {

struct Order {
  enum class Kind { change, read, release };
  Kind kind{};
  uint64_t sequence = 0;
  std::vector<control::EngineCondition> conditions = {};
  std::vector<control::EngineWrite> writes = {};
  std::string prefix = {};
  os::Deadline deadline = {};
};

class Calls {
public:
  Calls(Members& members, Report& report) : m_members(members), m_report(report) {}
  void add(Order order); // any thread
  [[noreturn]] void run();

private:
  std::optional<Order> next(); // nullopt: the lease is due
  Done change(const Order& order);
  Result<Done> try_change(const Order& order);
  void read(const Order& order);
  void release();
  void keep_alive();
  Result<Leases> leases_for(const Order& order);
  Result<void> need_lease(const os::Deadline& deadline);
  Result<std::string> timed_lease(std::chrono::seconds kept, const os::Deadline& deadline);
  Result<Reply> ask(std::string_view path, std::string_view body, const os::Deadline& deadline,
      bool* maybe_done = nullptr);

  Members& m_members;
  Report& m_report;
  Line m_line;
  std::string m_lease; // its id, "": none
  os::Millis m_kept{}, m_due{};
  struct TimedLease {
    std::string id;
    os::Millis granted{};
  };
  std::map<std::chrono::seconds, TimedLease> m_timed;
  std::mutex m_mutex; // of the queue
  std::condition_variable m_more;
  std::deque<Order> m_orders;
};

} // namespace chillbox::courier
