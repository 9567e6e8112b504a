#include "cli/laptop/rollout_order.hpp"

#include "artifact/signature.hpp"
#include "base/encoding.hpp"
#include "base/text.hpp"
#include "cli/core/terminal.hpp"
#include "cli/fleet/host_answers.hpp"
#include "cli/laptop/deploy_artifact.hpp"
#include "cli/laptop/deploy_lines.hpp"
#include "cli/laptop/deploy_sign.hpp"
#include "cli/laptop/target.hpp"
#include "control/rollout.hpp"
#include "crypto/hash.hpp"
#include "os/clock.hpp"

#include <algorithm>
#include <chrono>
#include <map>

namespace chillbox::cli {
namespace {

using control::HostTurn;
using control::OrderedRollout;
using control::RolloutOrder;

constexpr std::chrono::hours k_undo_time{1}; // after the deadline, to go back in
constexpr std::chrono::seconds k_look{1};
constexpr int k_silent = 60; // looks that no host answered

} // namespace

Result<void> check_walker(
    const RolloutState& state, const std::vector<control::Facts>& facts, size_t i) {
  const auto& host = state.hosts[i];
  const auto& seat = facts[i].fleet;
  if (!seat || seat->host.empty())
    return fail(Code::conflict,
        cat(host.name, " is of no fleet: chillboxctl fleet add, or by = \"laptop\""));
  if (seat->fleet != facts.front().fleet->fleet)
    return fail(Code::conflict,
        cat(host.name, " is of fleet '", seat->fleet, "', ", state.hosts.front().name, " of '",
            facts.front().fleet->fleet, "'"));
  if (!facts[i].engine)
    return fail(Code::conflict,
        cat(host.name,
            " reaches no engine of its fleet, so that no host can continue without this laptop: "
            "[fleet] in its chillboxd.toml, or by = \"laptop\""));
  if (seat->report_key.empty() || seat->report_key != facts[i].report_key)
    return fail(Code::conflict,
        cat(host.name, " has ", seat->report_key.empty() ? "no report key" : "another report key",
            " in the roster of fleet '", seat->fleet,
            "', so that no host would believe it: chillboxctl fleet rotate"));
  if (facts[i].site && !facts[i].site->order_serial)
    return fail(Code::conflict,
        cat(host.name, " cannot read its newest order of ", state.site,
            ": remove /var/lib/chillbox/rollouts/", state.site, ".json there"));
  if (host.order.sha256 != state.hosts.front().order.sha256)
    return fail(Code::conflict,
        cat(host.name, " takes another artifact than ", state.hosts.front().name,
            " (another machine): a rollout by hosts has one for all, by = \"laptop\" does not"));
  return {};
}

namespace {

// One signature is for all of them.
Result<void> check_key(const RolloutState& state, const std::vector<control::Facts>& facts,
    const std::string& signature) {
  const std::string id = TRY(artifact::Signature::parse(signature)).key_id();
  for (size_t i = 0; i < facts.size(); ++i) {
    const auto key = std::ranges::find(facts[i].deployers, id, &control::Deployer::id);
    if (key == facts[i].deployers.end() ||
        (!key->sites.empty() && std::ranges::find(key->sites, state.site) == key->sites.end()))
      return fail(Code::denied,
          cat(state.hosts[i].name, " does not trust your key ", id, " for ", state.site,
              ", which signs for all hosts of the rollout: chillboxctl trust add there"));
  }
  return {};
}

std::vector<control::RolloutBatch> batches_of(
    const RolloutState& state, const std::vector<control::Facts>& facts) {
  std::vector<control::RolloutBatch> batches;
  for (size_t at = 0; at < facts.size();) {
    const uint64_t size = batches.empty() ? state.rules.canary : state.rules.batch;
    auto& batch = batches.emplace_back();
    for (uint64_t n = 0; n < size && at < facts.size(); ++n, ++at)
      batch.hosts.push_back(facts[at].fleet->host);
  }
  return batches;
}

// The answer of the first host that gives one; the error of the last that does not.
template <class T> Result<T> ask_any(
    const Places& places, const RolloutState& state, const std::vector<std::string>& words) {
  Error last{Code::unreachable, "no host"};
  for (const auto& one : state.hosts) {
    Host host = TRY(target_named(places, one.name)).host;
    host.name = one.name;
    auto answer = std::move(TRY(ask_hosts<T>({host}, words)).front());
    if (answer.answer)
      return std::move(*answer.answer);
    last = {
        control::named<Code>(answer.code), cat(one.name, ": ", printable(answer.message, 1000))};
    if (last.code != Code::unreachable && last.code != Code::failure)
      break;
  }
  return std::unexpected(last);
}

// As the laptop calls the hosts.
void take_rows(RolloutState& state, const OrderedRollout& row) {
  for (size_t i = 0; i < state.hosts.size() && i < row.hosts.size(); ++i) {
    auto& host = state.hosts[i];
    const auto& said = row.hosts[i];
    host.state = control::name(said.state);
    host.message = said.message;
    host.code = said.code;
    host.before = host.before_version = said.before;
  }
  state.ended = row.ended;
}

// Nobody moves, and nobody is about to go back.
bool rests(const OrderedRollout& row) {
  using enum HostTurn;
  return std::ranges::none_of(row.hosts, [](const auto& host) {
    return host.state == begun || host.state == live || host.state == failed;
  });
}

} // namespace

Result<void> sign_order(Call& call, const DeployPlan& plan, RolloutState& state,
    const std::vector<control::Facts>& facts, const DeployMemory::Pending& artifact) {
  const int64_t now = os::real_clock().wall();
  uint64_t newest = 0, serial = 0;
  for (size_t i = 0; i < facts.size(); ++i) {
    TRY(check_walker(state, facts, i));
    const auto site = facts[i].site.value_or(control::SiteFacts{});
    newest = std::max(newest, serial_for(site.serial, now));
    serial = std::max(serial, site.order_serial.value_or(0));
  }
  const auto& first = facts.front();
  const auto release = TRY(what_to_sign(call, plan, state.version, artifact, newest));
  RolloutOrder order{.fleet = first.fleet->fleet,
      .site = state.site,
      .version = state.version,
      .sha256 = artifact.sha256,
      .signature = TRY(sign_for(call, plan.places, first, state.hosts.front().name, release)),
      .size = artifact.size,
      .serial = serial + 1,
      .batches = batches_of(state, facts),
      .max_unavailable = std::min<uint64_t>(state.rules.max_unavailable, facts.size()),
      .bake_ms = static_cast<uint64_t>(state.rules.bake.count()),
      .drain_ms = static_cast<uint64_t>(state.rules.drain.count()),
      .on_failure = state.rules.on_failure,
      .deadline_ms = now * 1000 + state.rules.deadline.count()};
  const std::string text = control::order_text(order);
  (void)TRY(control::parse_order(text)); // as the hosts will
  crypto::Blake2b512 blake2b;
  blake2b.update(bytes_of(text));
  const ToSign what{blake2b.finish(),
      artifact::Statement{.site = plan.folder.site.slug,
          .rollout = true,
          .version = {},
          .serial = order.serial,
          .sha256 = crypto::sha256_of(bytes_of(text)),
          .expires = order.deadline_ms / 1000 + std::chrono::seconds(k_undo_time).count()}};
  TRY(check_key(state, facts, order.signature));
  auto signature = TRY(sign_for(call, plan.places, first, state.hosts.front().name, what));
  state.signed_order = control::signed_order_text({text, std::move(signature)});
  state.order_serial = order.serial;
  return {};
}

Result<void> hand_over(Call& call, const Places& places, RolloutState& state) {
  const auto taken = TRY(ask_any<control::OrderTaken>(
      places, state, {"rollout", "take", "--json", "--", base64(bytes_of(state.signed_order))}));
  DeployLines(call.terminal)
      .line("ordered", cat("order ", taken.serial, ": the hosts take it from here"));
  state.taken = true;
  return write_rollout(places, state);
}

Result<OrderedRollout> reported(const Places& places, RolloutState& state) {
  const auto all = TRY(ask_any<control::OrderedRollouts>(
      places, state, {"rollout", "reports", "--json", "--", state.site}));
  if (all.rollouts.empty())
    return fail(Code::unreachable, "no host has taken the order yet");
  const OrderedRollout& row = all.rollouts.front();
  if (!row.problem.empty())
    return fail(Code::corrupt, row.problem);
  if (row.serial < state.order_serial)
    return fail(Code::unreachable, "the host that was asked has not taken the order yet");
  if (row.serial > state.order_serial)
    return fail(Code::conflict,
        cat("order ", row.serial, " of version ", row.version, ", signed by ",
            printable(row.signer, 80), ", took the place of this one (", state.order_serial, ")"));
  take_rows(state, row);
  TRY(write_rollout(places, state));
  return row;
}

Result<void> follow_rollout(Call& call, const Places& places, RolloutState& state) {
  DeployLines lines(call.terminal);
  std::map<std::string, std::string> said;
  for (int silent = 0;; os::real_clock().sleep(k_look)) {
    const auto row = reported(places, state);
    if (!row && row.error().code != Code::unreachable) {
      state.ended = row.error().code == Code::conflict; // by another one
      (void)write_rollout(places, state);
      return std::unexpected(row.error());
    }
    if (!row && ++silent < k_silent)
      continue;
    if (!row)
      return fail(Code::unreachable,
          cat(row.error().message,
              "; the hosts continue without this laptop: chillboxctl rollout status"));
    silent = 0;
    for (const auto& host : row->hosts) {
      const std::string now = cat(control::name(host.state), host.message.empty() ? "" : ": ",
          printable(host.message, 300));
      if (std::exchange(said[host.host], now) != now)
        lines.line(host.host, now);
    }
    if (row->ended)
      return control::verdict_of_rollout(*row);
    if (row->stop && rests(*row))
      return fail(Code::partial,
          cat("stopped by ", row->stop->by, ": chillboxctl rollout resume continues it"));
  }
}

Result<void> halt_rollout(const Places& places, const RolloutState& state, bool undo) {
  std::vector<std::string> words{"rollout", "halt", "--json"};
  if (undo)
    words.emplace_back("--undo");
  words.insert(words.end(), {"--", state.site});
  (void)TRY(ask_any<control::Done>(places, state, words));
  return {};
}

} // namespace chillbox::cli
