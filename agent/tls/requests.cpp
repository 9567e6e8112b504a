// What operators ask.
#include "base/log.hpp"
#include "base/text.hpp"
#include "base/time.hpp"
#include "crypto/certificate.hpp"
#include "tls/certificates.hpp"

#include <algorithm>

namespace chillbox::tls {
namespace {

constexpr std::string_view k_staging_ca = "Let's Encrypt's staging service";

std::string owner_of(const Record& record) {
  return record.is_host() ? record.id : record.site;
}

Error error_of(const Problem& problem) {
  const auto remedy = remedy_of(problem);
  const Code code =
      problem.type == "network" || problem.type == "deadline" ? Code::unreachable : Code::failure;
  return {code, cat(problem.detail, remedy.empty() ? "" : ": ", remedy)};
}

} // namespace

control::Certificate Certificates::describe(const Record& r) const {
  const auto& f = r.facts;
  control::Certificate c;
  c.id = r.id;
  c.site = owner_of(r);
  c.state = r.state;
  c.alert = alert_of(r, now());
  c.mode = f.mode;
  c.key = f.memory ? "memory" : "disk";
  c.challenge = f.challenge;
  c.profile = f.no_profile ? "" : f.profile;
  c.engine = m_host.config.tls.engine;
  c.ca = m_host.config.tls.directory();
  if (r.served()) {
    c.names = f.names;
    c.not_before_ms = f.not_before_ms;
    c.not_after_ms = f.not_after_ms;
    c.issuer = f.issuer;
    c.sha256 = f.sha256;
  }
  for (const auto& name : r.wanted)
    if (std::ranges::none_of(c.names, [&](const auto& one) { return crypto::covers(one, name); })) {
      const auto why = f.plain.find(name);
      c.plain.push_back({name, why == f.plain.end() ? f.problem : why->second});
    }
  c.by_fleet = f.shared;
  c.issued_by = f.by;
  c.next_ms = r.next_ms;
  c.failing_ms = f.failing_ms;
  c.failures = f.failures;
  c.problem = f.problem;
  c.link = f.link;
  c.explanation = f.explanation;
  c.probes = f.probes;
  return c;
}

Result<std::vector<control::Certificate>> Certificates::all() {
  std::vector<control::Certificate> all;
  for (const auto& row : TRY(m_host.store.certificates()))
    all.push_back(describe(read_record(row)));
  return all;
}

// A site's own first, then that of its wildcards.
Result<std::vector<Record>> Certificates::records_of(const std::string& site) {
  std::vector<Record> records;
  for (const auto& row : TRY(m_host.store.certificates()))
    if (row.id == site || (!row.site.empty() && row.site == site))
      records.push_back(read_record(row));
  if (records.empty())
    return fail(Code::not_found, cat("'", site, "' has no certificate and needs none"));
  std::ranges::stable_sort(records, {}, [](const Record& r) { return r.id.size(); });
  return records;
}

Result<control::CertificateCheck> Certificates::check(const std::string& site) {
  control::CertificateCheck check{.site = site, .ready = true};
  for (const auto& record : TRY(records_of(site))) {
    if (record.facts.challenge != "http-01")
      continue; // the CA asks DNS for those
    std::vector<std::string> names;
    std::ranges::copy_if(record.wanted, std::back_inserter(names),
        [](const std::string& name) { return !name.starts_with("*."); });
    auto readiness = m_prober.check(names);
    for (const auto& name : readiness.names)
      check.ready = check.ready && name.verdict != Verdict::bad;
    std::ranges::move(readiness.probes, std::back_inserter(check.probes));
  }
  return check;
}

Result<control::CertificateRenewal> Certificates::renew(const std::string& site, bool staging) {
  const auto records = TRY(records_of(site));
  const Record& record = records.front();
  const auto& f = record.facts;
  if (f.mode == "provided")
    return fail(Code::preflight,
        cat(site,
            ": \"tls\" is \"provided\", so no CA is asked for it: put the new certificate "
            "into its secret set (`chillboxctl secrets push`, or `secrets pack` and "
            "`deploy`), or into /var/lib/chillbox/certs/",
            site, " and `chillboxctl reload`"));
  if (f.mode != "auto")
    return fail(
        Code::preflight, cat(site, ": \"tls\" is \"", f.mode, "\", so no CA is asked for it"));
  if (record.state == State::off)
    return fail(Code::preflight, cat(site, ": no CA is asked for it: ", f.problem));
  if (staging) {
    const std::lock_guard work(m_work); // one order at a time
    const auto key = crypto::make_certificate_key();
    const auto csr = TRY(crypto::make_certificate_request(key, record.wanted));
    OrderRequest request = request_of(record, csr);
    request.names = record.wanted;
    request.replaces.clear();
    request.order_url.clear();
    auto answer = m_acme.order(request, true);
    if (!answer && answer.error().type == "accountDoesNotExist" && m_acme.account("ensure", true))
      answer = m_acme.order(request, true);
    if (!request.dns_secret.empty())
      (void)m_host.disk.remove(request.dns_secret);
    if (!answer)
      return std::unexpected(error_of(answer.error()));
    const auto chain = TRY(crypto::check_chain(answer->chain, key, record.wanted, now()));
    return control::CertificateRenewal{.certificate = describe(record),
        .staging = true,
        .text = cat(k_staging_ca, " issued a certificate of ", chain.leaf_facts.issuer, " for ",
            join(chain.leaf_facts.names, " "), "; nothing of it is kept")};
  }
  const auto orders = TRY(m_host.store.certificate_orders(now() - 8 * k_day_ms));
  // As the order itself asks, whose names are sorted.
  auto names = record.wanted;
  std::ranges::sort(names);
  auto over = over_budget(orders, record.id, names, is_exempt(record), now());
  if (!over && f.problem_type == "rateLimited" && record.next_ms > now())
    over = Budget{record.next_ms, f.problem};
  if (over)
    return fail(Code::throttled,
        cat(site, ": not before ", rfc3339(over->until_ms / 1'000), ": ", over->why));
  const std::lock_guard lock(m_mutex);
  m_asked.push_back(site);
  m_wake.notify_all();
  return control::CertificateRenewal{.certificate = describe(record)};
}

// The key is the thief's from now on, too: the next order has another one.
Result<control::Certificate> Certificates::revoke(const std::string& site) {
  const std::lock_guard work(m_work);
  auto records = TRY(records_of(site));
  bool any = false;
  for (auto& record : records) {
    if (!record.served() || record.facts.mode != "auto")
      continue;
    any = true;
    if (!record.facts.by.empty())
      return fail(Code::preflight,
          cat(record.facts.by,
              " ordered it for the fleet, with its account at the CA: revoke it there"));
    if (const auto revoked = m_acme.revoke(crypto::first_certificate(record.chain)); !revoked)
      return std::unexpected(error_of(revoked.error()));
    record.pending = {};
    record.facts.no_replaces = true;
    record.facts.renew_ms = record.next_ms = now();
    save(record);
    log::warn(cat("certificate '", record.id, "' is revoked, and ordered again"));
  }
  if (!any && records.front().facts.mode == "provided")
    return fail(Code::preflight,
        cat(site,
            ": \"tls\" is \"provided\", so no CA was asked for it here: have it revoked where it "
            "was issued, and put another one with a new key into its secret set (`chillboxctl "
            "secrets push`)"));
  if (!any)
    return fail(Code::not_found, cat(site, ": no CA issued what is served"));
  const std::lock_guard lock(m_mutex);
  m_refresh = true;
  m_wake.notify_all();
  return describe(records.front());
}

Result<control::AcmeAccount> Certificates::account() {
  control::AcmeAccount account{.ca = m_host.config.tls.directory(),
      .engine = m_host.config.tls.engine,
      .contact = m_host.config.tls.contact};
  if (account.ca.empty())
    return account;
  const auto found = m_acme.account("show");
  if (!found && found.error().type == "accountDoesNotExist")
    return account;
  if (!found)
    return std::unexpected(error_of(found.error()));
  account.url = found->url;
  account.status = found->status;
  account.thumbprint = found->thumbprint;
  return account;
}

} // namespace chillbox::tls
