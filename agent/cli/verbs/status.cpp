// status, sites: show the host and its sites.
#include "cli/core/answer_table.hpp"
#include "cli/core/answers.hpp"
#include "cli/core/certificate_text.hpp"
#include "cli/core/duration.hpp"
#include "cli/core/options.hpp"
#include "cli/core/table.hpp"
#include "cli/core/terminal.hpp"

#include "base/text.hpp"
#include "control/full_status.hpp"
#include "os/clock.hpp"

namespace chillbox::cli {
namespace {

using control::SiteState;
using control::SiteStatus;

Style style_of(SiteState state) {
  if (state == SiteState::live)
    return Style::good;
  return state == SiteState::degraded ? Style::bad : Style::warn;
}

// First of all: who gets no page, and why.
void print_down(
    Terminal& terminal, const std::string& nginx, const std::vector<SiteStatus>& sites) {
  if (!nginx.empty()) // which is why no site is served
    return terminal.print(terminal.out(Style::bad, printable(nginx, 500)));
  for (const SiteStatus& site : sites)
    if (!site.down.empty())
      terminal.print(terminal.out(
          Style::bad, cat(site.site, " is down for visitors: ", printable(site.down, 700))));
}

Result<void> status_outcome(const control::Status& status) {
  if (!status.host.nginx.empty())
    return fail(Code::failure, status.host.nginx);
  std::vector<std::string> down, expired;
  for (const SiteStatus& site : status.sites)
    if (!site.down.empty())
      down.push_back(site.site);
  for (const auto& certificate : status.certificates)
    if (certificate.alert == control::AlertLevel::expired)
      expired.push_back(certificate.site);
  if (!down.empty())
    return fail(Code::failure, cat("down for visitors: ", join(down, ", ")));
  return expired.empty() ? Result<void>{}
                         : fail(Code::failure, cat("certificate expired: ", join(expired, ", ")));
}

// Those that need somebody soon are above all else, the others below the table.
void print_certificate_troubles(
    Terminal& terminal, const std::vector<control::Certificate>& certificates, bool urgent) {
  for (const auto& c : certificates) {
    const auto text = trouble_text(c, os::real_clock().wall_ms());
    if (!text.empty() && urgent == (certificate_style(c) == Style::bad))
      terminal.print(terminal.out(certificate_style(c), printable(text, 1500)));
    if (!urgent)
      for (const auto& plain : plain_texts(c))
        terminal.print(printable(plain, 700));
  }
}

void print_host(Terminal& terminal, const control::HostStatus& host) {
  const std::string name = host.server_name.empty() || host.server_name == "_"
      ? ""
      : cat(" on ", printable(host.server_name));
  terminal.print(
      cat(terminal.out(Style::bold, cat("chillboxd ", printable(host.version, 40), name)), "  ",
          host.sealed ? terminal.out(Style::warn, "locked") : terminal.out(Style::good, "unlocked"),
          "  up ", format_duration(std::chrono::seconds(host.uptime_s))));
  if (!host.recipient.empty())
    terminal.print(cat("recipient  ", printable(host.recipient, 120)));
  if (host.drained)
    terminal.print(cat(terminal.out(Style::warn, "drained"),
        "    load balancers send visitors elsewhere: `chillboxctl undrain` ends that"));
  if (host.running > 0)
    terminal.print(cat("jobs       ", host.running, " running"));
  if (host.waiting_unlock > 0)
    terminal.print(cat("waiting    ", host.waiting_unlock,
        host.waiting_unlock == 1 ? " job waits" : " jobs wait", " for `chillboxctl unlock`"));
  if (host.refused_webhooks + host.refused_uploads > 0)
    terminal.print(cat("refused    ", host.refused_webhooks,
        host.refused_webhooks == 1 ? " webhook, " : " webhooks, ", host.refused_uploads,
        host.refused_uploads == 1 ? " upload" : " uploads", " since chillboxd started"));
  if (host.engine)
    if (const auto trouble = control::engine_trouble(*host.engine, os::real_clock().wall_ms());
        !trouble.empty())
      terminal.print(cat(terminal.out(Style::warn, "fleet"), "      ", printable(trouble, 500)));
  for (const std::string& warning : host.warnings)
    terminal.print(cat(terminal.out(Style::warn, "warning"), "    ", printable(warning, 500)));
}

void print_waiting(Terminal& terminal, const std::vector<SiteStatus>& sites) {
  for (const SiteStatus& site : sites) {
    if (!site.warning.empty())
      terminal.print(
          cat(terminal.out(Style::warn, site.site), ": warning: ", printable(site.warning, 700)));
    if (!site.waiting.empty() && site.down.find(site.waiting) == std::string::npos) // said above
      terminal.print(
          cat(terminal.out(style_of(site.state), site.site), ": ", printable(site.waiting, 700)));
    if (site.hold)
      terminal.print(
          cat(terminal.out(Style::warn, site.site), ": ", printable(hold_text(*site.hold), 700)));
  }
}

std::string services_of(const SiteStatus& site) {
  std::string out;
  for (const auto& service : site.services)
    out += cat(out.empty() ? "" : " ", service.name, ":", name(service.state));
  return out;
}

// Three times: taken, stored, proven. The last is the one that counts.
void print_backups(Terminal& terminal, const std::vector<control::BackupState>& backups) {
  const int64_t now = os::real_clock().wall_ms();
  const auto when = [&](int64_t ms) {
    return ms == 0 ? std::string("never") : format_when(ms, now);
  };
  Table table{{"BACKUP", "TAKEN", "STORED", "PROVEN", "NEXT"}, {}};
  for (const auto& b : backups)
    table.rows.push_back(
        {b.site.str(), when(b.taken_ms), when(b.stored_ms), when(b.proven_ms), when(b.next_ms)});
  if (table.rows.empty())
    return;
  terminal.print("");
  print_table(terminal, table, "");
  for (const auto& b : backups)
    if (!b.stale.empty())
      terminal.print(cat("backup of ", b.site.str(), ": ", printable(b.stale, 500)));
}

void print_status(Terminal& terminal, const control::FullStatus& status) {
  print_down(terminal, status.host.nginx, status.sites);
  print_certificate_troubles(terminal, status.certificates, true);
  print_host(terminal, status.host);
  Table table{{"SITE", "STATE", "VERSION", "RELEASE", "LIVE SINCE", "SERVICES"}, {}};
  for (const SiteStatus& site : status.sites)
    table.rows.push_back({site.site, std::string(name(site.state)), site.version, site.release,
        format_when(site.live_ms, os::real_clock().wall_ms()), services_of(site)});
  if (!table.rows.empty())
    terminal.print("");
  print_table(terminal, table, "no site yet");
  const Table certificates = certificate_table(status.certificates, os::real_clock().wall_ms());
  if (!certificates.rows.empty()) {
    terminal.print("");
    print_table(terminal, certificates, "");
  }
  print_backups(terminal, status.backups);
  print_waiting(terminal, status.sites);
  print_certificate_troubles(terminal, status.certificates, false);
}

Result<void> show_status(Call& call) {
  const std::string answer = TRY(ask(call.paths, {.verb = "status"}));
  const auto status = TRY(control::read_answer<control::FullStatus>(answer));
  if (call.terminal.json())
    call.terminal.print(answer);
  else
    print_status(call.terminal, status);
  call.error_printed = true;
  return status_outcome(status);
}

Result<void> run_sites(Call& call) {
  const auto list = TRY(ask_or_print<control::SiteList>(call, {.verb = "sites"}));
  if (!list)
    return {};
  Table table{{"SITE", "STATE", "VERSION", "SERVICE", "KIND", "SLOT", "STATE"}, {}};
  for (const SiteStatus& site : list->sites) {
    const std::string state(name(site.state));
    if (site.services.empty())
      table.rows.push_back({site.site, state, site.version});
    for (const auto& service : site.services)
      table.rows.push_back({site.site, state, site.version, service.name, service.lang,
          std::string(letter(service.slot)), std::string(name(service.state))});
  }
  print_table(call.terminal, table, "no site yet");
  print_waiting(call.terminal, list->sites);
  return {};
}

} // namespace

extern constinit const Verb k_status{
    "status", Group::show, Where::host, "show the host and its sites", {}, show_status};
extern constinit const Verb k_sites{
    "sites", Group::show, Where::host, "show the sites and their services", {}, run_sites};

} // namespace chillbox::cli
