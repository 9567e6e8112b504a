// What is asked of etcd v3, and what it answers, in the JSON of its gateway: keys and values are
// base64, numbers are strings, and what is zero, false or empty is left out. Pure.
#pragma once

#include "base/error.hpp"
#include "base/secret.hpp"
#include "control/engine.hpp"

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace chillbox::courier {

using control::EngineCondition;
using control::EngineValue;
using control::EngineWrite;

SecretString authenticate_body(std::string_view user, std::string_view password);
// The ids of the leases that the writes need: by `kept`, and with 0 that of what is `leased`.
using Leases = std::map<std::chrono::seconds, std::string>;
// root: "/chillbox/FLEET/", before each key.
std::string change_body(std::string_view root, const std::vector<EngineCondition>& conditions,
    const std::vector<EngineWrite>& writes, const Leases& leases);
std::string range_body(std::string_view root, std::string_view prefix);
std::string watch_body(std::string_view root, std::string_view prefix);
std::string lease_body(std::chrono::seconds ttl);
std::string lease_body(std::string_view id); // keepalive, revoke

struct Refusal {
  int code = 0; // of gRPC: 5 not found, 7 permission, 16 not signed in
  std::string message;
};
// Of any status but 200; code 0: it says none.
Refusal parse_refusal(std::string_view text);

Result<std::string> parse_token(std::string_view text);
Result<std::string> parse_lease(std::string_view text); // its id
bool lease_lives(std::string_view text);                // the answer to a keepalive

struct ChangeAnswer {
  bool succeeded = false;
  uint64_t revision = 0;
  std::string found;                  // of the first condition's key
  std::optional<EngineValue> written; // as it is, of the first write's key
};
Result<ChangeAnswer> parse_change(std::string_view root, std::string_view text, bool has_condition);
struct RangeAnswer {
  std::vector<EngineValue> values;
  uint64_t revision = 0;
};
// too_large: more values, or a longer one, than the monitor takes.
Result<RangeAnswer> parse_range(std::string_view root, std::string_view text);
enum class WatchLine { begun, changed, over, other };
WatchLine parse_watch_line(std::string_view text);

} // namespace chillbox::courier
