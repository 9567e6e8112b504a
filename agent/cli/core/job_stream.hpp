// Runs a verb of the daemon that is a job: shows its events as they come, then its end. After
// Ctrl-C the job continues, and the program says so.
#pragma once

#include "cli/core/daemon.hpp"
#include "cli/core/verb.hpp"

#include <string>

namespace chillbox::cli {

// Asks the daemon for a job, or for its events. An upgrade or a restart of chillboxd ends the
// connection and not the job: the next one is asked for the rest of it.
Result<std::string> ask_for_job(Call& call, Question question);
// Asks the daemon, shows the events and returns the job. On an error the last log lines are
// printed. With --json it prints the result, with the events as "events", and nothing else.
Result<control::Job> stream_job(Call& call, Question question);
// The argument ID, of which the first four characters are enough. not_found: no job begins so among
// the newest thousand; usage: several do.
Result<std::string> full_job_id(Call& call);
// An id in a table: at a terminal its first eight characters.
std::string shown_id(const Terminal& terminal, const std::string& id);
// The same for rollback, restart, ..., followed by the verdict as a line.
Result<void> run_job_verb(Call& call, std::string_view verb, control::Arguments args);

} // namespace chillbox::cli
