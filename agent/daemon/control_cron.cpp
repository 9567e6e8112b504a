// Verbs of the crontab.
#include "base/text.hpp"
#include "daemon/control_verbs.hpp"

namespace chillbox::daemon {
namespace {

Result<control::CronList> cron_list(const Call& call) {
  const auto site = TRY(site_of(call));
  control::CronList list{.site = site.str(), .entries = {}};
  for (const auto& entry : TRY(call.state.scheduler.entries(site))) {
    auto last = TRY(call.host().store.last_cron_run(site, entry.line));
    list.entries.push_back(
        {entry.number, entry.line, entry.next.due.value_or(0) * 1000, std::move(last)});
  }
  return list;
}

Result<control::CronHistory> cron_history(const Call& call) {
  const auto site = TRY(site_of(call));
  (void)TRY(known_site(call, site));
  control::CronHistory history{.site = site.str(), .runs = {}};
  history.runs = TRY(call.host().store.cron_runs(site, limit_of(call)));
  return history;
}

Result<control::CronAnswer> cron_run(const Call& call) {
  constexpr os::Millis k_look_again{2'000};
  const auto site = TRY(site_of(call));
  const auto id = TRY(call.state.scheduler.run_now(site, call.args.number.value_or(0), call.actor));
  for (;;) {
    const uint64_t seen = call.state.changes.count();
    auto run = TRY(call.host().store.cron_run(id));
    if (!run)
      return fail(
          Code::not_found, cat("run ", id, " is no longer in the history: the site was removed"));
    if (run->ended_ms != 0 || !call.args.wait.value_or(true))
      return control::CronAnswer{std::move(*run)};
    TRY(may_wait(call, cat("; run ", id, " continues")));
    call.state.changes.wait(seen, k_look_again);
  }
}

constexpr ControlVerb k_verbs[] = {
    {"cron_list", answer<cron_list>},
    {"cron_history", answer<cron_history>},
    {"cron_run", answer<cron_run>, true},
};

} // namespace

std::span<const ControlVerb> cron_verbs() {
  return k_verbs;
}

} // namespace chillbox::daemon
