// One certificate whose time has come, from where it is.
#include "base/log.hpp"
#include "base/text.hpp"
#include "base/time.hpp"
#include "tls/certificates.hpp"

#include <algorithm>

namespace chillbox::tls {
namespace {

constexpr uint64_t k_unsure_rounds = 3;
constexpr int64_t k_short_life = 10 * k_day_ms;
constexpr int64_t k_off_look = 30 * k_day_ms; // what is planned for much later is no plan

std::vector<std::string> sorted(std::vector<std::string> names) {
  std::ranges::sort(names);
  return names;
}

// Polls of many certificates come in one wake-up: at a full hour, shifted by host, so that not all
// hosts of the world come together.
int64_t at_the_hour(int64_t ms, std::string_view spread) {
  const auto shift = static_cast<int64_t>(std::hash<std::string_view>{}(spread) % k_hour_ms);
  return (ms - shift + k_hour_ms - 1) / k_hour_ms * k_hour_ms + shift;
}

} // namespace

void Certificates::step(Record record) {
  const Wanted wanted = wanted_of(record.id);
  if (wanted.mode == "provided")
    return provided(std::move(record), wanted);
  if (record.state == State::off || !wanted.orders()) {
    const int64_t until = record.served() ? record.facts.off_until_ms : 0;
    if (until != 0 && until <= now())
      return drop(record, "TLS is off, and browsers have forgotten that it was on");
    record.next_ms = std::min(until, now() + k_off_look); // 0: there is nothing to drop
    return save(record);
  }
  if (!record.pending.chain.empty() && record.facts.memory && !m_files.read_key(record))
    record.pending = {}; // a boot: what was issued is of no use without its key
  if (!record.pending.chain.empty())
    return finish(std::move(record));
  if (record.facts.memory && record.served() && !m_files.exists(record) && restore_key(record))
    return;
  std::optional<FleetView> fleet = record.facts.shared ? m_share.look(record) : std::nullopt;
  if (fleet && take_or_keep(record, *fleet))
    return;
  if (record.served())
    poll_ari(record);
  const bool renews = renewal_due(record);
  const bool is_due =
      !record.served() || renews || sorted(record.wanted) != sorted(record.facts.names);
  if (fleet && is_due && turn(record, *fleet, renews) == Turn::others)
    return;
  auto names = ready_names(record, renews);
  if (!record.served() && names.empty())
    return wait(record,
        record.facts.plain.empty() ? "no name of it can be reached"
                                   : record.facts.plain.begin()->second);
  if (record.served() &&
      (names.empty() || (!renews && sorted(names) == sorted(record.facts.names))))
    return names.empty() ? wait(record, record.facts.plain.begin()->second) : rest(record);
  order(std::move(record), sorted(std::move(names)));
}

bool Certificates::renewal_due(const Record& record) const {
  if (!record.served())
    return false;
  const auto& f = record.facts;
  const bool key_is_away = f.memory && !m_files.exists(record);
  const bool key_moves = f.memory != wanted_of(record.id).memory;
  const int64_t rule = renewal_ms(f.not_before_ms, f.not_after_ms);
  return key_is_away || key_moves || is_of_removed_host(record) ||
      (f.renew_ms != 0 && f.renew_ms <= now()) || rule <= now();
}

// At the time that the CA named, within 1 to 12 hours; a CA that has none is asked again all the
// same, because it may have one tomorrow.
void Certificates::poll_ari(Record& record) {
  auto& f = record.facts;
  if (f.ari_ms > now() || f.not_after_ms <= now())
    return;
  const auto ari = m_acme.renewal_info(crypto::first_certificate(record.chain));
  int64_t pause = 12 * k_hour_ms;
  if (ari && *ari) {
    f.renew_ms = (*ari)->selected_ms;
    if (f.explanation != (*ari)->explanation && !(*ari)->explanation.empty())
      log::info(cat("certificate '", record.id,
          "': the CA says why it wants it renewed: ", (*ari)->explanation));
    f.explanation = (*ari)->explanation;
    pause = std::clamp<int64_t>(
        static_cast<int64_t>(std::min<uint64_t>((*ari)->retry_after, 86'400)) * 1'000, k_hour_ms,
        12 * k_hour_ms);
  }
  f.ari_ms = now() + pause;
}

// A name that serves now and does not answer as ours any more holds the renewal of the others for
// three days, so that a wrong record can be corrected: less where less is left.
bool Certificates::may_drop(const Record& record, const std::string& name, bool renews) const {
  const auto& f = record.facts;
  const auto bad = f.bad.find(name);
  if (!is_one_of(name, f.names))
    return true;
  const int64_t life = f.not_after_ms - f.not_before_ms;
  return (bad != f.bad.end() && bad->second.dropped()) ||
      (renews && (life < k_short_life || f.not_after_ms - now() < life / 6));
}

void Certificates::judge(Record& record, const NameCheck& check, bool& ready) const {
  auto& f = record.facts;
  ready = check.verdict == Verdict::good ||
      (check.verdict == Verdict::unsure && f.unsure + 1 >= k_unsure_rounds);
  const auto bad = f.bad.find(check.name);
  if (ready) {
    if (bad != f.bad.end() && bad->second.ours)
      f.bad.erase(bad);
    return;
  }
  f.plain[check.name] = check.why;
  auto& entry = f.bad[check.name];
  entry.ours = true;
  entry.why = check.why;
  const int64_t today = now() / k_day_ms;
  if (is_one_of(check.name, f.names) && !std::ranges::count(entry.days, today))
    entry.days.push_back(today);
}

// Of those that are wanted: what an order may have. Empty while a name that serves is bad and may
// get well.
std::vector<std::string> Certificates::ready_names(Record& record, bool renews) {
  auto& f = record.facts;
  f.plain.clear();
  std::vector<std::string> wanted;
  for (const auto& name : record.wanted) {
    const auto bad = f.bad.find(name);
    if (bad != f.bad.end() && bad->second.left_out(now() / k_day_ms) &&
        name != record.wanted.front())
      f.plain[name] = cat(name,
          " is left out, because a CA refused it on three days; it is asked again after a week: ",
          bad->second.why);
    else
      wanted.push_back(name);
  }
  if (f.challenge == "dns-01")
    return wanted;
  if (record.served() && !renews && sorted(wanted) == sorted(f.names))
    return wanted; // nothing to ask for
  const Readiness readiness = m_prober.check(wanted);
  f.probes = readiness.probes;
  std::vector<std::string> names;
  bool hold = false, unsure = false;
  for (const auto& check : readiness.names) {
    bool ready = false;
    judge(record, check, ready);
    unsure = unsure || check.verdict == Verdict::unsure;
    if (ready)
      names.push_back(check.name);
    else
      hold = hold || !may_drop(record, check.name, renews);
  }
  f.unsure = unsure ? std::min(f.unsure + 1, k_unsure_rounds) : 0;
  return hold ? std::vector<std::string>{} : names;
}

// What `tls` shows until it is over.
void Certificates::note_failure(
    Record& record, const std::string& why, const std::string& type) const {
  auto& f = record.facts;
  f.problem = why;
  f.problem_type = type;
  f.link.clear();
  ++f.failures;
  if (f.failing_ms == 0)
    f.failing_ms = now();
}

// No CA was asked. A certificate that is in use stays in use.
void Certificates::wait(Record& record, const std::string& why) {
  record.state = State::waiting;
  note_failure(record, why, "waiting");
  record.next_ms = now() + waiting_ms(record.facts.failures);
  log::info(cat("certificate '", record.id, "' waits, no CA was asked: ", why));
  save(record);
}

void Certificates::rest(Record& record) {
  auto& f = record.facts;
  record.state = State::valid;
  f.failing_ms = f.alone_ms = 0;
  f.problem = f.plain.empty() ? "" : f.plain.begin()->second;
  f.problem_type.clear();
  const int64_t rule = renewal_ms(f.not_before_ms, f.not_after_ms);
  int64_t next = f.renew_ms == 0 ? rule : std::min(rule, f.renew_ms);
  if (f.not_after_ms - f.not_before_ms > k_day_ms) {
    const int64_t ramp = f.https_ms + 7 * k_day_ms; // HSTS: nginx::hsts_age
    next =
        std::min({next, f.ari_ms == 0 ? now() + k_hour_ms : f.ari_ms, ramp > now() ? ramp : next});
    next = at_the_hour(std::max(next, now() + k_minute_ms), m_host.paths.state());
  }
  if (f.plain.empty()) {
    f.failures = 0;
  } else { // names that are not ready are looked at again
    ++f.failures;
    next = std::min(next, now() + waiting_ms(f.failures));
  }
  if (f.memory != wanted_of(record.id).memory) // its key is to move
    next = now() + k_minute_ms;
  record.next_ms = std::max(next, now() + 1'000);
  mend_text(record);
  save(record);
}

// After a boot: the copy, if the host is unlocked. Else a new key is ordered, three times a week.
bool Certificates::restore_key(Record& record) {
  auto& f = record.facts;
  if (!f.sealed_key.empty() && m_host.parts.open_sealed) {
    const auto key = m_host.parts.open_sealed(f.sealed_key);
    if (key && m_files.write_candidate(record, cat(std::string_view(*key), record.chain)) &&
        m_files.put(record) && m_files.read(record)) {
      const auto installed =
          m_host.parts.install(record.id, text_of(record, m_files.path(record), f.names));
      if (installed && m_host.parts.reload()) {
        log::info(cat("certificate '", record.id, "': its key is in memory again"));
        rest(record);
        return true;
      }
    }
  }
  const auto orders = m_host.store.certificate_orders(now() - 8 * k_day_ms);
  const auto over = orders ? over_boot_budget(*orders, record.id, now()) : std::nullopt;
  if (!over)
    return false;
  record.state = State::backing_off;
  f.problem = over->why;
  f.failing_ms = f.failing_ms == 0 ? now() : f.failing_ms;
  record.next_ms = over->until_ms;
  save(record);
  return true;
}

} // namespace chillbox::tls
