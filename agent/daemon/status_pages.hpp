// Writes the public pages of sites that want one (nginx/status_page.hpp) when a state changes.
// Nothing is looked at while nothing happens; without such a site never.
#pragma once

#include "rollout/facts.hpp"

#include <optional>

namespace chillbox::daemon {

// By the loop only.
class StatusPages {
public:
  StatusPages(rollout::HostContext& host, rollout::FactBook& facts)
      : m_host(host), m_facts(facts) {}
  // Something happened: a look is due in a second, when its consequences are there, too.
  void happened();
  std::optional<os::Millis> due() const { return m_due; }
  void look_if_due();

private:
  std::vector<SiteName> sites();
  rollout::HostContext& m_host;
  rollout::FactBook& m_facts;
  std::optional<os::Millis> m_due;
};

} // namespace chillbox::daemon
