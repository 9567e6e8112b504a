// plan, nginx show, nginx diff: show what a deploy would change, without changing anything.
#include "cli/core/answer_table.hpp"
#include "cli/core/answers.hpp"
#include "cli/core/options.hpp"
#include "cli/core/plan_source.hpp"
#include "cli/core/terminal.hpp"

#include "base/text.hpp"

namespace chillbox::cli {
namespace {

constexpr Option k_exit_code{
    "--exit-code", ArgKind::flag, "", "exit with 20 when something would change"};
constexpr std::array k_plan_options{
    Option{"ARTIFACT|SITE", ArgKind::text, "",
        "a file of `pack`, with its .minisig next to it; its digest; - ; or the name of a site"},
    k_exit_code,
};
constexpr std::array k_plan_nginx_diff_options{
    k_site, Option{"ARTIFACT", ArgKind::text, "", "as for plan"}, k_exit_code};

using control::Change;
using control::Plan;

constexpr std::chrono::milliseconds k_plan_patience{180'000};
constexpr std::string_view k_plan_source = "ARTIFACT|SITE";

Result<Plan> ask_for_plan(Call& call, const std::string& target, std::string* text = nullptr) {
  const PlanSource source = TRY(plan_source(target));
  const std::string answer = TRY(ask(call.paths,
      {.verb = "plan",
          .args = source.args,
          .timeout = k_plan_patience,
          .body = source.body.get()}));
  if (text != nullptr)
    *text = answer;
  return control::read_answer<Plan>(answer);
}

std::string_view sign_of(Change change) {
  return change == Change::added  ? "+"
      : change == Change::removed ? "-"
      : change == Change::changed ? "~"
                                  : " ";
}

std::string coloured(Terminal& terminal, std::string_view sign, const std::string& line) {
  return terminal.out(sign == "+" ? Style::good
          : sign == "-"           ? Style::bad
          : sign == "~"           ? Style::warn
                                  : Style::plain,
      line);
}

std::string values_of(const control::ServiceChange& service) {
  std::string out;
  for (const auto& value : service.environment)
    out += cat(out.empty() ? "" : ", ", sign_of(value.change), printable(value.name, 300), " ",
        printable(value.before, 300), value.before.empty() || value.after.empty() ? "" : "->",
        printable(value.after, 300));
  return out;
}

void print_services(Terminal& terminal, const Plan& plan) {
  for (const auto& service : plan.services) {
    const auto sign = sign_of(service.change);
    std::vector<std::string> why;
    for (const auto& reason : service.why)
      why.push_back(printable(reason, 300));
    if (const auto values = values_of(service); !values.empty())
      why.push_back(values);
    terminal.print(coloured(terminal, sign,
        cat(sign, " ", printable(service.name, 300), " (", printable(service.lang, 300), ")",
            why.empty() ? "" : cat(": ", join(why, "; ")))));
  }
}

void print_sets(Terminal& terminal, const control::SetChange& sets, std::string_view what) {
  for (const auto& [items, sign] : {std::pair{&sets.added, "+"}, std::pair{&sets.removed, "-"}})
    for (const auto& item : *items)
      terminal.print(coloured(terminal, sign, cat(sign, " ", what, " ", printable(item, 500))));
}

void print_diff(Terminal& terminal, const std::string& diff) {
  for (const auto line :
      split(std::string_view(diff).substr(0, diff.find_last_not_of('\n') + 1), '\n'))
    terminal.print(coloured(terminal,
        line.starts_with("+++") || line.starts_with("---") ? "" : line.substr(0, 1),
        printable(line, 2000)));
}

void print_facts(Terminal& terminal, const Plan& plan) {
  const auto fact = [&](std::string_view name, const std::string& text) {
    terminal.print(cat(terminal.out(Style::bold, name), std::string(9 - name.size(), ' '), text));
  };
  fact("nginx",
      plan.nginx.reload ? "its text changes, NGINX is reloaded" : "the same text, no reload");
  fact("disk",
      cat(human_size(plan.disk.needed), " needed with what must stay free, ",
          human_size(plan.disk.free), " free"));
  fact("memory",
      cat(human_size(plan.memory.needed), " for second copies, ", human_size(plan.memory.available),
          " available"));
  const auto& downtime = plan.downtime;
  fact("downtime",
      cat(!downtime.expected         ? "none: "
              : downtime.last_ms > 0 ? cat("about ", downtime.last_ms, " ms: ")
                                     : "yes: ",
          printable(downtime.reason, 500)));
}

void print_plan(Terminal& terminal, const Plan& plan) {
  const auto& artifact = plan.sha256;
  terminal.print(cat(terminal.out(Style::bold, printable(plan.site, 300)), " ",
      plan.from.empty() ? "(nothing live)" : printable(plan.from, 300),
      artifact ? cat(" -> ", printable(plan.to, 300)) : ", started again",
      artifact
          ? cat("  serial ", plan.installed_serial.value_or(0), " -> ", plan.serial.value_or(0),
                ", signed by '", printable(plan.signer.value_or(""), 300), "'")
          : ""));
  print_services(terminal, plan);
  print_sets(terminal, plan.hosts, "host");
  print_sets(terminal, plan.cron, "cron");
  for (const auto& item : plan.other)
    terminal.print(coloured(terminal, "~", cat("~ ", printable(item, 500))));
  print_diff(terminal, plan.nginx.diff);
  print_facts(terminal, plan);
  for (const auto& plain : plan.plain)
    terminal.print(cat(terminal.out(Style::warn, "http only"), "  ", printable(plain.name, 300),
        ": ", printable(plain.why, 500)));
  struct Row {
    const std::vector<std::string>& items;
    Style style;
    std::string_view word, gap;
  };
  for (const Row& row : {Row{plan.drift, Style::warn, "drift", "    "},
           Row{plan.warnings, Style::warn, "warning", "  "},
           Row{plan.problems, Style::bad, "refused", "  "}})
    for (const auto& item : row.items)
      terminal.print(cat(terminal.out(row.style, row.word), row.gap, printable(item, 1000)));
}

void say_if_changed(Call& call, bool changed) {
  if (changed && call.args.has("exit-code"))
    call.exit = exit_code(Code::changed);
}

Result<void> run_plan(Call& call) {
  std::string text;
  const Plan plan = TRY(ask_for_plan(call, call.args.text(k_plan_source), &text));
  if (call.terminal.json())
    call.terminal.print(text);
  else
    print_plan(call.terminal, plan);
  say_if_changed(call, plan.change);
  return {};
}

Result<void> run_nginx_show(Call& call) {
  const auto answer = TRY(ask_or_print<control::NginxText>(
      call, {.verb = "nginx_show", .args = {.site = call.args.text("SITE")}}));
  if (!answer)
    return {};
  for (const auto line : split(
           std::string_view(answer->text).substr(0, answer->text.find_last_not_of('\n') + 1), '\n'))
    call.terminal.print_line_of(line);
  return {};
}

Result<void> run_nginx_diff(Call& call) {
  const std::string site = call.args.text("SITE");
  const Plan plan = TRY(ask_for_plan(call, call.args.text("ARTIFACT")));
  if (plan.site != site)
    return fail(Code::invalid,
        cat("the artifact is of site '", printable(plan.site, 300), "', not of '", site, "'"));
  for (const auto& problem : plan.problems)
    if (problem.starts_with("nginx"))
      return fail(Code::preflight, problem);
  const std::string& diff = plan.nginx.diff;
  if (call.terminal.json())
    call.terminal.print(answer_text(
        "nginx_diff", NginxDiff{.site = site, .diff = diff, .reload = plan.nginx.reload}));
  else if (!diff.empty())
    print_diff(call.terminal, diff);
  say_if_changed(call, !diff.empty());
  return {};
}

} // namespace

extern constinit const Verb k_plan{"plan", Group::show, Where::host,
    "show what a deploy or a restart would change", k_plan_options, run_plan};
extern constinit const Verb k_nginx_show{"nginx show", Group::show, Where::host,
    "show the NGINX text of a site that is in force", k_only_site, run_nginx_show};
extern constinit const Verb k_nginx_diff{"nginx diff", Group::show, Where::host,
    "show what an artifact would change in it", k_plan_nginx_diff_options, run_nginx_diff};

} // namespace chillbox::cli
