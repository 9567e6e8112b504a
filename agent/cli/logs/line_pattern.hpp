// -g: an extended regular expression of POSIX, matched by the process of who asked. What it may
// cost is limited, because some expressions take for ever on some lines.
#pragma once

#include "base/error.hpp"

#include <regex.h>

#include <memory>
#include <string>

namespace chillbox::cli {

class LinePattern {
public:
  // usage: it is none. From then on the process has so much memory at most, and ends with exit code
  // 1 and a message when a line takes a second, or all of them take a minute, of processor time.
  static Result<LinePattern> create(const std::string& text, bool ignore_case);
  bool matches(const std::string& line) const;

private:
  struct Free {
    void operator()(regex_t* regex) const;
  };
  explicit LinePattern(std::unique_ptr<regex_t, Free> regex) : m_regex(std::move(regex)) {}
  std::unique_ptr<regex_t, Free> m_regex;
};

} // namespace chillbox::cli
