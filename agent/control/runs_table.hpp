// The tables of control/runs.hpp, for messages.cpp.
#pragma once

#include "control/members.hpp"
#include "control/runs.hpp"

namespace chillbox::control {

constexpr auto table(const CronRun*) {
  using R = CronRun;
  return message("cron_run", "A run of a crontab entry, or of a command.", Member{"id", &R::id, ""},
      Member{"site", &R::site, ""}, Member{"release", &R::release, "whose entry it is"},
      Member{"line", &R::line, "the entry"},
      Member{"actor", &R::actor, "who asked for it, \"\": the schedule"},
      Member{"kind", &R::kind, ""}, Member{"service", &R::service, "of a command: as it was named"},
      Member{"state", &R::state, ""}, Member{"started_ms", &R::started_ms, ""},
      Member{"ended_ms", &R::ended_ms, "0: it still runs"},
      Member{"code", &R::code, "exit code as a shell reports it", WithoutValue::null},
      Member{"count", &R::count, "skipped: so many times in a row for the same reason"},
      Member{"text", &R::text, "its last lines, or why it was skipped or lost"});
}

constexpr auto table(const RunAnswer*) {
  return message("run", "", Member{"run", &RunAnswer::run, ""},
      Member{"socket", &RunAnswer::socket, "where to be attached to it, while it runs"},
      Member{"output", &RunAnswer::output, "the file that has what it printed"},
      Member{"terminal", &RunAnswer::terminal, "its streams are a terminal, while it runs"});
}

constexpr auto table(const RunList*) {
  return message("run_list", "", Member{"site", &RunList::site, ""},
      Member{"runs", &RunList::runs, "newest first"});
}

constexpr auto table(const CronEntry*) {
  return message("cron_entry", "", Member{"number", &CronEntry::number, "in the site file, from 1"},
      Member{"line", &CronEntry::line, ""}, Member{"next_ms", &CronEntry::next_ms, "0: never"},
      Member{"last", &CronEntry::last, "its last run", WithoutValue::null},
      Member{"elsewhere", &CronEntry::elsewhere,
          "why its schedule does not run it here, \"\": it does"});
}

constexpr auto table(const CronList*) {
  return message("cron_list", "", Member{"site", &CronList::site, ""},
      Member{"entries", &CronList::entries, ""});
}

constexpr auto table(const CronHistory*) {
  return message("cron_history", "", Member{"site", &CronHistory::site, ""},
      Member{"runs", &CronHistory::runs, "newest first"});
}

constexpr auto table(const CronAnswer*) {
  return message("cron_answer", "", Member{"run", &CronAnswer::run, ""});
}

} // namespace chillbox::control
