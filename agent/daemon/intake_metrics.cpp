// What the edge may have of the metrics. Who may not gets the answer of a path that is none.
#include "base/log.hpp"
#include "base/text.hpp"
#include "daemon/metrics_tokens.hpp"
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
  // Beside the loop, which webhooks wait for.
  const auto started = m_copies.start("metrics", [this, asker, format] {
    const auto text = metrics.text(format);
    const auto file = text ? os::memory_file(**text) : Result<Fd>(std::unexpected(text.error()));
    if (!file)
      return refuse(asker, file.error());
    answer(asker, 200, "", std::to_string((*text)->size()), file->get());
  });
  if (!started)
    refuse(asker, started.error());
}

} // namespace chillbox::daemon
