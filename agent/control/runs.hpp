// Runs of a site's commands as values: entries of its crontab, and what operators run.
// runs_table.hpp has the tables of their members. Times are milliseconds since 1970, UTC; 0: not
// yet, or never.
#pragma once

#include "base/names.hpp"
#include "control/names.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace chillbox::control {

// --- the crontab
struct CronRun {
  uint64_t id = 0; // given by the store
  SiteName site;
  std::string release; // whose entry it is
  std::string line;    // the entry as the site file has it; of a command its words, without secrets
  std::string actor;   // "" : its time had come; else who asked
  RunKind kind = RunKind::cron;
  std::string service; // of a command: whose environment it was to have, "" : the main one's
  CronState state = CronState::running;
  int64_t started_ms = 0, ended_ms = 0;
  std::optional<int> code; // as a shell reports it
  uint64_t count = 1; // skipped: so many times in a row for the same reason, the last at ended_ms
  std::string text;   // its last lines; skipped, lost: why
};
struct CronEntry {
  uint64_t number = 0; // in the site file, from 1
  std::string line;
  int64_t next_ms = 0;
  std::optional<CronRun> last;
  std::string elsewhere; // why its schedule does not run it here
};
struct CronList {
  std::string site;
  std::vector<CronEntry> entries;
};
struct CronHistory {
  std::string site;
  std::vector<CronRun> runs;
};
struct CronAnswer {
  CronRun run;
};
// --- what operators run
struct RunAnswer {
  CronRun run;
  std::string socket;    // where to be attached to it (run_stream.hpp), while it runs
  std::string output;    // the file that has what it printed
  bool terminal = false; // its streams are one
};
struct RunList {
  std::string site;
  std::vector<CronRun> runs;
};

} // namespace chillbox::control
