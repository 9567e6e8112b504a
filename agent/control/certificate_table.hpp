// The tables of control/certificate.hpp, for messages.cpp.
#pragma once

#include "control/certificate.hpp"
#include "control/members.hpp"

namespace chillbox::control {

constexpr auto table(const CertificateProbe*) {
  using P = CertificateProbe;
  return message("certificate_probe", "What the host got when it asked itself for a challenge.",
      Member{"name", &P::name, "a host name"},
      Member{"address", &P::address, "\"loopback\", or one that DNS gives, \"\": DNS itself"},
      Member{"good", &P::good, ""}, Member{"text", &P::text, "what was answered"},
      Member{"time_ms", &P::time_ms, ""});
}

constexpr auto table(const PlainName*) {
  return message("plain_name", "A host name that answers on http only.",
      Member{"name", &PlainName::name, ""}, Member{"why", &PlainName::why, ""});
}

constexpr auto table(const Certificate*) {
  using C = Certificate;
  return message("certificate", "The TLS certificate of a site, or of the host's own name.",
      Member{"id", &C::id, "SITE, SITE.wildcard or _host"},
      Member{"site", &C::site, "\"_host\": the host's own name"}, Member{"state", &C::state, ""},
      Member{"alert", &C::alert,
          "failing with less than 1/3 of its life left: warning, 1/6: error; expired"},
      Member{"mode", &C::mode, "of \"tls\" in the site file"}, Member{"key", &C::key, ""},
      Member{"challenge", &C::challenge, ""}, Member{"profile", &C::profile, "of the CA"},
      Member{"engine", &C::engine, "the program that speaks to the CA"},
      Member{"ca", &C::ca, "URL of its directory"},
      Member{"names", &C::names, "that the served certificate covers"},
      Member{"plain", &C::plain, "names of the site that it does not cover"},
      Member{"not_before_ms", &C::not_before_ms, "0: none is served"},
      Member{"not_after_ms", &C::not_after_ms, "0: none is served"},
      Member{"issuer", &C::issuer, ""}, Member{"sha256", &C::sha256, "of the certificate"},
      Member{"by_fleet", &C::by_fleet, "one host of the fleet orders it for the others"},
      Member{"issued_by", &C::issued_by, "the host of the fleet that ordered it, \"\": this one"},
      Member{"next_ms", &C::next_ms, "the next attempt or renewal, 0: none is planned"},
      Member{"failing_ms", &C::failing_ms, "since when nothing has worked, 0: it works"},
      Member{"failures", &C::failures, "in a row"},
      Member{"problem", &C::problem, "what went wrong the last time, and what to do"},
      Member{"link", &C::link, "where the CA explains the problem"},
      Member{"explanation", &C::explanation, "where the CA says why it wants a renewal"},
      Member{"probes", &C::probes, "of the last round"});
}

constexpr auto table(const CertificateList*) {
  return message(
      "certificate_list", "", Member{"certificates", &CertificateList::certificates, ""});
}

constexpr auto table(const CertificateAnswer*) {
  return message(
      "certificate_answer", "", Member{"certificate", &CertificateAnswer::certificate, ""});
}

constexpr auto table(const CertificateCheck*) {
  using C = CertificateCheck;
  return message("certificate_check", "Whether a CA would reach this host. None was asked.",
      Member{"site", &C::site, ""}, Member{"ready", &C::ready, ""},
      Member{"probes", &C::probes, ""});
}

constexpr auto table(const CertificateRenewal*) {
  using R = CertificateRenewal;
  return message("certificate_renewal", "", Member{"certificate", &R::certificate, ""},
      Member{"staging", &R::staging, "a trial: nothing was installed"},
      Member{"text", &R::text, "of a trial: what the CA issued"});
}

constexpr auto table(const AcmeAccount*) {
  using A = AcmeAccount;
  return message("acme_account", "This host's account at the CA.", Member{"ca", &A::ca, "URL"},
      Member{"engine", &A::engine, ""}, Member{"url", &A::url, "\"\": none yet"},
      Member{"status", &A::status, ""},
      Member{"thumbprint", &A::thumbprint, "of its key, for stateless challenges"},
      Member{"contact", &A::contact, ""});
}

} // namespace chillbox::control
