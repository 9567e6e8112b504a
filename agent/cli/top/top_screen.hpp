// `top` on a terminal: asks each host again every two seconds, in a process for each, and draws.
// Whatever ends it, the terminal is left as it was. On what is no terminal that can be drawn on, it
// prints one picture.
#pragma once

#include "base/error.hpp"
#include "cli/core/terminal.hpp"

#include <functional>
#include <string>
#include <vector>

namespace chillbox::cli {

// Writes lines to the descriptor until that is closed: a "chillbox.top.v1" each, or
// {"trouble": TEXT}.
using TopSampler = std::function<void(int fd)>;

struct TopSource {
  std::string name; // of the host, "" : this one
  TopSampler sample;
};

// once: two answers of each, one picture. interrupted: Ctrl-C.
Result<void> run_top(const std::vector<TopSource>& sources, const Terminal& terminal, bool once);

} // namespace chillbox::cli
