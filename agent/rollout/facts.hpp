// What is known of this host at one moment, for whoever shows or judges it: metrics, `top`, the
// report, the rules of notices. Computed when somebody asks, from the store, OpenRC, control groups
// and /proc; nobody is asked over a socket. What the kernel or the host does not say has no value,
// which is not the same as 0. Several who ask within a second get the same facts.
#pragma once

#include "control/backups.hpp"
#include "control/certificate.hpp"
#include "control/names.hpp"
#include "nginx/counts.hpp"
#include "openrc/usage.hpp"
#include "rollout/host_context.hpp"
#include "rollout/known_releases.hpp"
#include "store/totals.hpp"

#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

namespace chillbox::rollout {

inline constexpr std::string_view k_nginx = "nginx"; // no service is called so

struct ServiceFacts {
  std::string name; // "redis": the site's own
  std::string kind; // of its service, as the site file has it
  bool worker = false;
  Slot slot = Slot::none;
  control::ServiceState state = control::ServiceState::files;
  uint64_t starts = 0; // of all copies, since the release got its slot
  openrc::Usage usage;
  std::optional<uint32_t> accept_queue; // connections that wait; of unix sockets
  bool runs() const { return state != control::ServiceState::files; } // else NGINX serves files
};

struct SiteFacts {
  explicit SiteFacts(SiteName name) : site(std::move(name)) {}
  SiteName site;
  control::SiteState state = control::SiteState::none;
  std::string version, release; // live, "" : nothing is
  int64_t live_ms = 0;          // when it went live
  bool stopped = false, maintenance = false;
  std::optional<store::Hold> hold;
  std::string waiting; // what is wrong or awaited, and what to do about it
  std::vector<ServiceFacts> services;
  std::vector<store::Total> totals; // of its jobs and runs
  // Of its visitors, by service, since chillboxd started; k_nginx: what NGINX answered itself.
  nginx::SiteCounts counts;
};

// What there is to tell, and what waits to be told.
struct NoticeFacts {
  std::array<uint64_t, 3> open{};      // by rank of their severity: info, warning, error
  uint64_t waiting = 0, exhausted = 0; // messages
};

// Of the machine.
struct MachineFacts {
  std::optional<double> load1;
  std::optional<uint64_t> memory_total, memory_available; // bytes
  std::vector<os::FileSystem> disks; // that are written to, the one of /var/lib/chillbox first
  std::optional<uint64_t> uptime_s;
  uint64_t processors = 1;
};

// Of chillboxd.
struct AgentFacts {
  std::string version;
  int64_t started_ms = 0;
  bool sealed = false;
  std::optional<uint64_t> memory; // bytes that the monitor has in memory
  std::vector<store::Job> unfinished;
  uint64_t jobs_running = 0;
  uint64_t jobs_waiting() const; // for their turn, an upload or an unlock
  uint64_t jobs_waiting_unlock() const;
  uint64_t unlock_failures = 0;
  uint64_t refused_webhooks = 0, refused_uploads = 0; // since the start
};

struct Facts {
  int64_t time_ms = 0;
  MachineFacts machine;
  AgentFacts agent;
  std::vector<SiteFacts> sites; // by name
  std::vector<control::Certificate> certificates;
  std::vector<control::BackupState> backups;
  NoticeFacts notices;
};

// What other rooms know; each may be empty.
struct FactSources {
  std::function<Result<std::vector<control::Certificate>>()> certificates = {};
  std::function<Result<std::vector<control::BackupState>>()> backups = {};
  std::function<uint64_t()> jobs_running = {}, refused_webhooks = {}, refused_uploads = {};
};

class FactBook {
public:
  FactBook(HostContext& host, KnownReleases& known, FactSources sources);
  // Of a moment that is less than so long ago; 0: of now. Any thread.
  Result<std::shared_ptr<const Facts>> facts(os::Millis age = os::Millis{1'000});

private:
  Result<Facts> look();
  HostContext& m_host;
  KnownReleases& m_known;
  FactSources m_sources;
  int64_t m_started_ms;
  std::mutex m_mutex; // who comes while another looks gets what that one finds
  std::shared_ptr<const Facts> m_last;
  os::Millis m_last_at{};
};

// Those that are written to, each once, the one of /var/lib/chillbox first.
std::vector<os::FileSystem> disks_of(const HostContext& host);

} // namespace chillbox::rollout
