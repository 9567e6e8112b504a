// Verbs of certificates: what they are, whether a CA would reach this host, and orders out of turn.
#include "base/text.hpp"
#include "daemon/control_verbs.hpp"

#include <algorithm>

namespace chillbox::daemon {
namespace {

using control::Certificate;

// the change itself is an event; so late a caller who left is seen
constexpr os::Millis k_look_again{500};

// A site's name, or that of the host's own certificate.
Result<std::string> owner_of(const Call& call) {
  auto owner = TRY(required(call.args.site, "site"));
  if (owner != control::k_host_certificate)
    TRY(SiteName::parse(owner));
  return owner;
}

const CertificateRequests& certificate_requests(const Call& call) {
  return call.state.monitor.certificates;
}

Result<std::vector<Certificate>> certificates_of(const Call& call, const std::string& owner) {
  auto all = TRY(certificate_requests(call).all());
  std::erase_if(all, [&](const Certificate& one) { return one.site != owner; });
  if (all.empty())
    return fail(Code::not_found,
        owner == control::k_host_certificate
            ? "this host has no name of its own: set host.server_name in chillboxd.toml"
            : cat("no live site '", owner, "' on this host"));
  return all;
}

Result<control::CertificateList> tls(const Call& call) {
  control::CertificateList list;
  list.certificates = call.args.site ? TRY(certificates_of(call, TRY(owner_of(call))))
                                     : TRY(certificate_requests(call).all());
  return list;
}

Result<control::CertificateCheck> tls_check(const Call& call) {
  const auto owner = TRY(owner_of(call));
  (void)TRY(certificates_of(call, owner));
  return certificate_requests(call).check(owner);
}

// One certificate of a site is its first; a second one has its wildcards.
Result<Certificate> await_order(const Call& call, const Certificate& before) {
  for (;;) {
    const uint64_t seen = call.state.changes.count();
    const auto now = TRY(certificates_of(call, before.site));
    const auto same = std::ranges::find(now, before.id, &Certificate::id);
    if (same == now.end())
      return fail(Code::not_found, cat(before.site, ": its certificate was removed meanwhile"));
    if (auto end = control::end_of_order(before, *same))
      return std::move(*end);
    TRY(may_wait(call, "; the order continues: `chillboxctl tls` shows it"));
    call.state.changes.wait(seen, k_look_again);
  }
}

Result<control::CertificateRenewal> tls_renew(const Call& call) {
  const auto owner = TRY(owner_of(call));
  const auto before = TRY(certificates_of(call, owner)).front();
  const bool staging = call.args.staging.value_or(false);
  auto renewal = TRY(certificate_requests(call).renew(owner, staging));
  if (!staging) // who loses the connection knows what there was
    TRY(send_event(call, control::to_json(before)));
  if (!staging && call.args.wait.value_or(true))
    renewal.certificate = TRY(await_order(call, before));
  return renewal;
}

Result<control::CertificateAnswer> tls_revoke(const Call& call) {
  const auto owner = TRY(owner_of(call));
  (void)TRY(certificates_of(call, owner));
  auto certificate = TRY(certificate_requests(call).revoke(owner));
  return control::CertificateAnswer{std::move(certificate)};
}

Result<control::AcmeAccount> tls_account(const Call& call) {
  return certificate_requests(call).account();
}

constexpr ControlVerb k_tls_verbs[] = {
    {"tls", answer<tls>},
    {"tls_check", answer<tls_check>},
    {"tls_renew", answer<tls_renew>, true},
    {"tls_revoke", answer<tls_revoke>, true},
    {"tls_account", answer<tls_account>},
};

} // namespace

std::span<const ControlVerb> tls_verbs() {
  return k_tls_verbs;
}

} // namespace chillbox::daemon
