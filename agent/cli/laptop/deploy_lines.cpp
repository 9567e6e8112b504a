#include "cli/laptop/deploy_lines.hpp"

#include "base/text.hpp"
#include "cli/core/duration.hpp"
#include "cli/core/progress.hpp"

#include <algorithm>
#include <array>

namespace chillbox::cli {
namespace {

using std::chrono::milliseconds;

constexpr size_t k_label_width = 12;
constexpr size_t k_kept_lines = 10;

constexpr std::array k_parts{
    DeployPart{"obtain", "build", "wait for its turn"},
    DeployPart{"verify", "build", "check the signature"},
    DeployPart{"unseal", "build", "decrypt"},
    DeployPart{"stage", "build", "unpack"},
    DeployPart{"preflight", "build", "check the host"},
    DeployPart{"install", "build", "install"},
    DeployPart{"build", "build", "build"},
    DeployPart{"replace-secrets", "build", "take the secrets"},
    DeployPart{"current", "build", "prepare"},
    DeployPart{"start", "health", "start"},
    DeployPart{"check", "health", "health check"},
    DeployPart{"configure", "live", "configure NGINX"},
    DeployPart{"stop-first", "live", "stop the old copy"},
    DeployPart{"switch", "live", "switch visitors over"},
    DeployPart{"reload", "live", "reload NGINX"},
    DeployPart{"watch", "live", "watch"},
    DeployPart{"", "", ""},
};

std::string clock_time(int64_t unix_ms) {
  const std::string text = format_time(unix_ms); // "2026-11-20 17:33:34"
  return text.size() > 11 ? text.substr(11) : text;
}

} // namespace

const DeployPart& deploy_part(std::string_view step) {
  const auto found = std::ranges::find(k_parts, step, &DeployPart::step);
  return found == k_parts.end() ? k_parts.back() : *found;
}

std::string DeployLines::head(std::string_view part) const {
  std::string out(part);
  out.append(out.size() < k_label_width ? k_label_width - out.size() : 1, ' ');
  return out;
}

void DeployLines::show(std::string_view text) {
  if (!m_terminal.live())
    return m_terminal.print_status(text);
  m_terminal.print_unfinished(cat("\r\x1b[K", text));
  m_open_line = true;
}

void DeployLines::end_line() {
  if (std::exchange(m_open_line, false))
    m_terminal.print_unfinished("\n");
}

void DeployLines::title(std::string_view text) {
  end_line();
  m_terminal.print_status(text);
}

void DeployLines::line(std::string_view part, std::string_view text) {
  show(cat(head(part), text));
  end_line();
}

// Cut, because what does not fit in a line cannot be rewritten.
void DeployLines::working(std::string_view part, std::string_view text) {
  if (!m_terminal.live())
    return;
  const size_t room =
      m_terminal.width() > k_label_width + 5 ? m_terminal.width() - k_label_width - 5 : 20;
  show(cat(head(part), m_terminal.err(Style::dim, cat(printable(text, room), " ..."))));
}

void DeployLines::percent(std::string_view part, uint64_t done, uint64_t total) {
  constexpr milliseconds k_pause{200}; // between two lines that a person reads
  const auto now = Clock::now();
  const int percent = total == 0 ? 100 : static_cast<int>(done * 100 / total);
  if (m_percent < 0 || done < m_first) {
    m_first = done;
    m_began = now;
  } else if (percent == m_percent && now - m_shown < k_pause) {
    return;
  }
  m_percent = percent;
  m_shown = now;
  if (m_terminal.live())
    show(cat(head(part),
        m_terminal.err(Style::dim,
            cat(percent, " % of ", human_size(total),
                speed_text(done - m_first, total - done, now - m_began)))));
}

void DeployLines::sent(uint64_t bytes) {
  const auto took = m_percent < 0
      ? milliseconds(0)
      : std::chrono::duration_cast<milliseconds>(Clock::now() - m_began);
  m_percent = -1;
  line("send",
      cat(human_size(bytes), "  ", m_terminal.err(Style::good, "ok"), "  ", format_duration(took)));
}

void DeployLines::begin(const std::string& part) {
  if (part == m_part)
    return;
  settle();
  m_part = part;
  m_part_began = Clock::now();
  m_told.clear();
}

void DeployLines::settle() {
  if (m_part.empty() || m_part == "live")
    return;
  const auto took = std::chrono::duration_cast<milliseconds>(Clock::now() - m_part_began);
  line(m_part,
      m_told.empty() ? cat(m_terminal.err(Style::good, "ok"), "  ", format_duration(took))
                     : m_told);
  m_part.clear();
}

void DeployLines::tick() {
  if (!m_watching)
    return;
  const auto since = std::chrono::duration_cast<milliseconds>(Clock::now() - m_watch_began);
  working(m_part,
      cat("since ", clock_time(m_live_ms), ", visitors see it; watching for ",
          format_duration(since)));
}

void DeployLines::event(const control::JobEvent& event) {
  using control::EventKind;
  const DeployPart& part = deploy_part(event.step);
  if (event.kind == EventKind::log) {
    m_logs.push_back(printable(event.text, 500));
    if (m_logs.size() > k_kept_lines)
      m_logs.pop_front();
    return;
  }
  if (part.part.empty())
    return;
  if (event.kind == EventKind::begin) {
    begin(std::string(part.part));
    m_logs.clear();
    if (event.step == "watch") {
      m_watching = true;
      m_watch_began = Clock::now();
    }
    return working(part.part, part.doing);
  }
  if (event.step == "switch" && event.kind == EventKind::done)
    m_live_ms = event.time_ms;
  if (event.kind == EventKind::info && event.text.starts_with("warning: ")) {
    m_terminal.live() ? show("") : void();
    line(part.part, m_terminal.err(Style::warn, printable(event.text, 500)));
  } else if (event.kind == EventKind::info && event.step == "check" && m_told.empty()) {
    m_told = printable(event.text, 300);
  } else if (event.step == "watch" && event.kind == EventKind::info) {
    m_watching = false;
    line("live", cat("since ", clock_time(m_live_ms), ", ", printable(event.text, 300)));
    m_part.clear();
  }
}

void DeployLines::done() {
  if (m_part == "live" && m_live_ms != 0)
    line("live", cat("since ", clock_time(m_live_ms)));
  m_part.clear();
  end_line();
}

void DeployLines::failed(std::string_view reason) {
  m_watching = false;
  const std::string part = m_part.empty() ? "failed" : m_part;
  m_part.clear();
  if (m_terminal.live())
    show("");
  m_open_line = false;
  m_terminal.print_error(cat(head(part), m_terminal.err(Style::bad, "no:"), " ", reason));
  for (const std::string& text : m_logs)
    if (trim(text).size() < 10 || reason.find(trim(text)) == std::string_view::npos)
      m_terminal.print_error(cat(std::string(k_label_width + 2, ' '), text));
}

} // namespace chillbox::cli
