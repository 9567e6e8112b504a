// Runs a verb of the daemon that is a job: shows its events as they come, then its end. After
// Ctrl-C the job continues, and the program says so.
#pragma once

#include "cli/core/daemon.hpp"
#include "cli/core/verb.hpp"

#include <string>

namespace chillbox::cli {

// Asks the daemon, shows the events and returns the job. On an error the last log lines are
// printed. With --json it prints the result, with the events as "events", and nothing else.
Result<control::Job> stream_job(Call& call, Question question);
// The same for rollback, restart, ..., followed by the verdict as a line.
Result<void> run_job_verb(Call& call, std::string_view verb, control::Arguments args);

} // namespace chillbox::cli
