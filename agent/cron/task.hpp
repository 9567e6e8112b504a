// A task is a command of a site that runs once, to its end: an entry of the site's crontab, or what
// an operator runs (`chillboxctl run`), who may be attached to its streams. A small
// process of root, `chillboxd --task ID`, runs it as the site's user, contained and in a control
// group with the site's limits. It writes the output to a log and records the end in a file. A task
// outlives the daemon that started it: the next daemon finds the running task, or that file.
// Nothing of the command outlives the task.
//
//   run()/tasks/ID.json   what to run: a slot's spec (root, 0600). The task's process holds a
//   record
//                         lock on this file while it runs.
//   run()/tasks/ID.end    {"code","ended_ms","text"}
//   run()/tasks/ID.run    of what an operator runs: RunOptions (root, 0600)
//   run()/tasks/ID.sock   where he is attached to it (run_session.hpp; root, 0600)
#pragma once

#include "openrc/slots.hpp"
#include "os/process.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace chillbox::cron {

struct TaskEnd {
  int code = 0; // of the command, as in a shell; 126 or 127: it did not start, and text says why
  int64_t ended_ms = 0;
  std::string text; // its last lines of output, made printable
};

// A line of the crontab, which runs in the release's directory with the environment of the main
// service; or the words of an operator's command, which runs in the service's folder.
struct SiteCommand {
  std::string line;
  std::vector<std::string> words; // empty: it is a line
  std::string service;            // of words; "" : the main one
};
// Of what an operator runs.
struct RunOptions {
  bool terminal = false;              // its streams are one
  bool detached = false;              // begun without anybody to be attached
  os::Millis timeout{24 * 3'600'000}; // then TERM, and after 10 s KILL; 0: never
};
inline constexpr int k_run_timed_out = 124, k_run_not_started = 125; // as docker and timeout(1) do

class Tasks {
public:
  Tasks(os::Disk& disk, os::Clock& clock, os::Paths paths);
  // The pidfd of its process, to poll for the end. The output is appended to the site's cron.log;
  // of what an operator runs it is run.ID.log next to it, of which the newest 30 are kept.
  Result<Fd> start(uint64_t id, const openrc::SlotSpec& spec,
      const std::optional<RunOptions>& run = std::nullopt);
  std::string socket(uint64_t id) const { return file(id, ".sock"); }
  bool has_terminal(uint64_t id) const; // of one that an operator runs
  // The same for a task that an earlier daemon started; nullopt: it does not run any more.
  std::optional<Fd> running(uint64_t id);
  // After its process has ended: how the command ended, or nullopt when the process was killed
  // before it could record that. Reaps the process, kills what is left of the task and removes its
  // files, except the one that says how it ended. busy: it still runs.
  Result<std::optional<TaskEnd>> finish(uint64_t id, const Fd& pidfd = {});
  void forget(uint64_t id);       // removes that one too, once the end is in the store
  Result<void> kill(uint64_t id); // finish() must follow
  Result<void> kill_all(const SiteName& site);
  std::vector<uint64_t> all(); // those that have a file

private:
  std::string file(uint64_t id, std::string_view ending) const;
  Result<void> empty_groups(uint64_t id);
  void forget_old_output(const std::string& logs);

  os::Disk& m_disk;
  os::Clock& m_clock;
  os::Paths m_paths;
};

int task_main(const std::string& id);

} // namespace chillbox::cron
