// What a request asks for: a closed table of paths and their one method each. Found from the bytes
// as they came: a path that would need decoding is none of ours.
#pragma once

#include "edge/request_head.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace chillbox::edge {

inline constexpr uint64_t k_max_hook = 64 * 1024;
inline constexpr uint64_t k_max_minisig = 8 * 1024;

enum class Action {
  hook,
  upload_artifact,
  upload_minisig,
  job,
  job_events,
  health,
  metrics,
  report
};

struct Route {
  Action action{};
  std::string_view id; // job, digest or link of a report
  std::string_view
      capability;     // "Authorization: Bearer" or ?cap=; "" : none, or none that could be ours
  uint64_t from = 0;  // of an upload: how many bytes of it the host has
  uint64_t after = 0; // events: the last that the reader has; Last-Event-ID or ?after=
};

// 404 for an unknown path, 405 with `allow` for another method, 400 for a capability given twice.
std::optional<Refusal> find_route(const RequestHead& head, Route& route);
bool takes_body(Action action);
uint64_t body_limit(Action action, uint64_t artifact_max);

} // namespace chillbox::edge
