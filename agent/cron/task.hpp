// A task is a command of a site that runs once, to its end: an entry of its crontab. A small
// process of root, `chillboxd --task ID`, runs it as the site's user, contained and in a control
// group with the site's limits, writes its output to a log and leaves a note of the end. It
// outlives the daemon that started it: the next one finds the task running, or the note. Nothing of
// the command outlives the task.
//
//   run()/tasks/ID.json  what to run (a slot's spec; root, 0600). While the task runs its process
//   holds a record lock on it run()/tasks/ID.end   {"code","ended_ms","text"}
#pragma once

#include "openrc/slots.hpp"
#include "os/process.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace chillbox::cron {

struct TaskEnd {
  int code = 0; // of the command, as a shell says it; 126, 127: it did not start, and text says why
  int64_t ended_ms = 0;
  std::string text; // its last lines, made printable
};

class Tasks {
public:
  Tasks(os::Disk& disk, os::Clock& clock, os::Paths paths);
  // spec.name: whose environment it has. Its output is appended to cron.log of the site.
  Result<os::Child> start(uint64_t id, const openrc::SlotSpec& spec);
  // Of one that an earlier daemon started: a pidfd to poll while it runs, nullopt when it does not.
  std::optional<Fd> running(uint64_t id);
  // When its process has ended: how; nullopt when that was killed before it could say. Whatever is
  // left of the task is killed, its files go.
  Result<std::optional<TaskEnd>> finish(uint64_t id);
  Result<void> end(uint64_t id); // by force; finish() is still due
  Result<void> end_all(const SiteName& site);
  std::vector<uint64_t> all(); // that have a file

private:
  std::string file(uint64_t id, std::string_view ending) const;
  Result<void> empty_groups(uint64_t id);

  os::Disk& m_disk;
  os::Clock& m_clock;
  os::Paths m_paths;
};

void reap_task(const Fd& pidfd); // of one that has ended; nothing when it is no child of ours
int task_main(const std::string& id);

} // namespace chillbox::cron
