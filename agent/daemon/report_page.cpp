#include "daemon/report_page.hpp"

#include "base/text.hpp"

namespace chillbox::daemon {

Result<std::shared_ptr<const std::string>> ReportPage::html(rollout::HostContext& host) {
  constexpr os::Millis k_kept{10'000};
  const std::scoped_lock lock(m_mutex);
  if (m_last && host.clock.mono() - m_last_at <= k_kept)
    return m_last;
  os::Command c;
  c.argv = {"chillboxctl", "report"};
  c.timeout = os::Millis{30'000};
  c.output_limit = 16ULL << 20;
  const auto exit = TRY(host.runner.run(c));
  if (!exit.ok())
    return fail(Code::failure, cat("report: ", printable(exit.err, 200)));
  m_last = std::make_shared<const std::string>(exit.out);
  m_last_at = host.clock.mono();
  return m_last;
}

} // namespace chillbox::daemon
