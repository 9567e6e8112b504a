// What the edge may have of the metrics and the report. Who may not gets the answer of a path that
// is none.
#include "base/log.hpp"
#include "base/text.hpp"
#include "daemon/metrics_tokens.hpp"
#include "daemon/report_links.hpp"
#include "daemon/webhook_intake.hpp"
#include "os/io.hpp"

namespace chillbox::daemon {

void WebhookIntake::show_metrics(const control::PacketView& packet) {
  const Asker asker = asker_of(packet);
  if (packet.fields.size() != 3)
    return refuse(asker, {Code::invalid, "packet: metrics have three fields"});
  const bool admitted = MetricsTokens(m_host.disk, m_host.paths).admits(packet.fields[0]) ||
      (metrics.admits && metrics.admits(packet.fields[1]));
  if (!admitted || !metrics.text)
    return refuse(asker, {Code::not_found, "nothing here"});
  const auto format = packet.fields[2] == "openmetrics" ? control::MetricsFormat::openmetrics
                                                        : control::MetricsFormat::text;
  lend(asker, "metrics", [this, format] { return metrics.text(format); });
}

void WebhookIntake::show_report(const control::PacketView& packet) {
  const Asker asker = asker_of(packet);
  if (packet.fields.size() != 1)
    return refuse(asker, {Code::invalid, "packet: a report has one field"});
  const int64_t now_s = m_host.clock.wall_ms() / 1000;
  if (!report || !ReportLinks(m_host.disk, m_host.paths).admits(packet.fields[0], now_s))
    return refuse(asker, {Code::not_found, "nothing here"});
  lend(asker, "report", report);
}

// Beside the loop, which webhooks wait for.
void WebhookIntake::lend(const Asker& asker, std::string_view what, SharedText make) {
  const auto started = m_threads.start(what, [this, asker, make = std::move(make)] {
    const auto text = make();
    const auto file = text ? os::memory_file(**text) : Result<Fd>(std::unexpected(text.error()));
    if (!file)
      return refuse(asker, file.error());
    answer(asker, 200, "", std::to_string((*text)->size()), file->get());
  });
  if (!started)
    refuse(asker, started.error());
}

} // namespace chillbox::daemon
