// report: how the host and its sites did for a week, as one HTML file.
#include "cli/core/answer_table.hpp"
#include "cli/core/daemon.hpp"
#include "cli/core/duration.hpp"
#include "cli/core/secret_output.hpp"
#include "cli/core/terminal.hpp"
#include "cli/core/verb.hpp"
#include "cli/report/all_jobs.hpp"
#include "cli/report/report_html.hpp"

#include "base/text.hpp"
#include "control/certificate.hpp"
#include "control/metrics.hpp"
#include "os/clock.hpp"

#include <algorithm>

namespace chillbox::cli {
namespace {

constexpr std::array k_report_options{
    Option{"-o,--output", ArgKind::text, "FILE",
        "write it to FILE, which must not exist and is made for you alone; with -H on this machine"},
    Option{"--link", ArgKind::duration, "TIME",
        "print a link on the host's own name that shows it, to anyone who has the link, for so long"},
    Option{"--revoke", ArgKind::flag, "", "no link to the report opens it any more"},
};

Result<std::string> html_of(Call& call, const std::string& hours) {
  using control::read_answer;
  const auto answer = [&](std::string_view verb) {
    return ask(call.paths, {.verb = verb}, &call.error_data);
  };
  ReportFacts facts;
  facts.hours = TRY(read_answer<control::Hours>(hours));
  facts.now_ms = facts.hours.now_ms;
  facts.status = TRY(read_answer<control::FullStatus>(TRY(answer("status"))));
  facts.usage = TRY(read_answer<control::Usage>(TRY(answer("top"))));
  Period week;
  week.since_ms = facts.now_ms - k_report_hours * 3'600'000;
  facts.jobs = TRY(all_jobs(call, "", week));
  return report_html(facts);
}

// Its link is https, which needs a certificate of the host's own name, or a proxy in front.
bool has_certificate(const Call& call, int64_t now_ms) {
  const auto text =
      ask(call.paths, {.verb = "tls", .args = {.site = std::string(control::k_host_certificate)}});
  const auto list = text ? control::read_answer<control::CertificateList>(*text)
                         : Result<control::CertificateList>(std::unexpected(text.error()));
  return list && std::ranges::any_of(list->certificates, [&](const control::Certificate& one) {
    return one.not_after_ms > now_ms;
  });
}

Result<void> link(Call& call) {
  const control::Arguments args{
      .timeout_ms = static_cast<uint64_t>(call.args.duration("link", {}).count())};
  const auto made =
      TRY(ask_or_print<control::ReportLink>(call, {.verb = "report_link", .args = args}));
  if (made) {
    call.terminal.print(made->url);
    call.terminal.print_status(cat("anyone who has it may read the report until ",
        format_time(made->until_ms), "; `chillboxctl report --revoke` ends all links"));
  }
  if (!has_certificate(call, os::real_clock().wall_ms()))
    call.terminal.print_status(cat(call.terminal.err(Style::warn, "warning:"),
        " this host has no valid certificate for its own name, so the link opens only if a proxy in "
        "front of it has one: `chillboxctl tls ",
        control::k_host_certificate, "`"));
  return {};
}

Result<void> revoke(Call& call) {
  if (TRY(ask_or_print<control::Done>(call, {.verb = "report_revoke"})))
    call.terminal.print("revoked: no link to the report opens it any more");
  return {};
}

Result<void> run_report(Call& call) {
  const bool links = call.args.has("link") || call.args.has("revoke");
  if (links && (call.args.has("output") || call.args.has("link") == call.args.has("revoke")))
    return fail(Code::usage, "report: -o, --link and --revoke are for themselves");
  if (links)
    return call.args.has("link") ? link(call) : revoke(call);
  const std::string file = call.args.text("output");
  const std::string hours = TRY(ask(call.paths, {.verb = "hours"}, &call.error_data));
  if (call.terminal.json() && !file.empty())
    return fail(Code::usage, "-o is for HTML, and --json prints the history alone");
  if (call.terminal.json()) {
    call.terminal.print(hours);
    return {};
  }
  std::string html = TRY(html_of(call, hours));
  if (file.empty()) {
    html.pop_back(); // print() ends the line
    call.terminal.print(html);
    return {};
  }
  auto output = TRY(SecretOutput::create(file));
  TRY(output.write(html));
  TRY(output.commit());
  call.terminal.print_status(cat("the report is in ", printable(file, 1024)));
  return {};
}

} // namespace

extern constinit const Verb k_report{"report", Group::show, Where::host,
    "make a page of how the sites did for a week", k_report_options, run_report};

} // namespace chillbox::cli
