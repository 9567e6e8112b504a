#include "rollout/walk.hpp"

#include "base/text.hpp"
#include "control/engine.hpp"

#include <algorithm>
#include <chrono>

namespace chillbox::rollout {
namespace {

using control::HostReport;
using control::HostTurn;
using control::RolloutOrder;

// A host that goes back after the deadline needs some time for it; one that had begun is dead when
// its slot is gone.
constexpr int64_t k_slot_ms = std::chrono::milliseconds(control::k_engine_lease).count();
constexpr int64_t k_clock_ms = std::chrono::milliseconds(std::chrono::seconds(10)).count();
constexpr int64_t k_after_deadline_ms = std::chrono::milliseconds(std::chrono::minutes(5)).count();

HostTurn turn_of(const Reports& all, const std::string& host) {
  const auto found = all.find(host);
  return found == all.end() ? HostTurn::waiting : found->second.state;
}

std::vector<std::string> hosts_of(const RolloutOrder& order) {
  std::vector<std::string> hosts;
  for (const auto& batch : order.batches)
    hosts.insert(hosts.end(), batch.hosts.begin(), batch.hosts.end());
  return hosts;
}

bool is_in(const std::vector<std::string>& hosts, const std::string& host) {
  return std::ranges::find(hosts, host) != hosts.end();
}

struct Place {
  const RolloutOrder& order;
  const Walked& walked;
  const Seen& seen;

  const std::string& me() const { return walked.mine.host; }
  HostTurn of(const std::string& host) const {
    return host == me() ? walked.mine.state : turn_of(walked.others, host);
  }
  bool is_late() const { return seen.now_ms >= order.deadline_ms; }
  bool is_ours() const { return seen.live_sha256 == order.sha256; }
  NextStep wait(std::string why) const {
    return {WalkStep::wait, std::move(why), order.deadline_ms};
  }

  std::string failed() const;  // a host
  std::string missing() const; // one that is not done, of the whole order
  NextStep before() const;
  NextStep staged() const;
  NextStep baking() const;
  NextStep after() const;
  NextStep back(std::string why) const;
};

std::string Place::failed() const {
  for (const auto& host : hosts_of(order))
    if (host != me() && of(host) == HostTurn::failed)
      return host;
  return "";
}

std::string Place::missing() const {
  for (const auto& host : hosts_of(order))
    if (of(host) != HostTurn::done)
      return host;
  return "";
}

NextStep Place::before() const {
  if (!is_in(hosts_of(order), me()))
    return {WalkStep::end};
  if (const auto host = failed(); !host.empty())
    return {WalkStep::end, cat(host, " failed before its turn")};
  if (is_late())
    return {WalkStep::end, "the deadline passed before its turn"};
  if (seen.stopped)
    return wait("stopped");
  if (seen.sealed)
    return walked.mine.state == HostTurn::skipped_sealed ? wait("locked")
                                                         : NextStep{WalkStep::skip};
  if (walked.mine.state == HostTurn::skipped_sealed)
    return {WalkStep::unlocked};
  if (walked.mine.state != HostTurn::waiting && walked.mine.live != seen.live)
    return {WalkStep::note};
  if (walked.mine.state != HostTurn::staged)
    return {WalkStep::stage};
  return staged();
}

NextStep Place::staged() const {
  if (!seen.blocked.empty())
    return wait(seen.blocked);
  for (const auto& batch : order.batches) {
    if (is_in(batch.hosts, me()))
      break;
    for (const auto& host : batch.hosts)
      if (of(host) != HostTurn::done)
        return wait(cat(host, " comes first"));
  }
  const auto sealed = static_cast<uint64_t>(std::ranges::count_if(
      hosts_of(order), [&](const auto& host) { return of(host) == HostTurn::skipped_sealed; }));
  if (sealed >= order.max_unavailable)
    return wait("as many hosts are locked as may be out at the same time");
  if (!seen.fresh)
    return wait("the engine does not answer");
  return {WalkStep::take_slot, "", 0, order.max_unavailable - sealed};
}

NextStep Place::back(std::string why) const {
  return seen.sealed ? NextStep{WalkStep::wait, "locked"}
                     : NextStep{WalkStep::go_back, std::move(why)};
}

NextStep Place::baking() const {
  if (!is_ours())
    return {WalkStep::outside, "something else was made live here meanwhile"};
  if (const auto host = failed(); !host.empty() && order.goes_back())
    return back(cat(host, " failed"));
  const int64_t end = walked.live_ms + static_cast<int64_t>(order.bake_ms);
  return seen.now_ms < end ? NextStep{WalkStep::wait, "bakes", end} : NextStep{WalkStep::done};
}

NextStep Place::after() const {
  const auto host = missing();
  if (host.empty())
    return {WalkStep::end};
  if (!is_ours())
    return {WalkStep::outside, "something else was made live here meanwhile"};
  const auto bad = failed();
  if (!order.goes_back())
    return bad.empty() && !is_late() ? wait(cat("waits for ", host)) : NextStep{WalkStep::end};
  if (!bad.empty())
    return back(cat(bad, " failed"));
  if (!is_late())
    return wait(cat("waits for ", host));
  return seen.fresh ? back(cat("the deadline passed without ", host))
                    : NextStep{WalkStep::wait, "no word from others"};
}

} // namespace

NextStep next_step(const RolloutOrder& order, const Walked& walked, const Seen& seen) {
  const Place place{order, walked, seen};
  if (walked.mine.state == HostTurn::begun)
    return {WalkStep::carry_on};
  if (!walked.back.empty()) // a rollback that was begun
    return {WalkStep::go_back};
  if (walked.mine.seq > walked.told)
    return {WalkStep::tell};
  if (!seen.clock.empty())
    return {WalkStep::wait, seen.clock, seen.now_ms + k_clock_ms};
  switch (walked.mine.state) {
  case HostTurn::waiting:
  case HostTurn::staged:
  case HostTurn::skipped_sealed: return place.before();
  case HostTurn::live: return place.baking();
  case HostTurn::done: return place.after();
  default: return {WalkStep::end};
  }
}

std::vector<HostReport> rows_of(const RolloutOrder& order, const Reports& all) {
  std::vector<HostReport> rows;
  for (const auto& host : hosts_of(order)) {
    const auto found = all.find(host);
    HostReport none;
    none.host = host;
    none.site = order.site;
    none.serial = order.serial;
    none.message = "no report of it";
    rows.push_back(found == all.end() ? std::move(none) : found->second);
  }
  return rows;
}

bool is_over(const RolloutOrder& order, const Reports& all, int64_t now_ms) {
  size_t done = 0, moving = 0;
  bool failed = now_ms >= order.deadline_ms;
  const auto hosts = hosts_of(order);
  for (const auto& host : hosts) {
    const HostTurn turn = turn_of(all, host);
    done += turn == HostTurn::done ? 1 : 0;
    const bool begun = turn == HostTurn::begun || turn == HostTurn::live;
    moving += begun && now_ms < order.deadline_ms + k_slot_ms ? 1 : 0;
    failed = failed || turn == HostTurn::failed;
  }
  if (done == hosts.size() || now_ms >= order.deadline_ms + k_after_deadline_ms)
    return true;
  return failed && moving == 0 && (done == 0 || !order.goes_back());
}

} // namespace chillbox::rollout
