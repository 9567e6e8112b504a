// What the monitor asks for, in its order, one after the other, in a thread of their own; and what
// keeps the leases (leases.hpp).
#pragma once

#include "control/engine.hpp"
#include "courier/etcd.hpp"
#include "courier/leases.hpp"
#include "courier/members.hpp"
#include "courier/report.hpp"
#include "os/deadline.hpp"

#include <condition_variable>
#include <cstdint>
#include <deque>
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
  Result<std::string> grant(std::chrono::seconds life);
  Result<Reply> ask(std::string_view path, std::string_view body, const os::Deadline& deadline,
      bool* maybe_done = nullptr);

  Members& m_members;
  Report& m_report;
  Line m_line;
  os::Deadline m_lease_deadline; // of the order for which leases are asked for
  HostLeases m_leases{[this](std::chrono::seconds life) { return grant(life); },
      [] { return os::real_clock().mono(); }};
  std::mutex m_mutex; // of the queue
  std::condition_variable m_more;
  std::deque<Order> m_orders;
};

} // namespace chillbox::courier
