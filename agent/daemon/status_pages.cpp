#include "daemon/status_pages.hpp"

#include "base/log.hpp"
#include "base/text.hpp"
#include "nginx/status_page.hpp"

#include <algorithm>

namespace chillbox::daemon {
namespace {

using control::ServiceState;
using nginx::PublicState;

constexpr os::Millis k_pages_pause{1'000}; // until what happened has its consequences
constexpr os::Millis k_again{
    5'000}; // while one starts or keeps crashing, whose end is no event, and after an error

bool is_restless(const rollout::ServiceFacts& service) {
  return service.state == ServiceState::starting || service.state == ServiceState::crashing;
}

// Strangers need not know that a host waits for its passphrase: that is down, too.
PublicState public_state(const rollout::SiteFacts& site) {
  if (site.maintenance)
    return PublicState::maintenance;
  if (site.state == control::SiteState::live)
    return PublicState::up;
  const bool some = std::ranges::any_of(site.services, [](const auto& service) {
    return !service.runs() || service.state == ServiceState::started;
  });
  return site.state == control::SiteState::degraded && some ? PublicState::partly
                                                            : PublicState::down;
}

} // namespace

std::vector<SiteName> StatusPages::sites() {
  constexpr std::string_view k_end = ".html";
  std::vector<SiteName> sites;
  const auto files =
      m_host.disk.list(nginx::status_dir(m_host.paths)).value_or(std::vector<std::string>{});
  for (const auto& file : files)
    if (file.ends_with(k_end))
      if (auto site = SiteName::parse(file.substr(0, file.size() - k_end.size())))
        sites.push_back(std::move(*site));
  return sites;
}

void StatusPages::happened() {
  const os::Millis soon = m_host.clock.mono() + k_pages_pause;
  if ((!m_due || *m_due > soon) && !sites().empty())
    m_due = soon;
}

void StatusPages::look_if_due() {
  if (!m_due || m_host.clock.mono() < *m_due)
    return;
  m_due.reset();
  const auto again = [this](const Error& error) {
    log::error(cat("status pages: ", error.message));
    m_due = m_host.clock.mono() + k_again;
  };
  const auto facts = m_facts.facts(k_pages_pause / 2); // of after what happened
  if (!facts)
    return again(facts.error());
  for (const auto& name : sites()) {
    const auto site = std::ranges::find((*facts)->sites, name, &rollout::SiteFacts::site);
    if (site == (*facts)->sites.end())
      continue;
    if (std::ranges::any_of(site->services, is_restless))
      m_due = m_host.clock.mono() + k_again;
    const auto written = nginx::write_status_page(
        m_host.disk, m_host.paths, name, public_state(*site), (*facts)->time_ms / 1'000);
    if (!written)
      again(written.error());
  }
}

} // namespace chillbox::daemon
