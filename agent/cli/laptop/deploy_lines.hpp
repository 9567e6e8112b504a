// What a person sees of a deploy: a line for each part, which is rewritten on a terminal until the
// part is done, under words that a user knows. Elsewhere a plain line is printed when a part has
// ended. The steps of the host (agent/DESIGN.md) are grouped into three parts: build, health, live.
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

class DeployLines : public JobView {
public:
  explicit DeployLines(Terminal& terminal) : m_terminal(terminal) {}
  ~DeployLines() override { DeployLines::end_line(); }
  DeployLines(const DeployLines&) = delete;
  DeployLines& operator=(const DeployLines&) = delete;

  void title(std::string_view text);
  void line(std::string_view part, std::string_view text);    // it stays
  void working(std::string_view part, std::string_view text); // until the next
  // Bytes of an upload or of packing: with their rate and the time that is left.
  void percent(std::string_view part, uint64_t done, uint64_t total);
  void sent(uint64_t bytes);
  void uploading(uint64_t done, uint64_t total) override { percent("send", done, total); }
  void uploaded(uint64_t total) override { sent(total); }
  void upload_note(std::string_view text) override { line("send", text); }
  void event(const control::JobEvent& event) override;
  void tick(); // the time of the watch goes on
  void done();
  // The part that failed, why, and the last lines of its log.
  void failed(std::string_view reason);
  void end_line() override;

private:
  using Clock = std::chrono::steady_clock;
  std::string head(std::string_view part) const;
  void show(std::string_view text);
  void begin(const std::string& part);
  void settle(); // the part that runs is done

  Terminal& m_terminal;
  bool m_open_line = false;
  std::string m_part, m_told; // told: what the host says of the part
  Clock::time_point m_part_began{}, m_began{}, m_shown{}, m_watch_began{};
  bool m_watching = false;
  uint64_t m_first = 0;
  int m_percent = -1;
  int64_t m_live_ms = 0;
  std::deque<std::string> m_logs;
};

// The part of a deploy that a step of the host belongs to: "build", "health", "live"; "" : what
// nobody waits for. `doing`: what is said while it runs.
struct DeployPart {
  std::string_view step, part, doing;
};
const DeployPart& deploy_part(std::string_view step);

} // namespace chillbox::cli
