// Shows a job while it runs. On a terminal each step has one line, which is rewritten until the
// step is done; elsewhere a plain line is printed when a step has ended. The output of services and
// hooks (events of kind log) is printed only if the job fails: its last lines are the reason.
#pragma once

#include "cli/core/job_view.hpp"
#include "cli/core/terminal.hpp"
#include "control/messages.hpp"

#include <chrono>
#include <cstdint>
#include <deque>
#include <string>
#include <string_view>

namespace chillbox::cli {

class Progress : public JobView {
public:
  explicit Progress(Terminal& terminal) : m_terminal(terminal) {}

  void event(const control::JobEvent& event) override;
  void uploading(uint64_t done, uint64_t total) override { percent("upload", done, total); }
  void uploaded(uint64_t total) override { percent_done("upload", total); }
  void upload_note(std::string_view text) override { done("upload", text); }
  // A step of the laptop itself, without a percentage.
  void begin(std::string_view what, std::string_view text);
  void done(std::string_view what, std::string_view text);
  // A step with a percentage, as a bar and on a terminal only: "upload", "pack". Its rate and the
  // time that is left are those since its first call.
  void percent(std::string_view what, uint64_t done, uint64_t total);
  void percent_done(std::string_view what, uint64_t total);
  void end_line() override;
  // The last lines of the step that failed, to standard error, but for those that the verdict has.
  void tell_logs(std::string_view verdict);

private:
  void line(std::string_view text); // replaces the line before, on a terminal
  Terminal& m_terminal;
  std::string m_step; // the latest that began
  int64_t m_begun_ms = 0;
  bool m_open_line = false;
  using Clock = std::chrono::steady_clock;
  int m_percent = -1;
  uint64_t m_first = 0; // done when it began
  Clock::time_point m_began, m_shown;
  std::deque<control::JobEvent> m_logs;
  std::string
      m_undone; // why a step was undone: only if the job continues, else the verdict says it
};

// ", 2.1 MB/s, 12 s left"; "" while it is too early to tell.
std::string speed_text(uint64_t done, uint64_t left, std::chrono::nanoseconds time);
// The verdict on a job that has ended: an error with its code and message if it failed.
Result<void> verdict_of(const control::Job& job);

} // namespace chillbox::cli
