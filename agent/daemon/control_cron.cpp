// Verbs of the crontab.
#include "base/text.hpp"
#include "daemon/control_server.hpp"
#include "daemon/views.hpp"

namespace chillbox::daemon {

using control::Json;

Result<Json> ControlServer::cron_list(const Call& call) {
  const auto site = TRY(site_of(call.args));
  Json list = Json::array();
  for (const auto& entry : TRY(m_crontab.entries(site))) {
    const auto last = TRY(m_world.store.last_cron_run(site, entry.line));
    list.push_back({{"number", entry.number}, {"line", entry.line},
        {"next_ms", entry.next.due.value_or(0) * 1000}, {"last", last ? view(*last) : Json()}});
  }
  return Json{{"site", site.str()}, {"entries", std::move(list)}};
}

Result<Json> ControlServer::cron_history(const Call& call) {
  const auto site = TRY(site_of(call.args));
  if (!TRY(m_world.store.site(site)))
    return fail(Code::not_found, cat("no site '", site.str(), "' on this host"));
  Json list = Json::array();
  for (const auto& run : TRY(m_world.store.cron_runs(site, limit_of(call.args, 20))))
    list.push_back(view(run));
  return Json{{"site", site.str()}, {"runs", std::move(list)}};
}

Result<Json> ControlServer::cron_run(const Call& call) {
  constexpr os::Millis k_look_again{2'000};
  const auto site = TRY(site_of(call.args));
  const auto id = TRY(m_crontab.run_now(site, control::u64_or(call.args, "number", 0), call.actor));
  for (;;) {
    const uint64_t seen = m_changes.count();
    const auto run = TRY(m_world.store.cron_run(id));
    if (!run)
      return fail(Code::not_found,
          cat("run ", id, " is not in the history any more: the site was removed"));
    if (run->ended_ms != 0 || !control::bool_or(call.args, "wait", true))
      return Json{{"run", view(*run)}};
    TRY(may_wait(call, cat("; run ", id, " goes on")));
    m_changes.wait(seen, k_look_again);
  }
}

} // namespace chillbox::daemon
