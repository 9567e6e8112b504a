// Verbs of the crontab, and of what operators run.
#include "base/text.hpp"
#include "daemon/control_verbs.hpp"

namespace chillbox::daemon {
namespace {

Result<control::CronList> cron_list(const Call& call) {
  const auto site = TRY(site_of(call));
  control::CronList list{.site = site.str(), .entries = {}};
  for (const auto& entry : TRY(call.state.scheduler.entries(site))) {
    auto last = TRY(call.host().store.last_cron_run(site, entry.line));
    list.entries.push_back({entry.number, entry.line, entry.next.due.value_or(0) * 1000,
        std::move(last), call.state.scheduler.elsewhere(entry)});
  }
  return list;
}

Result<std::vector<control::CronRun>> runs_of(
    const Call& call, const SiteName& site, control::RunKind kind) {
  return call.host().store.runs(site, kind, limit_of(call), period_of(call));
}

Result<control::CronHistory> cron_history(const Call& call) {
  const auto site = TRY(site_of(call));
  (void)TRY(known_site(call, site));
  control::CronHistory history{.site = site.str(), .runs = {}};
  history.runs = TRY(runs_of(call, site, control::RunKind::cron));
  return history;
}

Result<control::CronAnswer> cron_run(const Call& call) {
  // the change itself is an event; so late a caller who left is seen
  constexpr os::Millis k_look_again{2'000};
  const auto site = TRY(site_of(call));
  const auto id = TRY(call.state.scheduler.run_now(site, call.args.number.value_or(0), call.actor));
  TRY(send_event(call, {{"run", id}})); // who loses the connection can ask for its end
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

control::RunAnswer answer_of(const Call& call, control::CronRun run) {
  control::RunAnswer answer{.run = std::move(run), .socket = {}, .output = {}};
  const uint64_t id = answer.run.id;
  answer.output = cat(call.host().paths.logs_of(answer.run.site), "/run.", id, ".log");
  if (answer.run.ended_ms == 0) {
    answer.socket = call.state.scheduler.socket(id);
    answer.terminal = call.state.scheduler.has_terminal(id);
  }
  return answer;
}

Result<control::RunAnswer> run(const Call& call) {
  constexpr uint64_t k_day = 24 * 3'600'000, k_most = 366 * k_day;
  const auto& args = call.args;
  const auto site = TRY(site_of(call));
  cron::Scheduler::Order order{.site = site,
      .command = {.words = args.words.value_or(std::vector<std::string>{}),
          .service = args.service.value_or("")},
      .options = {.terminal = args.terminal.value_or(false),
          .detached = args.detach.value_or(false),
          .timeout = os::Millis(args.timeout_ms.value_or(k_day))},
      .term = args.term.value_or("dumb"),
      .actor = call.actor};
  if (order.command.words.empty())
    return fail(Code::invalid, "run: no command was given");
  if (order.options.terminal && order.options.detached)
    return fail(Code::invalid, "run: what is detached has no terminal");
  if (args.timeout_ms.value_or(0) > k_most)
    return fail(Code::invalid, "run: a timeout of more than a year; 0 is none");
  return answer_of(call, TRY(call.state.scheduler.run(order)));
}

Result<control::RunList> runs(const Call& call) {
  const auto site = TRY(site_of(call));
  (void)TRY(known_site(call, site));
  control::RunList list{.site = site.str(), .runs = {}};
  list.runs = TRY(runs_of(call, site, control::RunKind::command));
  return list;
}

Result<control::CronRun> run_named(const Call& call) {
  const uint64_t id = call.args.number.value_or(0);
  auto run = TRY(call.host().store.cron_run(id));
  if (!run || run->kind != control::RunKind::command)
    return fail(
        Code::not_found, cat("no run ", id, " in the history: `chillboxctl runs list SITE`"));
  return std::move(*run);
}

Result<control::RunAnswer> run_to_end(const Call& call) {
  constexpr os::Millis k_look_again{2'000}; // as above
  const uint64_t id = call.args.number.value_or(0);
  for (;;) {
    const uint64_t seen = call.state.changes.count();
    auto one = TRY(call.host().store.cron_run(id)); // one of the crontab, too
    if (!one)
      return fail(Code::not_found, cat("no run ", id, " in the history"));
    if (one->ended_ms != 0)
      return answer_of(call, std::move(*one));
    TRY(may_wait(call, cat("; run ", id, " continues")));
    call.state.changes.wait(seen, k_look_again);
  }
}

Result<control::RunAnswer> run_show(const Call& call) {
  return call.args.wait.value_or(false) ? run_to_end(call) : answer_of(call, TRY(run_named(call)));
}

Result<control::RunAnswer> run_stop(const Call& call) {
  TRY(call.state.scheduler.stop_run(TRY(run_named(call)).id));
  return run_to_end(call);
}

constexpr ControlVerb k_cron_verbs[] = {
    {"cron_list", answer<cron_list>},
    {"cron_history", answer<cron_history>},
    {"cron_run", answer<cron_run>, true},
    {"run", answer<run>, true},
    {"run_show", answer<run_show>},
    {"run_stop", answer<run_stop>, true},
    {"runs", answer<runs>},
};

} // namespace

std::span<const ControlVerb> cron_verbs() {
  return k_cron_verbs;
}

} // namespace chillbox::daemon
