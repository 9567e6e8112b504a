#include "control/rollout.hpp"

#include "base/names.hpp"
#include "base/text.hpp"
#include "control/rollout_table.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <chrono>
#include <set>

namespace chillbox::control {
namespace {

constexpr size_t k_most_order_hosts = 100, k_most_order_signature = 4096;
constexpr size_t k_most_report_text = 2000, k_most_stop = 8192;
constexpr uint64_t k_most_wait_ms = std::chrono::milliseconds(std::chrono::hours(24)).count();

std::unexpected<Error> bad_order(const std::string& why) {
  return fail(Code::invalid, cat("order of a rollout: ", why));
}

Result<void> check_batches(const RolloutOrder& order) {
  std::set<std::string> seen;
  for (const auto& batch : order.batches) {
    if (batch.hosts.empty())
      return bad_order("a batch without hosts");
    for (const auto& host : batch.hosts) {
      (void)TRY_IN("order of a rollout: host", parse_key_name(host));
      if (!seen.insert(host).second)
        return bad_order(cat("host '", host, "' twice"));
    }
  }
  if (seen.empty() || seen.size() > k_most_order_hosts)
    return bad_order(cat(seen.size(), " hosts, it must be 1 to ", k_most_order_hosts));
  if (order.max_unavailable > seen.size())
    return bad_order(
        cat("max_unavailable is ", order.max_unavailable, " of ", seen.size(), " hosts"));
  return {};
}

bool keeps_new(HostTurn turn) {
  using enum HostTurn;
  return turn == done || turn == stuck || turn == outside || turn == live || turn == begun;
}

bool is_named(const HostVerdict& host) {
  using enum HostTurn;
  return host.turn != done && host.turn != rolled_back && !host.message.empty();
}

} // namespace

std::string serial_text(uint64_t serial) {
  std::string digits = std::to_string(serial);
  return std::string(20 - digits.size(), '0') + digits;
}

Result<RolloutOrder> parse_order(std::string_view text) {
  auto order = TRY_IN("order of a rollout",
      from_json<RolloutOrder>(TRY_IN("order of a rollout", parse_json(text, k_max_signed_order))));
  (void)TRY_IN("order of a rollout: fleet", SiteName::parse(order.fleet));
  (void)TRY_IN("order of a rollout: site", SiteName::parse(order.site));
  (void)TRY_IN("order of a rollout: version", Version::parse(order.version));
  (void)TRY_IN("order of a rollout: sha256", Digest::parse(order.sha256));
  if (order.signature.empty() || order.signature.size() > k_most_order_signature)
    return bad_order("no signature of the artifact");
  if (order.serial == 0 || order.serial > INT64_MAX)
    return bad_order("no serial from 1");
  if (order.max_unavailable == 0)
    return bad_order("max_unavailable is 0: no host could begin");
  if (order.bake_ms > k_most_wait_ms || order.drain_ms > k_most_wait_ms)
    return bad_order("bake or drain of more than 24 h");
  if (order.on_failure != "stop" && !order.goes_back())
    return bad_order("on_failure must be stop or rollback");
  if (order.deadline_ms <= 0)
    return bad_order("no deadline");
  TRY(check_batches(order));
  return order;
}

std::string order_text(const RolloutOrder& order) {
  return dump(to_json(order));
}

Result<SignedOrder> parse_signed_order(std::string_view text) {
  return TRY_IN("signed order of a rollout",
      from_json<SignedOrder>(
          TRY_IN("signed order of a rollout", parse_json(text, k_max_signed_order))));
}

std::string signed_order_text(const SignedOrder& both) {
  return dump(to_json(both));
}

std::string stop_text(const RolloutStop& stop) {
  return dump(to_json(stop));
}

RolloutStop parse_stop(std::string_view text) {
  RolloutStop stop;
  if (const auto json = parse_json(text, k_most_stop))
    stop = from_json<RolloutStop>(*json).value_or(stop);
  return {printable(stop.by, 200), printable(stop.why, k_most_report_text)};
}

Result<SignedReport> parse_signed_report(std::string_view text, size_t limit) {
  return TRY_IN(
      "signed report", from_json<SignedReport>(TRY_IN("signed report", parse_json(text, limit))));
}

Result<HostReport> parse_report(std::string_view text) {
  auto report = TRY_IN(
      "report", from_json<HostReport>(TRY_IN("report", parse_json(text, k_max_signed_report))));
  if (report.state == HostTurn::unknown)
    return fail(Code::invalid, "report: of a state that this version does not know");
  for (std::string* text_of : {&report.code, &report.message, &report.before, &report.live})
    *text_of = printable(*text_of, k_most_report_text);
  return report;
}

Result<void> verdict_of_hosts(const std::string& version, const std::vector<HostVerdict>& hosts) {
  const auto count = [&](HostTurn turn) {
    return std::ranges::count(hosts, turn, &HostVerdict::turn);
  };
  if (std::cmp_equal(count(HostTurn::done), hosts.size()))
    return {};
  std::vector<std::string> bad;
  for (const auto& host : hosts)
    if (is_named(host))
      bad.push_back(cat(host.host, ": ", host.message));
  const std::string why = bad.empty() ? "" : "; " + printable(join(bad, "; "), 2000);
  if (const auto kept = std::ranges::count_if(hosts, keeps_new, &HostVerdict::turn); kept > 0)
    return fail(Code::partial,
        cat(kept, " of ", hosts.size(), " hosts have ", version,
            std::cmp_less(kept, hosts.size()) ? ", the others do not" : ", and not all are done",
            why));
  if (count(HostTurn::rolled_back) > 0)
    return fail(Code::rolled_back, cat("all hosts are back at what they had", why));
  return fail(Code::unhealthy, cat("all hosts have what they had", why));
}

Result<void> verdict_of_rollout(const OrderedRollout& rollout) {
  std::vector<HostVerdict> hosts;
  for (const auto& host : rollout.hosts)
    hosts.push_back({host.host, host.state, host.message});
  return verdict_of_hosts(rollout.version, hosts);
}

} // namespace chillbox::control
