// Watches one prefix, on a connection and in a thread of its own. It sleeps in the kernel until
// something changes: an idle host is not woken for it.
#pragma once

#include "courier/members.hpp"
#include "courier/report.hpp"

#include <mutex>
#include <string>

namespace chillbox::courier {

class Follower {
public:
  Follower(Members& members, Report& report, std::string prefix)
      : m_members(members), m_report(report), m_prefix(std::move(prefix)) {}
  [[noreturn]] void run();
  void look_again(); // any thread: the connection may be dead

private:
  Result<void> watch(bool& begun); // until it is over
  Members& m_members;
  Report& m_report;
  std::string m_prefix;
  Line m_line;
  std::mutex m_mutex; // of m_socket
  int m_socket = -1;  // while it waits
};

} // namespace chillbox::courier
