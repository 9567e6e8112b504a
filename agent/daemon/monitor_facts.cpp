// The facts of this host, and who reads them: metrics, `top`, the history by the hour.
#include "base/log.hpp"
#include "base/text.hpp"
#include "config/metrics.hpp"
#include "daemon/monitor.hpp"

namespace chillbox::daemon {

rollout::FactSources Monitor::fact_sources() {
  return {.certificates = [this] { return m_certificates.all(); },
      .backups = [this] { return m_backups.states(); },
      .jobs_running = [this] { return static_cast<uint64_t>(m_engine.running()); },
      .refused_webhooks = [this] { return m_intake->refused().webhooks; },
      .refused_uploads = [this] { return m_intake->refused().uploads; }};
}

void Monitor::open_metrics() {
  const auto file = m_host.paths.config_file();
  const auto text = m_host.disk.exists(file) ? m_host.disk.read(file, 256 * 1024) : std::string();
  auto config = text ? config::parse_host_metrics(*text, file)
                     : Result<config::HostMetrics>(std::unexpected(text.error()));
  if (!config)
    return m_control_server.warn(cat("metrics: ", config.error().message));
  m_series_max = config->series_max;
  m_intake->report = [this] { return m_report.html(m_host); };
  m_intake->metrics.admits = [config = *config](
                                 std::string_view address) { return config.admits(address); };
  m_intake->metrics.text =
      [this](control::MetricsFormat format) -> Result<std::shared_ptr<const std::string>> {
    return m_metrics.of(TRY(m_facts.facts()), format, m_series_max);
  };
}

// Also what nobody tells of is seen while visitors come.
void Monitor::keep_hours(Result<void> kept) {
  m_status_pages.happened();
  if (!kept)
    log::warn(cat("hours: what visitors got is not kept: ", kept.error().message));
}

} // namespace chillbox::daemon
