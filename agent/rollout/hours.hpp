// The history of sites by the hour, made of the facts (facts.hpp): what grew since the last look is
// added to its hour. Looks happen after a log was looked at, ten seconds after a visitor came, and
// when somebody asks: a host without visitors does nothing for it. What grew is in memory for at
// most five minutes of visits, and a crash loses no more than that.
#pragma once

#include "rollout/facts.hpp"
#include "store/hours.hpp"

#include <map>
#include <mutex>
#include <utility>
#include <vector>

namespace chillbox::rollout {

class HourBook {
public:
  HourBook(HostContext& host, FactBook& facts) : m_host(host), m_facts(facts) {}
  // What grew, into memory; from time to time, and at the end of an hour, into the store.
  Result<void> look();
  // All of it into the store.
  Result<void> write();
  Result<std::vector<store::SiteHour>> week();

private:
  struct Before { // of a site, at the last look
    int64_t time_ms = 0;
    store::SiteHour counted;
    std::map<std::string, uint64_t> cpu_us; // by service
  };
  void add(const SiteFacts& site, int64_t now_ms);
  Result<void> write_locked();

  HostContext& m_host;
  FactBook& m_facts;
  std::mutex m_mutex;
  std::map<std::string, Before> m_before;
  std::map<std::pair<std::string, int64_t>, store::SiteHour> m_rows; // not written yet
  int64_t m_written_ms = 0;
};

} // namespace chillbox::rollout
