// status, sites: show the host and its sites.
#include "cli/core/daemon.hpp"
#include "cli/core/duration.hpp"
#include "cli/core/options.hpp"
#include "cli/core/reply.hpp"
#include "cli/core/table.hpp"
#include "cli/core/terminal.hpp"

#include "base/text.hpp"

namespace chillbox::cli {
namespace {

Style style_of(const std::string& state) {
  if (state == "live")
    return Style::good;
  return state == "degraded" ? Style::bad : Style::warn;
}

void print_host(Terminal& terminal, const HostView& host) {
  if (!host.nginx.empty())
    terminal.print(terminal.out(Style::bad, printable(host.nginx, 500)));
  const std::string name = host.server_name.empty() || host.server_name == "_"
      ? ""
      : cat(" on ", printable(host.server_name));
  terminal.print(
      cat(terminal.out(Style::bold, cat("chillboxd ", printable(host.version, 40), name)), "  ",
          host.sealed ? terminal.out(Style::warn, "locked") : terminal.out(Style::good, "unlocked"),
          "  up ", format_duration(std::chrono::seconds(host.uptime_s))));
  if (!host.recipient.empty())
    terminal.print(cat("recipient  ", printable(host.recipient, 120)));
  if (host.running > 0)
    terminal.print(cat("jobs       ", host.running, " running"));
  if (host.waiting_unlock > 0)
    terminal.print(cat("waiting    ", host.waiting_unlock,
        host.waiting_unlock == 1 ? " job waits" : " jobs wait", " for `chillboxctl unlock`"));
  if (host.refused_webhooks + host.refused_uploads > 0)
    terminal.print(cat("refused    ", host.refused_webhooks,
        host.refused_webhooks == 1 ? " webhook, " : " webhooks, ", host.refused_uploads,
        host.refused_uploads == 1 ? " upload" : " uploads", " since chillboxd started"));
  for (const std::string& warning : host.warnings)
    terminal.print(cat(terminal.out(Style::warn, "warning"), "    ", printable(warning, 500)));
}

void print_waiting(Terminal& terminal, const HostView& host) {
  for (const SiteView& site : host.sites)
    for (const std::string* text : {&site.waiting, &site.held})
      if (!text->empty())
        terminal.print(
            cat(terminal.out(text == &site.held ? Style::warn : style_of(site.state), site.site),
                ": ", printable(*text, 700)));
}

std::string services_of(const SiteView& site) {
  std::string out;
  for (const ServiceView& service : site.services)
    out += cat(out.empty() ? "" : " ", service.name, ":", service.state);
  return out;
}

void print_status(Terminal& terminal, const HostView& host) {
  print_host(terminal, host);
  Table table{{"SITE", "STATE", "VERSION", "RELEASE", "LIVE SINCE", "SERVICES"}, {}};
  for (const SiteView& site : host.sites)
    table.rows.push_back({site.site, site.state, site.version, site.release,
        format_time(site.live_ms), services_of(site)});
  if (!table.rows.empty())
    terminal.print("");
  print_table(terminal, table, "no site yet");
  print_waiting(terminal, host);
}

Result<void> run_status(Call& call) {
  const std::string answer = TRY(ask(call.paths, {.verb = "status"}));
  const HostView host = TRY(parse_status(answer));
  if (call.terminal.json())
    call.terminal.print(answer);
  else
    print_status(call.terminal, host);
  call.error_printed = true;
  return host.nginx.empty() ? Result<void>{} : fail(Code::failure, host.nginx);
}

Result<void> run_sites(Call& call) {
  const std::string answer = TRY(ask(call.paths, {.verb = "sites"}));
  if (call.terminal.json()) {
    call.terminal.print(answer);
    return {};
  }
  const HostView host = TRY(parse_status(answer));
  Table table{{"SITE", "STATE", "VERSION", "SERVICE", "KIND", "SLOT", "STATE"}, {}};
  for (const SiteView& site : host.sites) {
    if (site.services.empty())
      table.rows.push_back({site.site, site.state, site.version});
    for (const ServiceView& service : site.services)
      table.rows.push_back({site.site, site.state, site.version, service.name, service.lang,
          service.slot, service.state});
  }
  print_table(call.terminal, table, "no site yet");
  print_waiting(call.terminal, host);
  return {};
}

} // namespace

extern constinit const Verb k_status{
    "status", Group::show, Where::host, "show the host and its sites", {}, run_status};
extern constinit const Verb k_sites{
    "sites", Group::show, Where::host, "show the sites and their services", {}, run_sites};

} // namespace chillbox::cli
