// A certificate that the hosts of a fleet share (share.hpp): whose turn it is to order it, what is
// taken, and who keeps it in the engine.
#include "base/log.hpp"
#include "base/text.hpp"
#include "base/time.hpp"
#include "tls/certificates.hpp"

#include <algorithm>

namespace chillbox::tls {
namespace {

// Another host is given so long to encrypt a certificate for this one, or the engine to answer,
// before this host orders its own where there is none.
constexpr int64_t k_patience_ms = 10 * k_minute_ms;
// Of a CA that issues five certificates of the same names in a week, and one more in 34 hours.
constexpr size_t k_at_once = 4;
constexpr int64_t k_own_step_ms = 10 * k_minute_ms, k_refill_ms = 34 * k_hour_ms;
constexpr int64_t k_head_start_ms = k_hour_ms; // of the host that ordered the one before
constexpr size_t k_most_issued = 4;            // in a week
constexpr int64_t k_ask_again_ms = k_minute_ms, k_others_first_ms = 10'000;

// Hosts that cannot agree order theirs one after the other, in the order of the roster.
int64_t own_delay_ms(size_t place) {
  const auto n = static_cast<int64_t>(place);
  return place < k_at_once ? n * k_own_step_ms
                           : (n - static_cast<int64_t>(k_at_once) + 1) * k_refill_ms;
}

bool are_wanted(const std::vector<std::string>& names, const Record& record) {
  return !names.empty() && std::ranges::all_of(names, [&](const auto& name) {
    return std::ranges::find(record.wanted, name) != record.wanted.end();
  });
}

} // namespace

// A key that may not reach a disk is each host's own.
bool Certificates::is_to_share(const Record& record, const Wanted& wanted) const {
  if (!m_share.is_on() || record.is_host() || !wanted.orders() || wanted.memory ||
      record.facts.memory)
    return false;
  const auto hosts = m_host.parts.sharing.hosts(record.site);
  return hosts || hosts.error().code != Code::not_found;
}

// Of two of the same moment all hosts take the same.
bool Certificates::is_newer(
    const Record& record, int64_t not_before_ms, const std::string& sha256) const {
  const auto& f = record.facts;
  return !record.served() ||
      std::pair(not_before_ms, sha256) > std::pair(f.not_before_ms, f.sha256);
}

void Certificates::note_refused(const Record& record, const std::string& why) {
  int64_t& last = m_refused_ms[record.id];
  if (last != 0 && now() - last < k_hour_ms)
    return; // who owns the engine fills no log
  last = now();
  log::warn(cat("certificate '", record.id, "': not taken from the fleet's engine: ", why));
  (void)m_host.store.audit(
      {0, now(), "fleet engine", "tls", record.site, why, std::string(code_name(Code::denied))});
}

Result<void> Certificates::take(Record& record, const FleetView& view) {
  const auto& bundle = *view.bundle;
  const auto taken = [&]() -> Result<Pending> {
    const auto pem = TRY(m_host.parts.open_sealed(bundle.sealed));
    const auto file = TRY(crypto::check_certificate_file(pem));
    const auto& facts = file.leaf_facts;
    if (!are_wanted(facts.names, record))
      return fail(Code::denied,
          cat("certificate of '", bundle.host, "': it is for ", join(facts.names, " "),
              ", of which this host has not all"));
    auto key = TRY(crypto::key_in(pem));
    (void)TRY(crypto::check_chain(file.pem, key, facts.names, now()));
    if (!is_newer(record, facts.not_before_ms, facts.sha256))
      return fail(Code::denied,
          cat("certificate of '", bundle.host, "': it is not newer than the one that is served"));
    return Pending{.names = facts.names,
        .key = std::string(key),
        .chain = file.pem,
        .by = bundle.host == view.hosts.me ? "" : bundle.host};
  }();
  if (!taken) {
    if (taken.error().code != Code::sealed)
      note_refused(record, taken.error().message);
    return std::unexpected(taken.error());
  }
  log::info(cat("certificate '", record.id, "': ", bundle.host, " ordered it for the fleet"));
  auto& f = record.facts;
  record.pending = *taken;
  f.unshared = false;
  f.claim.clear();
  f.plain.clear();
  f.renew_ms = f.ari_ms = 0;
  record.state = State::verifying;
  save(record);
  finish(std::move(record));
  return {};
}

// The host that ordered it brings it back when the engine was wiped or has an older one, and
// encrypts it again when the roster has other hosts. When it is gone itself, the first one does.
bool Certificates::keep(Record& record, const FleetView& view) {
  const auto& f = record.facts;
  if (!record.served() || f.not_after_ms <= now() || !are_wanted(f.names, record))
    return true;
  const bool keeps = f.by.empty() || (!view.hosts.has(f.by) && view.hosts.place() == 0);
  const bool is_kept =
      view.bundle && view.bundle->sha256 == f.sha256 && view.bundle->to == view.hosts.names();
  if (!keeps || is_kept)
    return true;
  int64_t& last = m_kept_ms[record.id];
  if (last != 0 && now() - last < k_ask_again_ms) { // whoever else writes there
    record.next_ms = std::min(record.next_ms, last + k_ask_again_ms);
    save(record);
    return true;
  }
  last = now();
  return share(record, false);
}

bool Certificates::take_or_keep(Record& record, FleetView& view) {
  if (!view.problem.empty())
    return false;
  if (!view.refused.empty())
    note_refused(record, view.refused);
  if (!view.bundle || !is_newer(record, view.bundle->not_before_ms, view.bundle->sha256))
    return !keep(record, view) && !renewal_due(record);
  const auto& to = view.bundle->to;
  const std::string of = cat("the certificate that ", view.bundle->host, " ordered for the fleet ");
  if (std::ranges::find(to, view.hosts.me) == to.end())
    view.blocked = cat(of, "is not encrypted to this host yet");
  else if (const auto taken = take(record, view); taken)
    return true;
  else if (taken.error().code == Code::sealed)
    view.blocked = cat(of, "is taken once this host is unlocked");
  return false;
}

// What waits for the fleet is tried now, or a moment later, so that who has one can bring it before
// another one is ordered.
void Certificates::look_at_fleet() {
  for (const auto& row : m_host.store.certificates().value_or(std::vector<store::Certificate>{})) {
    Record record = read_record(row);
    if (m_stop || !record.facts.shared || !record.pending.chain.empty())
      continue;
    const auto view = m_share.look(record);
    if (!view || !view->problem.empty())
      continue;
    if (!view->refused.empty())
      note_refused(record, view->refused);
    if (view->bundle && is_newer(record, view->bundle->not_before_ms, view->bundle->sha256) &&
        std::ranges::find(view->bundle->to, view->hosts.me) != view->bundle->to.end()) {
      (void)take(record, *view);
      continue;
    }
    (void)keep(record, *view);
    if (record.facts.problem_type != "fleet")
      continue;
    record.next_ms = std::min(record.next_ms, now() + k_others_first_ms);
    save(record);
  }
}

// When this host orders without the others: what is served is not left to end.
int64_t Certificates::own_order_ms(const Record& record, const FleetView& view, bool renews) const {
  const auto& f = record.facts;
  const int64_t delay = own_delay_ms(view.hosts.all.empty() ? 0 : view.hosts.place());
  const int64_t begin = f.alone_ms + k_patience_ms;
  if (!renews)
    return begin + delay;
  const int64_t life = f.not_after_ms - f.not_before_ms;
  return std::max(begin, f.not_after_ms - life / 4) + std::min(delay, life / 8);
}

// Whether this host is not to order now, and when it looks again.
bool Certificates::is_others_turn(Record& record, const FleetView& view, bool renews) {
  const auto alone = [&](const std::string& why) {
    int64_t& since = record.facts.alone_ms;
    since = since == 0 ? now() : since;
    const int64_t own_ms = own_order_ms(record, view, renews);
    if (own_ms <= now())
      return false;
    wait_for_fleet(record,
        cat(why, "; if that does not change, this host orders its own at ",
            rfc3339(own_ms / 1'000)),
        std::min(own_ms, now() + 15 * k_ask_again_ms), true);
    return true;
  };
  if (!view.problem.empty())
    return alone(view.problem);
  if (!view.blocked.empty())
    return alone(view.blocked);
  record.facts.alone_ms = 0;
  if (view.claim && view.claim->text != record.facts.claim) {
    const auto& claim = *view.claim;
    const bool failed = !claim.problem.empty();
    wait_for_fleet(record,
        failed ? cat(claim.host, " could not order it for the fleet: ", claim.problem)
               : cat(claim.host, " orders it for the fleet"),
        now() + k_ask_again_ms, failed);
    return true;
  }
  if (!renews || record.facts.by.empty() || !view.hosts.has(record.facts.by))
    return false;
  const auto& f = record.facts;
  const int64_t rule = renewal_ms(f.not_before_ms, f.not_after_ms);
  const int64_t due = f.renew_ms == 0 ? rule : std::min(rule, f.renew_ms);
  const int64_t turn = due + std::min(k_head_start_ms, (f.not_after_ms - due) / 4);
  if (turn <= now())
    return false;
  wait_for_fleet(record, "", turn, false);
  return true;
}

void Certificates::wait_for_fleet(
    Record& record, const std::string& why, int64_t until_ms, bool failed) {
  auto& f = record.facts;
  record.state = record.served() ? State::valid : State::waiting;
  if (failed && f.problem != why)
    note_failure(record, why, "fleet");
  f.problem = why;
  f.problem_type = "fleet";
  if (f.failing_ms == 0 && (failed || !record.served()))
    f.failing_ms = now();
  record.next_ms = until_ms;
  save(record);
}

// Claims it for the fleet. False: another host has it, or too many were issued.
bool Certificates::may_order(Record& record, const std::vector<std::string>& names, bool exempt) {
  m_fences.erase(record.id);
  const auto view = m_share.look(record);
  if (!view)
    return true;
  if (!view->problem.empty()) // since it was looked at
    return !is_others_turn(record, *view, renewal_due(record));
  if (!exempt && view->issued_ms.size() >= k_most_issued) {
    record.state = State::backing_off;
    note_failure(record,
        cat(k_most_issued, " certificates of ", join(names, " "),
            " were issued within a week by hosts of the fleet, and a CA issues 5"),
        "budget");
    record.next_ms = view->issued_ms[view->issued_ms.size() - k_most_issued] + 7 * k_day_ms;
    save(record);
    return false;
  }
  auto& f = record.facts;
  if (f.claim.empty())
    f.claim = Share::claim_text(view->hosts.me, "");
  save(record); // before it is asked for: a try whose answer got lost is gone on with
  const auto claim = m_share.claim(record, f.claim);
  if (!claim) {
    wait_for_fleet(record, claim.error().message, now() + k_ask_again_ms, true);
    return false;
  }
  if (claim->text != f.claim) {
    f.claim.clear();
    wait_for_fleet(
        record, cat(claim->host, " orders it for the fleet"), now() + k_ask_again_ms, false);
    return false;
  }
  m_fences[record.id] = claim->fence;
  return true;
}

void Certificates::tell_failure(Record& record) {
  const auto fence = m_fences.find(record.id);
  record.facts.claim.clear();
  if (fence == m_fences.end())
    return;
  const auto hosts = m_host.parts.sharing.hosts(record.site);
  if (hosts)
    (void)m_share.tell_failure(
        record, fence->second, Share::claim_text(hosts->me, record.facts.problem));
  m_fences.erase(record.id);
}

bool Certificates::share(Record& record, bool is_new) {
  auto& f = record.facts;
  const auto fence = m_fences.find(record.id);
  const auto hosts = m_host.parts.sharing.hosts(record.site);
  const auto put = hosts ? m_share.put(record, *hosts, fence == m_fences.end() ? 0 : fence->second,
                               is_new ? std::optional(f.not_before_ms) : std::nullopt)
                         : std::unexpected(hosts.error());
  m_fences.erase(record.id);
  f.claim.clear();
  f.unshared = !put;
  if (put) {
    log::info(cat(
        "certificate '", record.id, "' is in the fleet's engine for ", join(hosts->names(), " ")));
    save(record);
    return true;
  }
  const std::string why = cat("the other hosts of the fleet do not get it: ", put.error().message);
  if (f.problem != why)
    note_failure(record, why, "fleet");
  log::warn(cat("certificate '", record.id, "': ", why));
  f.problem_type = "fleet";
  record.next_ms = now() + 15 * k_ask_again_ms;
  save(record);
  return false;
}

} // namespace chillbox::tls
