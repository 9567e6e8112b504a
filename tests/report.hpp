// For `make conformance`: a line for each vector, "passed NAME", "refused NAME" (as it should be),
// "skipped NAME" or "missed NAME", into the file that CONFORMANCE_REPORT names. Without that
// variable nothing is written.
#pragma once

#include <cstdlib>
#include <fstream>
#include <string_view>

namespace chillbox::test {

inline void report(bool as_expected, std::string_view how, std::string_view vector) {
  if (const char* const path = std::getenv("CONFORMANCE_REPORT"))
    std::ofstream(path, std::ios::app) << (as_expected ? how : "missed") << ' ' << vector << '\n';
}

} // namespace chillbox::test
