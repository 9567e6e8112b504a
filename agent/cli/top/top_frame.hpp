// One picture of `top`, as lines of text: pure, for any size.
#pragma once

#include "cli/top/rates.hpp"

#include <cstddef>
#include <string>
#include <vector>

namespace chillbox::cli {

enum class TopSort { name, requests, errors, cpu, memory };
TopSort next(TopSort sort);

struct TopHost {
  std::string name; // as the laptop calls it; "" : this one
  HostRates rates = {};
};

struct TopLook {
  size_t width = 80, height = 24;
  bool color = false, utf8 = false;
  TopSort sort = TopSort::name;
  size_t first = 0; // the first line below the heads that is shown
};

// At most `height` lines, each of at most `width` columns. `lines`: how many there are to scroll.
std::vector<std::string> top_frame(
    const std::vector<TopHost>& hosts, const TopLook& look, size_t* lines = nullptr);

// Eight heights, or eight characters of ASCII; the greatest value is the highest. nothing: "".
std::string sparkline(const std::vector<double>& values, size_t width, bool utf8);

} // namespace chillbox::cli
