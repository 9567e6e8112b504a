// tls, tls check, tls renew, tls revoke, tls account: certificates, and whether a CA would reach
// this host.
#include "cli/core/answer_table.hpp"
#include "cli/core/certificate_text.hpp"
#include "cli/core/duration.hpp"
#include "cli/core/interrupt.hpp"
#include "cli/core/options.hpp"
#include "cli/core/prompt.hpp"

#include "base/text.hpp"
#include "os/clock.hpp"

namespace chillbox::cli {
namespace {

using control::Certificate;
using control::CertificateProbe;

constexpr size_t k_tls_width = 80, k_label = 12;
constexpr std::chrono::milliseconds k_check_patience{180'000}, k_order_patience{-1};

constexpr Option k_owner{
    "SITE", ArgKind::certificate, "", "name of the site; _host: this host's own name"};
constexpr std::array k_tls_options{Option{
    "[SITE]", ArgKind::certificate, "", "only this site, in full; _host: this host's own name"}};
constexpr std::array k_tls_check_options{k_owner};
constexpr std::array k_tls_renew_options{
    k_owner,
    Option{"--staging", ArgKind::flag, "",
        "a trial at the CA's staging service: nothing of it is installed"},
    Option{"--no-wait", ArgKind::flag, "", "do not wait for the order's end"},
};
constexpr std::array k_tls_revoke_options{
    k_owner, Option{"-y,--yes", ArgKind::flag, "", "do not ask"}};

int64_t now_ms() {
  return os::real_clock().wall_ms();
}

void print_folded(Terminal& terminal, const std::string& text, size_t indent) {
  for (const auto& line : fold(printable(text, 4000), k_tls_width, indent))
    terminal.print(line);
}

void fact(Terminal& terminal, std::string_view label, const std::string& text) {
  if (text.empty())
    return;
  std::string margin = cat(label, std::string(k_label - label.size(), ' '));
  for (const auto& line : fold(printable(text, 4000), k_tls_width - k_label, 0)) {
    terminal.print(cat(margin, line));
    margin.assign(k_label, ' ');
  }
}

// "renewal 2026-12-27 03:14:00; the CA says why: URL"
std::string next_text(const Certificate& c) {
  return c.next_ms == 0
      ? ""
      : cat(format_time(c.next_ms),
            c.explanation.empty() ? "" : cat("; the CA says why: ", c.explanation));
}

std::string order_text(const Certificate& c) {
  std::vector<std::string> parts;
  for (const auto& [word, value] :
      {std::pair{"mode ", &c.mode}, std::pair{"key on ", &c.key}, std::pair{"by ", &c.challenge},
          std::pair{"profile ", &c.profile}, std::pair{"engine ", &c.engine}})
    if (!value->empty())
      parts.push_back(cat(word, *value));
  return join(parts, ", ");
}

std::string issued_text(const Certificate& c) {
  if (c.not_after_ms == 0 || (!c.by_fleet && c.issued_by.empty()))
    return {};
  return cat("by ", c.issued_by.empty() ? "this host" : c.issued_by, " for the fleet");
}

std::string probe_text(const CertificateProbe& probe) {
  return cat(probe.good ? "ok      " : "FAILED  ", probe.name,
      probe.address.empty() ? "" : cat(" at ", probe.address), ": ", probe.text);
}

void print_certificate(Terminal& terminal, const Certificate& c) {
  const int64_t now = now_ms();
  terminal.print(cat(terminal.out(Style::bold, printable(c.id, 80)), "  ",
      terminal.out(certificate_style(c), state_text(c, now)), "  ", validity_text(c, now)));
  fact(terminal, "names", join(c.names, ", "));
  fact(terminal, "next", next_text(c));
  fact(terminal, "issuer", c.issuer);
  fact(terminal, "sha256", c.sha256);
  fact(terminal, "issued", issued_text(c));
  fact(terminal, "ordered", order_text(c));
  fact(terminal, "ca", c.ca);
  for (const auto& probe : c.probes)
    fact(terminal, "probe", probe_text(probe));
  for (const auto& plain : c.plain)
    fact(terminal, "http only", cat(plain.name, ": ", plain.why));
  if (const auto trouble = trouble_text(c, now); !trouble.empty())
    print_folded(terminal, trouble, 2);
}

void print_all(Terminal& terminal, const std::vector<Certificate>& certificates) {
  const int64_t now = now_ms();
  print_table(terminal, certificate_table(certificates, now),
      certificates.empty() ? "no certificate: no site is live"
                           : "no certificate: [tls] and the site files want none");
  for (const auto& c : certificates) {
    if (const auto trouble = trouble_text(c, now); !trouble.empty())
      print_folded(terminal, trouble, 2);
    for (const auto& text : plain_texts(c))
      print_folded(terminal, text, 2);
  }
}

Result<void> run_tls(Call& call) {
  Question question{.verb = "tls"};
  if (call.args.has("SITE"))
    question.args.site = call.args.text("SITE");
  const auto list = TRY(ask_or_print<control::CertificateList>(call, question));
  if (!list)
    return {};
  if (!call.args.has("SITE"))
    print_all(call.terminal, list->certificates);
  else
    for (const auto& certificate : list->certificates)
      print_certificate(call.terminal, certificate);
  return {};
}

// The first that failed says most: the others often fail for the same reason.
Result<void> run_check(Call& call) {
  const std::string owner = call.args.text("SITE");
  const std::string text = TRY(
      ask(call.paths, {.verb = "tls_check", .args = {.site = owner}, .timeout = k_check_patience},
          &call.error_data));
  const auto check = TRY(control::read_answer<control::CertificateCheck>(text));
  if (call.terminal.json())
    call.terminal.print(text);
  else
    for (const auto& probe : check.probes)
      print_folded(call.terminal, probe_text(probe), 8);
  if (check.ready) {
    call.terminal.print_status(cat("ready: a CA reaches this host under the names of ", owner));
    return {};
  }
  call.error_printed = call.terminal.json();
  const auto bad = std::ranges::find(check.probes, false, &CertificateProbe::good);
  return fail(Code::preflight,
      cat(owner, ": not ready, no CA was asked",
          bad == check.probes.end() ? "" : cat(": ", bad->name, ": ", bad->text)));
}

// chillboxd stopped or died: the order is the next one's, of which `tls` tells.
Result<Certificate> follow_order(Call& call, const Certificate& before, const Error& lost) {
  const auto question = [&] {
    return std::optional(Question{.verb = "tls", .args = {.site = before.site}});
  };
  for (;;) {
    const auto list = TRY(control::read_answer<control::CertificateList>(
        TRY(ask_next_one(call.paths, question, &call.error_data, lost))));
    const auto now = std::ranges::find(list.certificates, before.id, &Certificate::id);
    if (now == list.certificates.end())
      return fail(Code::not_found, cat(before.site, ": its certificate was removed meanwhile"));
    if (auto end = control::end_of_order(before, *now))
      return std::move(*end);
  }
}

Result<control::CertificateRenewal> renewal_of(Call& call, Question question) {
  std::optional<Certificate> before;
  question.on_event = [&](const Json& json) {
    if (auto certificate = control::from_json<Certificate>(json))
      before = std::move(*certificate);
  };
  const auto text = ask(call.paths, question, &call.error_data);
  if (text)
    return control::read_answer<control::CertificateRenewal>(*text);
  if (text.error().code != Code::unreachable || !before)
    return std::unexpected(text.error());
  return control::CertificateRenewal{
      .certificate = TRY(follow_order(call, *before, text.error())), .text = {}};
}

Result<void> run_renew(Call& call) {
  const std::string owner = call.args.text("SITE");
  const bool staging = call.args.has("staging"), wait = !call.args.has("no-wait");
  const Question question{.verb = "tls_renew",
      .args = {.site = owner, .wait = wait, .staging = staging},
      .timeout = k_order_patience};
  print_on_interrupt("interrupted: the order continues; `chillboxctl tls` shows it");
  const auto renewal = renewal_of(call, question);
  print_on_interrupt("");
  if (!renewal)
    return std::unexpected(renewal.error());
  if (call.terminal.json())
    call.terminal.print(control::answer_text("tls_renew", *renewal));
  else if (staging)
    print_folded(call.terminal,
        cat("the trial worked, and nothing was installed: ", renewal->text.value_or("")), 2);
  else if (wait)
    print_certificate(call.terminal, renewal->certificate);
  else
    call.terminal.print(cat("ordered: chillboxctl tls ", owner));
  return {};
}

Result<void> run_revoke(Call& call) {
  const std::string owner = call.args.text("SITE");
  if (!call.args.has("yes")) {
    const std::string typed =
        TRY(ask_line(cat("revoke the certificate of '", owner,
                         "': it cannot be used again, and a new one is ordered. Type the name to "
                         "continue"),
            "asking before a certificate is revoked", "use --yes"));
    if (trim(typed) != owner)
      return fail(Code::failure,
          cat("'", printable(typed, 40), "' is not '", owner, "': nothing was revoked"));
  }
  const auto answer = TRY(ask_or_print<control::CertificateAnswer>(
      call, {.verb = "tls_revoke", .args = {.site = owner}, .timeout = k_check_patience}));
  if (answer)
    call.terminal.print(cat("revoked: the certificate of '", owner,
        "'; a new one with a new key is ordered: chillboxctl tls ", owner));
  return {};
}

Result<void> run_account(Call& call) {
  const auto account = TRY(ask_or_print<control::AcmeAccount>(
      call, {.verb = "tls_account", .timeout = k_check_patience}));
  if (!account)
    return {};
  if (account->ca.empty()) {
    call.terminal.print("tls.acme is off in chillboxd.toml: this host orders no certificates");
    return {};
  }
  fact(call.terminal, "ca", account->ca);
  fact(call.terminal, "engine", account->engine);
  fact(call.terminal, "account",
      account->url.empty() ? "none yet: the first order makes it"
                           : cat(account->url, ", ", account->status));
  fact(call.terminal, "thumbprint", account->thumbprint);
  fact(call.terminal, "contact", join(account->contact, ", "));
  return {};
}

} // namespace

extern constinit const Verb k_tls{"tls", Group::show, Where::host,
    "show the certificates, until when they are valid and what is next", k_tls_options, run_tls};
extern constinit const Verb k_tls_check{"tls check", Group::show, Where::host,
    "ask this host as a CA would, without asking one", k_tls_check_options, run_check};
extern constinit const Verb k_tls_account{
    "tls account", Group::show, Where::host, "show this host's account at the CA", {}, run_account};
extern constinit const Verb k_tls_renew{"tls renew", Group::act, Where::host,
    "order a new certificate now", k_tls_renew_options, run_renew};
extern constinit const Verb k_tls_revoke{"tls revoke", Group::act, Where::host,
    "revoke a certificate whose key was stolen, and order a new one", k_tls_revoke_options,
    run_revoke};

} // namespace chillbox::cli
