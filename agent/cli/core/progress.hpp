// A job while it runs. On a terminal one line a step, written over until the step is done;
// elsewhere a plain line for each that ended. What the services and hooks wrote (events of kind
// log) is kept and told only when the job failed: its last lines are the reason.
#pragma once

#include "cli/core/reply.hpp"
#include "cli/core/terminal.hpp"

#include <cstdint>
#include <deque>
#include <string>
#include <string_view>

namespace chillbox::cli {

class Progress {
public:
  explicit Progress(Terminal& terminal) : m_terminal(terminal) {}

  void event(const JobEvent& event);
  // What the laptop does itself, and cannot say how far it is.
  void begin(std::string_view what, std::string_view text);
  void done(std::string_view what, std::string_view text);
  // What goes in percent, with a bar, on a terminal only: "upload", "pack".
  void percent(std::string_view what, uint64_t done, uint64_t total);
  void percent_done(std::string_view what, uint64_t total);
  void end_line();  // before anything else is printed
  void tell_logs(); // the last lines of the step that failed, to standard error
  const std::string& step() const { return m_step; }
  uint64_t last_number() const { return m_number; }

private:
  void line(std::string_view text); // written over the one before, on a terminal
  Terminal& m_terminal;
  std::string m_step; // last begun
  int64_t m_begun_ms = 0;
  uint64_t m_number = 0;
  bool m_open_line = false;
  int m_percent = -1;
  std::deque<JobEvent> m_logs;
};

// The verdict on a job that ended: its code and message when it failed.
Result<void> verdict_of(const JobView& job);

} // namespace chillbox::cli
