#include "cli/core/progress.hpp"

#include "base/text.hpp"
#include "cli/core/duration.hpp"
#include "cli/core/table.hpp"

#include <algorithm>

namespace chillbox::cli {
namespace {

constexpr size_t k_shown_logs = 40;
constexpr size_t k_step_width = 11;

std::string padded(std::string_view step) {
  std::string out = cat("  ", printable(step, 40));
  out.append(out.size() < k_step_width + 2 ? k_step_width + 2 - out.size() : 1, ' ');
  return out;
}

std::string bar(int percent) {
  constexpr int k_cells = 20;
  const auto full = static_cast<size_t>(percent * k_cells / 100);
  return cat("[", std::string(full, '#'), std::string(k_cells - full, '.'), "]");
}

} // namespace

std::string speed_text(uint64_t done, uint64_t left, std::chrono::nanoseconds time) {
  using std::chrono::milliseconds;
  constexpr milliseconds k_least{1'000};
  if (time < k_least || done == 0)
    return "";
  const double a_second = static_cast<double>(done) * 1e9 / static_cast<double>(time.count());
  const auto more = milliseconds(static_cast<int64_t>(static_cast<double>(left) * 1e3 / a_second));
  return cat(", ", human_size(static_cast<uint64_t>(a_second)), "/s, ",
      format_duration(std::chrono::ceil<std::chrono::seconds>(more)), " left");
}

void Progress::line(std::string_view text) {
  if (!m_terminal.live()) {
    m_terminal.print_status(text);
    return;
  }
  m_terminal.print_unfinished(cat("\r\x1b[K", text));
  m_open_line = true;
}

void Progress::end_line() {
  if (std::exchange(m_open_line, false))
    m_terminal.print_unfinished("\n");
}

void Progress::event(const control::JobEvent& e) {
  const std::string text = e.text.empty() ? "" : cat("  ", printable(e.text, 300));
  if (e.kind == control::EventKind::begin && !m_undone.empty())
    done(m_step, std::exchange(m_undone, {}));
  if (e.kind == control::EventKind::begin) {
    m_step = e.step;
    m_begun_ms = e.time_ms;
    if (m_terminal.live())
      line(cat(padded(e.step), m_terminal.err(Style::dim, "...")));
  } else if (e.kind == control::EventKind::done) {
    const auto took = e.step == m_step
        ? cat("  ", format_duration(std::chrono::milliseconds(e.time_ms - m_begun_ms)))
        : "";
    line(cat(padded(e.step), m_terminal.err(Style::good, "ok"),
        text.empty() ? took : text)); // the host reports the time itself
    end_line();
  } else if (e.kind == control::EventKind::undo) {
    line(cat(padded(e.step), m_terminal.err(Style::warn, "failed")));
    end_line();
    m_undone = e.text;
  } else if (e.kind == control::EventKind::info) {
    line(cat(padded(e.step), printable(e.text, 300)));
    end_line();
  } else if (e.kind == control::EventKind::log) {
    m_logs.push_back(e);
    if (m_logs.size() > k_shown_logs)
      m_logs.pop_front();
  }
}

void Progress::begin(std::string_view what, std::string_view text) {
  if (m_terminal.live())
    line(cat(padded(what), printable(text, 300), m_terminal.err(Style::dim, " ...")));
}

void Progress::done(std::string_view what, std::string_view text) {
  line(cat(padded(what), printable(text, 300)));
  end_line();
}

void Progress::percent(std::string_view what, uint64_t done, uint64_t total) {
  constexpr std::chrono::milliseconds k_pause{200}; // between two lines that a person reads
  const int percent = total == 0 ? 100 : static_cast<int>(done * 100 / total);
  const auto now = Clock::now();
  if (m_percent < 0 || done < m_first) {
    m_first = done;
    m_began = now;
  } else if (percent == m_percent && now - m_shown < k_pause) {
    return;
  }
  m_percent = percent;
  if (!m_terminal.live())
    return;
  m_shown = now;
  const bool wide = m_terminal.width() >= 60;
  line(cat(padded(what), wide ? bar(percent) + "  " : std::string(),
      m_terminal.err(Style::dim,
          cat(percent, " % of ", human_size(total),
              speed_text(done - m_first, total - done, now - m_began)))));
}

void Progress::percent_done(std::string_view what, uint64_t total) {
  line(cat(padded(what), m_terminal.err(Style::good, "ok"), "  ", human_size(total)));
  end_line();
  m_percent = -1;
}

void Progress::tell_logs(std::string_view verdict) {
  constexpr size_t k_telling = 10; // a shorter line may be in the verdict by chance
  end_line();
  const std::string step = m_logs.empty() ? "" : m_logs.back().step;
  std::erase_if(m_logs, [&](const control::JobEvent& e) {
    const auto line = trim(e.text);
    return e.step != step ||
        (line.size() >= k_telling && verdict.find(line) != std::string_view::npos);
  });
  if (m_logs.empty())
    return;
  m_terminal.print_error(cat("last lines of the log, step ", printable(step, 40), ":"));
  for (const control::JobEvent& e : m_logs)
    m_terminal.print_error(cat("  | ", printable(e.text, 500)));
}

Result<void> verdict_of(const control::Job& job) {
  using control::JobState;
  if (job.state == JobState::done && !job.code)
    return {};
  const bool replaced = job.state == JobState::cancelled || job.state == JobState::superseded;
  return fail(job.code.value_or(replaced ? Code::conflict : Code::failure),
      cat(job.site.str(), ": ",
          job.message.empty() ? cat("the job ended as ", name(job.state))
                              : printable(job.message, 1000)));
}

} // namespace chillbox::cli
