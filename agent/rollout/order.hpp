// The order of a rollout as a host takes it, and the reports of it: each is verified here before
// anything is done for it, whoever brought it. What the host has taken, and how far it has got, is
// a file of its own for each site, /var/lib/chillbox/rollouts/SITE.json, so that an older order
// never comes back.
#pragma once

#include "control/rollout.hpp"
#include "rollout/host_context.hpp"
#include "rollout/roster.hpp"
#include "rollout/walk.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace chillbox::rollout {

struct TakenOrder {
  control::SignedOrder text;
  control::RolloutOrder order;
  std::string digest; // sha256 of the order's text
  std::string signer; // name of the key
};
// denied: no key that may sign for this site, an older serial than `newest`, expired, another
// site's artifact, or hosts that the roster does not have; what the roster says.
Result<TakenOrder> check_order(
    const HostContext& host, const SiteName& site, std::string_view text, uint64_t newest);

struct OrderFile {
  TakenOrder taken;
  Walked walked;
};
// nullopt: it has seen none of that site. corrupt: it cannot be read, and then none is taken.
Result<std::optional<OrderFile>> read_order_file(const HostContext& host, const SiteName& site);
Result<void> write_order_file(const HostContext& host, const OrderFile& file);
// Sites of which it has seen one.
Result<std::vector<SiteName>> ordered_sites(const HostContext& host);
// The newest that it has seen, 0: none.
Result<uint64_t> newest_order(const HostContext& host, const SiteName& site);

// With the host's own key, as its roster has it. comment: for what.
Result<std::string> signed_by_host(
    const HostContext& host, std::string text, std::string_view comment);
// The text. denied: not what this host of the roster signed for that; what: "report".
Result<std::string> text_of_host(const Fleet& fleet, std::string_view host, std::string_view what,
    std::string_view text, std::string_view comment);
Result<std::string> signed_report(const HostContext& host, const control::HostReport& report);
// denied: not what this host of the roster signed of this order.
Result<control::HostReport> check_report(
    const Fleet& fleet, const TakenOrder& taken, std::string_view host, std::string_view text);

} // namespace chillbox::rollout
