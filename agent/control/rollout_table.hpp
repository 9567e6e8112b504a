// The tables of control/rollout.hpp, for messages.cpp.
#pragma once

#include "control/members.hpp"
#include "control/rollout.hpp"

namespace chillbox::control {

constexpr auto table(const RolloutBatch*) {
  return message("rollout_batch", "", Member{"hosts", &RolloutBatch::hosts, "of the roster"});
}

constexpr auto table(const RolloutOrder*) {
  using R = RolloutOrder;
  return message("rollout_order", "What a fleet's hosts bring to themselves, in batches.",
      Member{"fleet", &R::fleet, ""}, Member{"site", &R::site, ""},
      Member{"version", &R::version, ""}, Member{"sha256", &R::sha256, "of the artifact"},
      Member{"signature", &R::signature, "of the artifact"},
      Member{"size", &R::size, "bytes of the artifact"},
      Member{"serial", &R::serial, "of this order: grows per site"},
      Member{"batches", &R::batches, "the first one is the canary"},
      Member{"max_unavailable", &R::max_unavailable, "so many are out at the same time"},
      Member{"bake_ms", &R::bake_ms, "after the switch, in which a host may still fail"},
      Member{"drain_ms", &R::drain_ms, "from drain to the switch, 0: none"},
      Member{"on_failure", &R::on_failure, "\"stop\" or \"rollback\""},
      Member{"deadline_ms", &R::deadline_ms, "nobody begins after it"});
}

constexpr auto table(const SignedOrder*) {
  return message("signed_rollout", "", Member{"order", &SignedOrder::order, "the text"},
      Member{"signature", &SignedOrder::signature, "of that text, as of an artifact"});
}

constexpr auto table(const HostReport*) {
  using R = HostReport;
  return message("host_report", "A host in a rollout that the hosts walk.",
      Member{"host", &R::host, "as the roster calls it"}, Member{"site", &R::site, ""},
      Member{"serial", &R::serial, "of the order"},
      Member{"order", &R::order, "sha256 of the order's text"}, Member{"state", &R::state, ""},
      Member{"seq", &R::seq, "grows with each report of this host, 0: it has made none"},
      Member{"code", &R::code, "of a failure"}, Member{"message", &R::message, ""},
      Member{"before", &R::before, "the release that was live before"},
      Member{"live", &R::live, "the release that is live"});
}

constexpr auto table(const SignedReport*) {
  return message("signed_report", "", Member{"report", &SignedReport::report, "the text"},
      Member{"signature", &SignedReport::signature, "with the host's key"});
}

constexpr auto table(const RolloutStop*) {
  return message("rollout_stop", "Why no host begins.", Member{"by", &RolloutStop::by, ""},
      Member{"why", &RolloutStop::why, ""});
}

constexpr auto table(const OrderedRollout*) {
  using R = OrderedRollout;
  return message("ordered_rollout", "The newest order of a site, and what its hosts report.",
      Member{"site", &R::site, ""}, Member{"version", &R::version, ""},
      Member{"fleet", &R::fleet, ""}, Member{"serial", &R::serial, "of the order"},
      Member{"signer", &R::signer, "name of the key that signed the order"},
      Member{"problem", &R::problem, "why the host cannot read it, and says nothing else"},
      Member{"stop", &R::stop, "while no host may begin"},
      Member{"on_failure", &R::on_failure, "\"stop\" or \"rollback\""},
      Member{"deadline_ms", &R::deadline_ms, "nobody begins after it"},
      Member{"ended", &R::ended, "no host will do any more of it"},
      Member{"hosts", &R::hosts, "in the order's order"});
}

constexpr auto table(const OrderedRollouts*) {
  return message("ordered_rollouts", "", Member{"rollouts", &OrderedRollouts::rollouts, ""});
}

constexpr auto table(const OrderTaken*) {
  return message("order_taken", "", Member{"site", &OrderTaken::site, ""},
      Member{"serial", &OrderTaken::serial, "of the order"},
      Member{"changed", &OrderTaken::changed, "false: it was so already"});
}

} // namespace chillbox::control
