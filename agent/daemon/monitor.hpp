// The monitor: the one privileged process. It owns the sockets, the store and the children, runs
// the loop that serves the edge and the control socket, and hands jobs to the engine. It has no
// network.
#pragma once

#include "backup/backups.hpp"
#include "base/thread_group.hpp"
#include "config/host.hpp"
#include "cron/scheduler.hpp"
#include "daemon/change_notifier.hpp"
#include "daemon/control_server.hpp"
#include "daemon/edge_process.hpp"
#include "daemon/fleet_engine.hpp"
#include "daemon/log_rotation.hpp"
#include "daemon/metrics.hpp"
#include "daemon/reexec.hpp"
#include "daemon/report_page.hpp"
#include "daemon/rollouts.hpp"
#include "daemon/site_notices.hpp"
#include "daemon/status_pages.hpp"
#include "daemon/webhook_intake.hpp"
#include "nginx/nginx.hpp"
#include "notices/notifier.hpp"
#include "openrc/slots.hpp"
#include "os/paths.hpp"
#include "rollout/engine.hpp"
#include "rollout/facts.hpp"
#include "rollout/host_context.hpp"
#include "rollout/hours.hpp"
#include "secrets/vault.hpp"
#include "store/store.hpp"
#include "tls/certificates.hpp"

#include <atomic>
#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

namespace chillbox::daemon {

class Monitor {
public:
  Monitor(os::Paths paths, config::HostConfig config, store::Store store, std::string program);
  ~Monitor() {
    m_stop_checks = true;
    m_notifier.stop();
  }

  Result<void> start(Inherited inherited);
  void warn(std::string text) { m_control_server.warn(std::move(text)); }
  enum class End { stop, upgrade };
  End loop();
  void not_upgraded(const std::string& why) { m_control_server.not_upgraded(why); }
  Inherited hand_over() {
    return {std::move(m_control), std::move(m_people), std::move(m_hook), m_vault.hand_over()};
  }

private:
  Result<void> start_edge();
  Result<void> serve_host(); // NGINX passes /v1/ to the edge
  Result<void> traffic();    // by a control thread or the loop: NGINX as the roster says
  Result<void> reload();     // by a control thread: what the loop found
  Result<void> read_again(); // by the loop
  void reload_asked();
  void changed(); // by a job
  void edge_ended();
  void start_edge_if_due();
  void vault_ended();
  tls::Parts tls_parts();
  tls::Sharing tls_sharing();
  std::vector<cron::Errand> errands();
  std::unique_ptr<FleetEngine> fleet_engine();
  Result<cron::Claim> claim(const SiteName& site, const std::string& line, int64_t due);
  // monitor_notices.cpp
  NoticeRequests notice_requests();
  notices::Notifier::Host notifier_host();
  void look_for_notices();
  void services_restarted();
  rollout::FactSources fact_sources();
  void open_metrics(); // to the edge
  void keep_hours(Result<void> kept);
  void check_store(); // a large one, next to everything else
  std::optional<End> turn();
  void clear_changes();
  Result<void> listen_to_people(Fd inherited);
  void accept_from(const Fd& listener, Door door);
  template <class F> void handle(bool there, std::string_view what, F&& handler);
  int timeout();
  bool signalled();       // false: stop
  Result<void> upgrade(); // by a control thread: the loop leaves soon, or the new program is
                          // refused
  void leave();
  bool may_leave(); // nothing is under way any more

  std::string m_program;
  store::Store m_store;
  secrets::Vault m_vault;
  nginx::Nginx m_nginx;
  openrc::Slots m_slots;
  ChangeNotifier m_changes;
  rollout::HostContext m_host;
  std::optional<config::Schedule> m_backup_when; // before the crontab, which asks for it
  notices::Notifier m_notifier;                  // stopped before all others go
  std::unique_ptr<FleetEngine> m_fleet;          // before all that asks it
  cron::Scheduler m_crontab;
  tls::Certificates m_certificates;
  backup::Backups m_backups;
  rollout::KnownReleases m_known; // of the facts and of `status`
  uint64_t m_series_max = 0;
  MetricsText m_metrics;
  ReportPage m_report;
  rollout::Engine m_engine; // after the crontab, which its jobs refresh
  Rollouts m_rollouts;
  EdgeProcess m_edge;
  rollout::FactBook m_facts;
  rollout::HourBook m_hours;
  StatusPages m_status_pages;
  ControlServer m_control_server;
  LogRotation m_logs;
  SiteNotices m_site_notices;
  std::unique_ptr<WebhookIntake> m_intake;
  std::mutex m_traffic_mutex;
  std::mutex m_reload_mutex;
  std::condition_variable m_reloaded;
  uint64_t m_reloads_asked = 0, m_reloads_done = 0;
  Result<void> m_reload_outcome; // of the newest
  Fd m_signals, m_control, m_people, m_hook, m_restarts;
  std::map<std::string, uint64_t> m_out_of_memory; // by slot: as often as was told
  std::optional<os::Millis> m_hang_up;             // at an upgrade
  os::Millis m_poll_wait{0};                       // none: logs may have grown before the start
  bool m_hurt = false;                             // a handler of this turn threw
  std::atomic<bool> m_upgrading{false};
  bool m_leaving = false;
  std::optional<os::Millis> m_drain_until;
  std::atomic<bool> m_stop_checks{false};
  ThreadGroup m_checks; // last: it uses the others
};

} // namespace chillbox::daemon
