// A verb of the daemon that is a job: its events as they come, then its end. Ctrl-C leaves, the job
// goes on, and that is said.
#pragma once

#include "cli/core/daemon.hpp"
#include "cli/core/reply.hpp"
#include "cli/core/verb.hpp"

#include <string>

namespace chillbox::cli {

// Asks, shows the events, and returns the job as it ended or was left. An error is the job's own,
// with its last log lines told. With --json it prints the result with the events as "events", and
// nothing else.
Result<JobView> stream_job(Call& call, Question question);
// For rollback, restart, ...: the above, then the verdict as a line.
Result<void> run_job_verb(Call& call, std::string_view verb, Fields args);

} // namespace chillbox::cli
