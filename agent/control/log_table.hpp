// The table of control/log_news.hpp, for messages.cpp.
#pragma once

#include "control/log_news.hpp"
#include "control/members.hpp"

namespace chillbox::control {

constexpr auto table(const LogEntry*) {
  using L = LogEntry;
  return message("log_line", "", Member{"service", &L::service, ""}, Member{"line", &L::line, ""},
      Member{"stream", &L::stream, "\"app\", \"access\", \"error\", \"cron\", \"job\" or \"run\""},
      Member{"time_ms", &L::time_ms, "when it was written, 0: not known"},
      Member{"base64", &L::base64, "of the line, if it has what is not printable"});
}

constexpr auto table(const LogEntries*) {
  return message(
      "log", "", Member{"lines", &LogEntries::lines, "unless they were printed as they came"});
}

constexpr auto table(const LogNews*) {
  using N = LogNews;
  return message("log_news", "", Member{"look", &N::look, ""}, Member{"service", &N::service, ""},
      Member{"stream", &N::stream, ""}, Member{"part", &N::part, ""},
      Member{"marks", &N::marks, ""}, Member{"lost", &N::lost, ""});
}

} // namespace chillbox::control
