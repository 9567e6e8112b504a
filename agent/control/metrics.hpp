// Metrics as the control socket gives them, and who may read them over HTTP by a token.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace chillbox::control {

struct Metrics {
  std::string text; // control/exposition.hpp
};
struct MetricsToken {
  std::string name;
  int64_t created_ms = 0;
};
struct MetricsTokens {
  std::vector<MetricsToken> tokens; // by name
};
struct MetricsTokenAdded {
  std::string name;
  std::string token; // shown once: the host keeps its SHA-256
};
struct ReportLink {
  std::string url;
  int64_t until_ms = 0;
};

} // namespace chillbox::control
