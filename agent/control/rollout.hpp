// A rollout that the hosts of a fleet walk by themselves: the order, which the site's deployer
// signs (artifact/verify.hpp), and what each host reports of it, signed with the host's own key,
// whose public half is in the roster. rollout_table.hpp has the tables.
//
// In the engine of the fleet (control/engine.hpp):
//   orders/SITE                %020d of the order's serial, "\n", {"order":TEXT,"signature":TEXT}
//   reports/SITE/SERIAL/HOST   {"report":TEXT,"signature":TEXT}
//   stops/SITE/SERIAL          {"by":..,"why":..}: nobody begins. Not signed: who owns the engine
//                              can withhold everything anyway
//   slots/SITE/N               leased: the host that is out because of this site. Of the site and
//                              not of an order, so that two orders never take two hosts out
#pragma once

#include "base/error.hpp"
#include "control/fleet.hpp"
#include "control/names.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace chillbox::control {

inline constexpr size_t k_max_signed_order = 48 * 1024;
inline constexpr size_t k_max_signed_report = 16 * 1024;
inline constexpr std::string_view k_report_comment = "chillbox report"; // that a host signs

struct RolloutBatch {
  std::vector<std::string> hosts; // as the roster calls them
  bool operator==(const RolloutBatch&) const = default;
};
struct RolloutOrder {
  std::string fleet, site, version;
  std::string sha256, signature; // of the artifact
  uint64_t size = 0;
  uint64_t serial = 0; // of this order: grows per site
  std::vector<RolloutBatch> batches;
  uint64_t max_unavailable = 1;    // so many are out at the same time by the rollout's doing
  uint64_t bake_ms = 0;            // a host that switched may still fail for so long
  uint64_t drain_ms = 0;           // from drain to the switch, 0: none
  std::string on_failure = "stop"; // or "rollback", to what each had before
  int64_t deadline_ms = 0;         // wall clock; nobody begins after it
  bool operator==(const RolloutOrder&) const = default;
  bool goes_back() const { return on_failure == "rollback"; }
};
struct SignedOrder {
  std::string order, signature;
};
struct HostReport {
  std::string host, site;
  uint64_t serial = 0;
  std::string order; // sha256 of the order's text
  HostTurn state = HostTurn::waiting;
  uint64_t seq = 0; // grows with each report of this host
  std::string code, message;
  std::string before; // the release that was live before, "" : none, or not begun
  std::string live;   // the release that is live, "" : none
  bool operator==(const HostReport&) const = default;
};
struct SignedReport {
  std::string report, signature;
};
struct RolloutStop {
  std::string by, why;
};
// The newest order of a site as a host sees it, and what all its hosts report.
struct OrderedRollout {
  std::string site, version, fleet;
  uint64_t serial = 0;
  std::string signer;
  std::string problem; // why this host cannot read its file of it, which says nothing then
  std::optional<RolloutStop> stop;
  std::string on_failure;
  int64_t deadline_ms = 0;
  bool ended = false;            // nobody will do any more of it
  std::vector<HostReport> hosts; // all of the order's, in its order
};
struct OrderedRollouts {
  std::vector<OrderedRollout> rollouts;
};
struct OrderTaken {
  std::string site;
  uint64_t serial = 0;
  bool changed = false; // false: it was so already
};

std::string serial_text(uint64_t serial); // 20 digits: they compare as the numbers do
// too_large, invalid: with the first problem.
Result<RolloutOrder> parse_order(std::string_view text);
std::string order_text(const RolloutOrder& order); // one line
Result<SignedOrder> parse_signed_order(std::string_view text);
std::string signed_order_text(const SignedOrder& both);
std::string stop_text(const RolloutStop& stop);
RolloutStop parse_stop(std::string_view text); // whatever it is
Result<SignedReport> parse_signed_report(std::string_view text, size_t limit = k_max_signed_report);
Result<HostReport> parse_report(std::string_view text);

// --- what becomes of the hosts of a rollout, of the laptop's walk and of the hosts' own
struct HostVerdict {
  std::string host;
  HostTurn turn{};
  std::string message;
};
// unhealthy: the first ones failed, and all hosts have what they had; rolled_back: so have they
// again; partial: they do not all have the same.
Result<void> verdict_of_hosts(const std::string& version, const std::vector<HostVerdict>& hosts);
Result<void> verdict_of_rollout(const OrderedRollout& rollout);

} // namespace chillbox::control
