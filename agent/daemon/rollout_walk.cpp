#include "daemon/rollout_walk.hpp"

#include "base/log.hpp"
#include "base/text.hpp"
#include "rollout/acquire.hpp"
#include "rollout/claims.hpp"

#include <utility>

namespace chillbox::daemon {
namespace {

using control::EngineCondition;
using control::EngineWrite;
using control::HostTurn;
using rollout::NextStep;
using rollout::WalkStep;

constexpr int64_t k_retry_ms = 2'000;

} // namespace

void RolloutWalk::run() {
  if (const auto loaded = load(); !loaded) {
    m_all.record(m_site.str(), "order", loaded.error());
    return m_all.wait(m_all.changes(), host().clock.wall_ms() + k_retry_ms);
  }
  if (!m_file || m_file->walked.ended)
    return;
  while (!m_all.stopping()) {
    const auto holds = still_holds();
    if (walked().ended)
      return;
    if (!holds) {
      m_all.wait(m_all.changes(), host().clock.wall_ms() + k_retry_ms);
      continue;
    }
    const auto now = m_all.changes(); // before anything is looked at
    if (walked().mine.state != HostTurn::begun && walked().back.empty() && m_all.has_newer(m_site))
      return; // it is begun as another walk
    const auto seen = see(now);
    const NextStep next = seen ? rollout::next_step(order(), walked(), *seen) : NextStep{};
    const auto done = seen ? act(next, now) : Result<void>(std::unexpected(seen.error()));
    if (walked().ended)
      return;
    if (!done) {
      if (std::exchange(m_waits, done.error().message) != done.error().message)
        log::warn(cat("rollout of '", m_site.str(), "': ", m_waits));
      m_all.wait(m_all.changes(), host().clock.wall_ms() + k_retry_ms);
    }
  }
}

Result<void> RolloutWalk::load() {
  m_file = TRY(rollout::read_order_file(host(), m_site));
  if (m_file && (m_file->walked.mine.state == HostTurn::begun || !m_file->walked.back.empty()))
    return {}; // to the end of its job first
  const auto newer = m_all.newer(m_site);
  if (!newer)
    return {};
  TRY(begin_order(*newer));
  m_all.forget_newer(*newer);
  return {};
}

Result<void> RolloutWalk::begin_order(rollout::TakenOrder taken) {
  const auto fleet = TRY(rollout::fleet_of(host()));
  if (m_file && walked().fence != 0) // of the order before
    (void)TRY(m_all.engine().change({{.kind = EngineCondition::Kind::held,
                                        .key = slot_key(m_site.str(), walked().slot),
                                        .fence = walked().fence}},
        {{.key = slot_key(m_site.str(), walked().slot), .text = {}, .removes = true}},
        k_engine_wait));
  m_all.gave_slot(m_site);
  rollout::Walked begun;
  begun.mine.host = fleet.me;
  begun.mine.site = m_site.str();
  begun.mine.serial = taken.order.serial;
  begun.mine.order = taken.digest;
  begun.mine.live = live();
  (void)host().store.audit({0, host().clock.wall_ms(), cat("rollout:", taken.signer), "rollout",
      m_site.str(), cat("order ", taken.order.serial, ", version ", taken.order.version), "ok"});
  m_file = rollout::OrderFile{std::move(taken), std::move(begun)};
  return save();
}

std::string RolloutWalk::live() {
  const auto row = host().store.site(m_site);
  return row && *row ? (*row)->live : "";
}

// A signer who is not trusted any more, or a roster without this host, orders nothing more.
Result<void> RolloutWalk::still_holds() {
  if (walked().mine.state == HostTurn::begun || !walked().back.empty() || walked().fence != 0)
    return {};
  const auto checked =
      rollout::check_order(host(), m_site, control::signed_order_text(m_file->taken.text), 0);
  m_denied = !checked && checked.error().code == Code::denied ? m_denied + 1 : 0;
  if (checked)
    return {};
  m_all.record(m_site.str(), "order", checked.error());
  if (m_denied > 1) { // once may be a file that is written at this moment
    (void)report(walked().mine.state, checked.error().message, "denied");
    (void)tell(); // the others may hear it
    walked().ended = true;
    (void)save();
  }
  return std::unexpected(checked.error());
}

Result<rollout::Seen> RolloutWalk::see(const Rollouts::Change& now) {
  rollout::Seen seen{.sealed = !host().vault.unsealed(),
      .stopped = m_stopped,
      .fresh = true,
      .now_ms = host().clock.wall_ms(),
      .clock = {},
      .live = live(),
      .live_sha256 = {},
      .blocked = {}};
  if (const auto hold = rollout::check_hold(host(), m_site); !hold)
    seen.blocked = hold.error().message;
  if (const auto release = TRY(host().store.release(m_site, seen.live)))
    seen.live_sha256 = release->sha256;
  if (m_heard == now.engine && seen.now_ms < order().deadline_ms &&
      rollout::check_clock(m_all.engine()))
    return seen;
  auto heard = m_all.hear(m_file->taken);
  seen.fresh = heard.has_value();
  m_heard.reset();
  if (const auto clock = rollout::check_clock(m_all.engine()); !clock)
    seen.clock = clock.error().message;
  if (!heard)
    return seen;
  m_heard = now.engine;
  seen.stopped = m_stopped = heard->stop.has_value();
  bool news = false;
  for (auto& [name, report] : heard->reports) {
    auto& known = walked().others[name];
    if (name == walked().mine.host || report.seq <= known.seq)
      continue;
    known = std::move(report);
    news = true;
  }
  if (news)
    TRY(save());
  return seen;
}

Result<void> RolloutWalk::act(const NextStep& next, const Rollouts::Change& seen) {
  switch (next.step) {
  case WalkStep::wait:
    if (std::exchange(m_waits, next.why) != next.why)
      log::info(cat("rollout of '", m_site.str(), "': ", next.why));
    // Without an answer of the engine nobody says when there is one.
    m_all.wait(seen, m_heard ? next.at_ms : host().clock.wall_ms() + k_retry_ms);
    return {};
  case WalkStep::note:
    return report(walked().mine.state,
        cat("outside the rollout: ", live().empty() ? "nothing" : live(), " was made live here"));
  case WalkStep::tell: return tell();
  case WalkStep::stage: return stage(seen);
  case WalkStep::skip:
    return report(HostTurn::skipped_sealed, "locked: it continues after chillboxctl unlock");
  case WalkStep::unlocked: return report(HostTurn::waiting, "unlocked");
  case WalkStep::take_slot: return take_slot(next.slots);
  case WalkStep::carry_on: return carry_on();
  case WalkStep::done: return report(HostTurn::done, "");
  case WalkStep::outside: return report(HostTurn::outside, cat("outside the rollout: ", next.why));
  case WalkStep::go_back: return go_back(next.why);
  case WalkStep::end: break;
  }
  if (!next.why.empty() && walked().mine.message != next.why)
    return report(walked().mine.state, next.why);
  walked().ended = true;
  return save();
}

Result<void> RolloutWalk::report(HostTurn state, std::string message, const std::string& code) {
  auto& mine = walked().mine;
  mine.state = state;
  mine.message = printable(message, 1000);
  mine.code = code;
  mine.live = live();
  ++mine.seq;
  log::info(cat("rollout of '", m_site.str(), "': ", control::name(state),
      mine.message.empty() ? "" : ": ", mine.message));
  return save();
}

// By a try whose answer never came: it gave the slot back, too.
Result<bool> RolloutWalk::was_told(const std::string& text) {
  const std::string key = cat(reports_key(order()), walked().mine.host);
  for (const auto& one : TRY(m_all.engine().read(key, k_engine_wait)))
    if (one.key == key)
      return one.text == text;
  return false;
}

// While it holds a slot, only for as long as it does; what is reported gives the slot back.
Result<void> RolloutWalk::tell() {
  auto& mine = walked().mine;
  std::vector<EngineCondition> holds;
  const std::string text = TRY(rollout::signed_report(host(), mine));
  std::vector<EngineWrite> writes{
      {.key = cat(reports_key(order()), mine.host), .text = text, .kept = k_said_kept}};
  const std::string slot = slot_key(m_site.str(), walked().slot);
  if (walked().fence != 0) {
    holds.push_back({.kind = EngineCondition::Kind::held, .key = slot, .fence = walked().fence});
    writes.push_back({.key = slot, .text = {}, .removes = true});
  }
  if (mine.state == HostTurn::failed)
    writes.push_back({.key = stop_key(order()),
        .text = control::stop_text({mine.host, mine.message}),
        .kept = k_said_kept});
  bool made = TRY(m_all.engine().change(holds, writes, k_engine_wait)).made || TRY(was_told(text));
  // Its lease went: good, while nobody took the slot and the others still wait.
  if (!made && walked().fence != 0 && host().clock.wall_ms() < order().deadline_ms) {
    writes.erase(writes.begin() + 1);
    holds = {{.kind = EngineCondition::Kind::absent, .key = slot}};
    made = TRY(m_all.engine().change(holds, writes, k_engine_wait)).made;
  }
  if (std::exchange(walked().fence, 0) != 0)
    m_all.gave_slot(m_site);
  if (made) {
    walked().told = mine.seq;
    return save();
  }
  if (mine.state != HostTurn::live && mine.state != HostTurn::failed)
    return save(); // reported without holding the slot
  return report(HostTurn::outside,
      cat("outside the rollout: its slot was taken away before it was through; ", mine.message),
      mine.code);
}

} // namespace chillbox::daemon
