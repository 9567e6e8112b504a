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
// before this host orders its own where there is none; and so long to order it, and to fail.
constexpr int64_t k_patience_ms = 10 * k_minute_ms, k_claim_patience_ms = 30 * k_minute_ms;
// No public CA issues one for longer (CA/Browser Forum, baseline requirements 6.3.2).
constexpr int64_t k_longest_life_ms = 398 * k_day_ms;
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

bool is_for_this_host(const FleetView& view) {
  const auto& to = view.bundle->to;
  return view.hosts.has(view.hosts.me) &&
      is_one_of(view.hosts.all[view.hosts.place()].recipient, to);
}

// Not taken now, and no reason to order another one at once.
bool is_blocked(const Error& error) {
  return error.code == Code::sealed || error.code == Code::conflict;
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
    const auto pem = m_host.parts.open_sealed(bundle.sealed);
    if (!pem)
      return pem.error().code == Code::sealed
          ? fail(Code::sealed, "is taken once this host is unlocked")
          : fail(Code::conflict, cat("cannot be decrypted here: ", pem.error().message));
    const auto file = TRY(crypto::check_certificate_file(*pem));
    const auto& facts = file.leaf_facts;
    if (!are_wanted(facts.names, record))
      return fail(Code::denied,
          cat("certificate of '", bundle.host, "': it is for ", join(facts.names, " "),
              ", of which this host has not all"));
    if (const auto name = lost_name(record, facts.names))
      return fail(Code::conflict, cat("does not have ", *name, ", which this host serves"));
    if (const std::string why = not_trusted(record, file); !why.empty())
      return fail(Code::denied, cat("certificate of '", bundle.host, "': ", why));
    auto key = TRY(crypto::key_in(*pem));
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
    if (!is_blocked(taken.error()))
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

// A name that is served and wanted, and that the other certificate does not have.
std::optional<std::string> Certificates::lost_name(
    const Record& record, const std::vector<std::string>& names) const {
  const bool renews = renewal_due(record);
  for (const auto& name : record.facts.names)
    if (is_one_of(name, record.wanted) && !is_one_of(name, names) &&
        !may_drop(record, name, renews))
      return name;
  return std::nullopt;
}

// Why no host of the fleet may have this one served, "": it may. Each of them orders from a CA, but
// a stolen one can sign what it likes. A CA of which the system knows nothing, as that of a test,
// is good where nothing better is served.
std::string Certificates::not_trusted(
    const Record& record, const crypto::CheckedChain& other) const {
  const auto& facts = other.leaf_facts;
  if (facts.not_after_ms - facts.not_before_ms > k_longest_life_ms)
    return cat("it is for ", (facts.not_after_ms - facts.not_before_ms) / k_day_ms,
        " days, and one that another host ordered is taken for at most ",
        k_longest_life_ms / k_day_ms);
  const std::string file = m_host.paths.system_roots();
  const auto roots = m_host.disk.read(file, 4 << 20);
  if (!record.served() || !roots ||
      !crypto::leads_to(record.chain, *roots, record.facts.not_before_ms) ||
      crypto::leads_to(other.pem, *roots, facts.not_before_ms))
    return "";
  return cat("it is of '", printable(facts.issuer, 80), "', which leads to no CA of ", file,
      ", and what is served does");
}

// It is out of the roster, and has the key of what is served.
bool Certificates::is_of_removed_host(const Record& record) const {
  const auto& f = record.facts;
  if (!f.shared || f.by.empty())
    return false;
  const auto hosts = m_host.parts.sharing.hosts(record.site);
  return hosts && !hosts->has(f.by);
}

// The host that ordered it brings it back when the engine was wiped or has an older one, and
// encrypts it again when the roster has other hosts. When it is gone itself, the first one does.
bool Certificates::keep(Record& record, const FleetView& view) {
  const auto& f = record.facts;
  if (!record.served() || f.not_after_ms <= now() || !are_wanted(f.names, record))
    return true;
  const bool keeps = f.by.empty() || (!view.hosts.has(f.by) && view.hosts.place() == 0);
  const bool is_kept =
      view.bundle && view.bundle->sha256 == f.sha256 && view.bundle->to == view.hosts.recipients();
  if (!keeps || is_kept)
    return true;
  int64_t& last = m_kept_ms[record.id];
  if (last != 0 && now() - last < k_ask_again_ms) { // somebody else writes there
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
  const std::string of = cat("the certificate that ", view.bundle->host, " ordered for the fleet ");
  if (!is_for_this_host(view))
    view.blocked = cat(of, "is not encrypted to this host yet");
  else if (const auto taken = take(record, view); taken)
    return true;
  else if (is_blocked(taken.error()))
    view.blocked = cat(of, taken.error().message);
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
        is_for_this_host(*view)) {
      (void)take(record, *view);
      continue;
    }
    (void)keep(record, *view);
    if (record.facts.problem_type != "fleet" && !is_of_removed_host(record))
      continue;
    record.next_ms = std::min(record.next_ms, now() + k_others_first_ms);
    save(record);
  }
}

// When this host orders without the others: what is served is not left to end.
int64_t Certificates::own_order_ms(
    const Record& record, const FleetView& view, int64_t patience_ms, bool renews) const {
  const auto& f = record.facts;
  const int64_t delay = own_delay_ms(view.hosts.all.empty() ? 0 : view.hosts.place());
  const int64_t begin = f.alone_ms + patience_ms;
  if (!renews)
    return begin + delay;
  const int64_t life = f.not_after_ms - f.not_before_ms;
  return std::max(begin, f.not_after_ms - life / 4) + std::min(delay, life / 8);
}

// What keeps this host from an order for all.
std::optional<Certificates::Obstacle> Certificates::obstacle(
    const Record& record, const FleetView& view) const {
  for (const auto* why : {&view.problem, &view.blocked})
    if (!why->empty())
      return Obstacle{.why = *why, .again_ms = 15 * k_ask_again_ms};
  if (!is_exempt(record) && view.issued_ms.size() >= k_most_issued)
    return Obstacle{.why = cat(k_most_issued, " certificates of ", join(record.wanted, " "),
                        " were issued within a week by hosts of the fleet, and a CA issues 5"),
        .again_ms = view.issued_ms[view.issued_ms.size() - k_most_issued] + 7 * k_day_ms - now()};
  if (view.claim && view.claim->text != record.facts.claim)
    return of_claim(*view.claim);
  return std::nullopt;
}

Certificates::Obstacle Certificates::of_claim(const IssueClaim& claim) {
  const bool failed = !claim.problem.empty();
  return {.why = failed ? cat(claim.host, " could not order it for the fleet: ", claim.problem)
                        : cat(claim.host, " orders it for the fleet"),
      .again_ms = k_ask_again_ms,
      .patience_ms = k_claim_patience_ms,
      .is_usual = true,
      .failed = failed};
}

// Whoever holds the others up: this host waits, and then orders its own.
Certificates::Turn Certificates::held_up(
    Record& record, const FleetView& view, const Obstacle& by, bool renews) {
  int64_t& since = record.facts.alone_ms;
  since = since == 0 ? now() : since;
  const int64_t patience = by.patience_ms == 0 ? k_patience_ms : by.patience_ms;
  const int64_t own_ms = own_order_ms(record, view, patience, renews);
  if (own_ms <= now())
    return Turn::own;
  const bool is_usual = by.is_usual && now() < since + patience;
  const std::string why = is_usual
      ? by.why
      : cat(by.why, "; if that does not change, this host orders its own at ",
            rfc3339(own_ms / 1'000));
  wait_for_fleet(record, why, std::min(own_ms, now() + by.again_ms), by.failed || !is_usual);
  return Turn::others;
}

Certificates::Turn Certificates::turn(Record& record, const FleetView& view, bool renews) {
  if (const auto by = obstacle(record, view))
    return held_up(record, view, *by, renews);
  if (!renews || record.facts.by.empty() || !view.hosts.has(record.facts.by))
    return Turn::fleet;
  const auto& f = record.facts;
  const int64_t rule = renewal_ms(f.not_before_ms, f.not_after_ms);
  const int64_t due = f.renew_ms == 0 ? rule : std::min(rule, f.renew_ms);
  const int64_t from = due + std::min(k_head_start_ms, (f.not_after_ms - due) / 4);
  if (from <= now())
    return Turn::fleet;
  wait_for_fleet(record, "", from, false);
  return Turn::others;
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

// Claims it for the fleet, unless this host has waited long enough for the others. False: it is to
// wait.
bool Certificates::may_order(Record& record) {
  m_fences.erase(record.id);
  const auto view = m_share.look(record);
  if (!view)
    return true;
  const bool renews = renewal_due(record);
  if (const Turn is = turn(record, *view, renews); is != Turn::fleet) // since it was looked at
    return is == Turn::own;
  auto& f = record.facts;
  if (f.claim.empty())
    f.claim = Share::claim_text(view->hosts.me, "");
  save(record); // before it is asked for: a try whose answer got lost is gone on with
  const auto claim = m_share.claim(record, view->hosts, f.claim);
  if (claim && claim->text == f.claim) {
    f.alone_ms = 0;
    m_fences[record.id] = claim->fence;
    return true;
  }
  if (claim)
    f.claim.clear();
  const auto by =
      claim ? of_claim(*claim) : Obstacle{.why = claim.error().message, .again_ms = k_ask_again_ms};
  return held_up(record, *view, by, renews) == Turn::own;
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
