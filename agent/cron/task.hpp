// A task is a command of a site that runs once, to its end: an entry of the site's crontab. A small
// process of root, `chillboxd --task ID`, runs it as the site's user, contained and in a control
// group with the site's limits. It writes the output to a log and records the end in a file. A task
// outlives the daemon that started it: the next daemon finds the running task, or that file.
// Nothing of the command outlives the task.
//
//   run()/tasks/ID.json   what to run: a slot's spec (root, 0600). The task's process holds a
//   record
//                         lock on this file while it runs.
//   run()/tasks/ID.end    {"code","ended_ms","text"}
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

class Tasks {
public:
  Tasks(os::Disk& disk, os::Clock& clock, os::Paths paths);
  // The pidfd of its process, to poll for the end. The output is appended to the site's cron.log.
  Result<Fd> start(uint64_t id, const openrc::SlotSpec& spec);
  // The same for a task that an earlier daemon started; nullopt: it does not run any more.
  std::optional<Fd> running(uint64_t id);
  // After its process has ended: how the command ended, or nullopt when the process was killed
  // before it could record that. Reaps the process, kills what is left of the task and removes its
  // files. busy: it still runs.
  Result<std::optional<TaskEnd>> finish(uint64_t id, const Fd& pidfd = {});
  Result<void> kill(uint64_t id); // finish() must follow
  Result<void> kill_all(const SiteName& site);
  std::vector<uint64_t> all(); // those that have a file

private:
  std::string file(uint64_t id, std::string_view ending) const;
  Result<void> empty_groups(uint64_t id);

  os::Disk& m_disk;
  os::Clock& m_clock;
  os::Paths m_paths;
};

int task_main(const std::string& id);

} // namespace chillbox::cron
