// An order: what the CA is asked, and what comes after each of its problems.
#include "base/encoding.hpp"
#include "base/log.hpp"
#include "base/text.hpp"
#include "base/time.hpp"
#include "os/host_layout.hpp"
#include "tls/certificates.hpp"

#include <algorithm>
#include <cstdlib>

namespace chillbox::tls {
namespace {

constexpr int k_most_tries = 4; // of one order: each leaves out one thing that the CA did not take

// A clock that is wrong is why a CA is not believed, or does not believe us.
std::string clocks(const Problem& problem, int64_t now_ms) {
  constexpr int64_t k_apart = 300'000;
  if (!problem.ca_ms || std::abs(*problem.ca_ms - now_ms) < k_apart)
    return {};
  return cat("; this host's clock says ", rfc3339(now_ms / 1'000), ", and the CA's ",
      rfc3339(*problem.ca_ms / 1'000), ": set it");
}

} // namespace

// The key of an order that is kept: its CSR may be the CA's already.
Result<SecretString> Certificates::key_of(Record& record, const std::vector<std::string>& names) {
  auto& p = record.pending;
  const bool is_same = !p.order_url.empty() && p.names == names;
  if (is_same && !p.key.empty())
    return SecretString(p.key.begin(), p.key.end());
  if (is_same && record.facts.memory)
    if (auto key = m_files.read_key(record))
      return key;
  p = {.names = names};
  auto key = crypto::make_certificate_key();
  if (record.facts.memory)
    TRY(m_files.write_key(record, key));
  else
    p.key = std::string(key);
  return key;
}

// For the engine's user alone, in memory, while there is an order: what the site's secret set has
// as tls/dns, else what the host has for this program. "" : the program needs none, or says so.
std::string Certificates::dns_secret_of(const Record& record) const {
  const auto site = SiteName::parse(record.site);
  const std::string copy = cat(m_host.paths.tls(), "/", record.id, ".dns");
  for (const auto& from : {site ? m_host.paths.secrets_of(*site) + "/tls/dns" : std::string(),
           cat(m_host.paths.etc(), "/dns/", record.facts.dns)}) {
    const auto text = from.empty() ? fail(Code::not_found, "") : m_host.disk.read(from, 64 * 1024);
    if (text &&
        m_host.disk.write(
            copy, *text, 0400, os::owner_of(m_host.paths, os::k_acme_user, os::k_acme_user)))
      return copy;
  }
  return {};
}

OrderRequest Certificates::request_of(const Record& record, const std::string& csr) const {
  const auto& f = record.facts;
  OrderRequest r{.csr = csr, .names = record.pending.names, .webroot = m_host.paths.acme()};
  if (f.challenge == "dns-01") {
    for (const auto& top : {m_host.paths.admin_hooks(), m_host.paths.shipped_hooks()})
      if (const std::string program = cat(top, "/dns/", f.dns);
          r.dns.empty() && os::is_program(program))
        r.dns = program;
    r.dns_secret = dns_secret_of(record);
  }
  r.profile = f.no_profile ? "" : f.profile;
  r.order_url = record.pending.order_url;
  // Of this host's own account alone.
  if (record.served() && !f.no_replaces && f.by.empty() && f.not_after_ms > now())
    r.replaces = crypto::first_certificate(record.chain);
  return r;
}

// The same order again at once, without what the CA did not take; each once.
Answer<Issued> Certificates::ask(Record& record) {
  auto& f = record.facts;
  bool registered = false;
  for (int tries = 0;; ++tries) {
    const auto key = key_of(record, record.pending.names);
    const auto csr = key ? crypto::make_certificate_request(*key, record.pending.names)
                         : std::unexpected(key.error());
    if (!csr)
      return std::unexpected(Problem{.type = "local", .detail = csr.error().message});
    save(record); // the key, before a CA certifies it
    const auto request = request_of(record, *csr);
    if (f.challenge == "dns-01" && request.dns.empty())
      return std::unexpected(Problem{
          .type = "local", .detail = cat("there is no hooks/dns/", f.dns, " on this host")});
    auto answer = m_acme.order(request);
    if (!request.dns_secret.empty())
      (void)m_host.disk.remove(request.dns_secret);
    if (answer || tries >= k_most_tries)
      return answer;
    const Problem& problem = answer.error();
    switch (next_of(problem)) {
    case Next::without_replaces:
      if (std::exchange(f.no_replaces, true))
        return answer;
      break;
    case Next::without_profile:
      if (std::exchange(f.no_profile, true))
        return answer;
      log::warn(cat("certificate '", record.id, "': the CA has no profile '", f.profile,
          "': it is ordered without one"));
      break;
    case Next::register_again: {
      if (std::exchange(registered, true))
        return answer;
      const auto account = m_acme.account(problem.type == "accountDoesNotExist" ? "ensure" : "new");
      if (!account)
        return std::unexpected(account.error());
      record.pending.order_url.clear(); // it was the other account's
      log::info(cat("tls: account ", account->url));
      break;
    }
    default: return answer;
    }
  }
}

void Certificates::order(Record record, const std::vector<std::string>& names) {
  auto& f = record.facts;
  const bool is_boot = f.memory && record.served() && !m_files.exists(record);
  f.memory = wanted_of(record.id).memory;
  if (!m_host.parts.takes(record.site))
    return wait(record,
        "the site's NGINX text takes no certificate: deploy it once more, and let a template of its own include SITE.ssl_cert.include");
  const auto orders = m_host.store.certificate_orders(now() - 8 * k_day_ms);
  if (const auto over = over_budget(orders.value_or(std::vector<store::CertificateOrder>{}),
          record.id, names, is_exempt(record), now())) {
    record.state = State::backing_off;
    f.problem = over->why;
    f.problem_type = "budget";
    record.next_ms = over->until_ms;
    return save(record);
  }
  if (f.shared && !may_order(record))
    return;
  if (record.pending.names != names)
    record.pending = {.names = names};
  const auto seq = m_host.store.begin_certificate_order({0, record.id, names, now(), ""});
  if (!seq)
    return log::error(cat("certificate '", record.id, "': ", seq.error().message));
  record.state = State::ordering;
  record.next_ms = now();
  auto answer = ask(record);
  const std::string outcome = answer         ? (is_boot ? "boot" : "issued")
      : answer.error().type == "interrupted" ? "interrupted"
                                             : "failed";
  (void)m_host.store.end_certificate_order(*seq, outcome);
  if (!answer)
    return failed(record, answer.error());
  for (const auto& warning : answer->warnings)
    log::warn(cat("certificate '", record.id, "': ", warning));
  record.pending.chain = answer->chain.substr(0, crypto::k_max_chain + 1);
  record.pending.order_url = answer->order_url;
  record.pending.profile = answer->profile;
  f.unshared = f.shared;
  f.renew_ms = answer->ari ? answer->ari->selected_ms : 0;
  f.ari_ms = answer->ari ? now() +
          std::clamp<int64_t>(
              static_cast<int64_t>(std::min<uint64_t>(answer->ari->retry_after, 86'400)) * 1'000,
              k_day_ms / 24, k_day_ms / 2)
                         : now() + k_day_ms / 2;
  record.state = State::verifying;
  save(record);
  finish(std::move(record));
}

// Those that the CA names, on this day. The canonical one is never left out.
void Certificates::note_bad_names(Record& record, const Problem& problem) const {
  std::set<std::string> named;
  if (!problem.identifier.empty())
    named.insert(problem.identifier);
  for (const auto& part : problem.parts)
    if (!part.identifier.empty())
      named.insert(part.identifier);
  for (const auto& name : named) {
    if (!is_one_of(name, record.pending.names))
      continue;
    auto& bad = record.facts.bad[name];
    bad.ours = false;
    bad.why = problem.detail;
    if (const int64_t today = now() / k_day_ms; !std::ranges::count(bad.days, today))
      bad.days.push_back(today);
    if (bad.days.size() > k_bad_days)
      bad.days.erase(bad.days.begin());
  }
}

void Certificates::failed(Record& record, const Problem& problem) {
  auto& f = record.facts;
  if (problem.type == "interrupted") { // the daemon ends: the next one goes on
    record.state = State::ordering;
    record.next_ms = now();
    return save(record);
  }
  note_bad_names(record, problem);
  const Next next = next_of(problem);
  record.pending.order_url = next == Next::new_order ? "" : problem.order_url;
  if (record.pending.order_url.empty())
    record.pending = {};
  const auto remedy = remedy_of(problem);
  note_failure(record,
      cat(problem.detail, remedy.empty() ? "" : ": ", remedy, clocks(problem, now())),
      problem.type);
  tell_failure(record);
  f.link = problem.link;
  const bool person = next == Next::attention || next == Next::without_profile ||
      next == Next::without_replaces || next == Next::register_again;
  record.state = person ? State::attention : State::backing_off;
  const int64_t delay = delay_ms(person ? Next::attention : next, f.failures, record.id);
  record.next_ms = now() + delay;
  if (problem.retry_ms && *problem.retry_ms > now())
    record.next_ms = *problem.retry_ms;
  log::warn(cat("certificate '", record.id, "': ", f.problem, f.link.empty() ? "" : " ", f.link,
      "; the next try is at ", rfc3339(record.next_ms / 1'000)));
  save(record);
}

} // namespace chillbox::tls
