// plan, nginx show, nginx diff: show what a deploy would change, without changing anything.
#include "cli/core/daemon.hpp"
#include "cli/core/options.hpp"
#include "cli/core/plan_source.hpp"
#include "cli/core/terminal.hpp"
#include "control/control.hpp"

#include "base/text.hpp"

#include <nlohmann/json.hpp>

namespace chillbox::cli {
namespace {

constexpr Option k_exit_code{
    "--exit-code", ArgKind::flag, "", "exit with 20 when something would change"};
constexpr std::array k_plan_options{
    Option{"ARTIFACT|SITE", ArgKind::text, "",
        "a file of `pack`, with its .minisig next to it; its digest; - ; or the name of a site"},
    k_exit_code,
};
constexpr std::array k_only_site{k_site};
constexpr std::array k_nginx_diff_options{
    k_site, Option{"ARTIFACT", ArgKind::text, "", "as for plan"}, k_exit_code};

constexpr std::chrono::milliseconds k_patience{180'000};
constexpr std::string_view k_target = "ARTIFACT|SITE";

Result<Json> ask_for_plan(Call& call, const std::string& target, std::string* text = nullptr) {
  const PlanSource source = TRY(plan_source(target));
  const std::string answer = TRY(ask(call.paths,
      {.verb = "plan", .args = source.args, .timeout = k_patience, .body = source.body.get()}));
  if (text != nullptr)
    *text = answer;
  return TRY(control::parse_json(answer, control::k_max_control_frame));
}

std::string word(const Json& json, const char* key, size_t limit = 300) {
  return printable(control::string_or(json, key, ""), limit);
}

const Json& part(const Json& json, const char* key) {
  static const Json k_none = Json::object();
  const auto it = json.find(key);
  return it == json.end() ? k_none : *it;
}

std::string_view sign_of(const std::string& change) {
  return change == "added" ? "+" : change == "removed" ? "-" : change == "changed" ? "~" : " ";
}

std::string coloured(Terminal& terminal, std::string_view sign, const std::string& line) {
  return terminal.out(sign == "+" ? Style::good
          : sign == "-"           ? Style::bad
          : sign == "~"           ? Style::warn
                                  : Style::plain,
      line);
}

std::string values_of(const Json& service) {
  std::string out;
  for (const Json& value : part(service, "environment")) {
    const std::string before = word(value, "before"), after = word(value, "after");
    out += cat(out.empty() ? "" : ", ", sign_of(word(value, "change")), word(value, "name"), " ",
        before, before.empty() || after.empty() ? "" : "->", after);
  }
  return out;
}

void print_services(Terminal& terminal, const Json& plan) {
  for (const Json& service : part(plan, "services")) {
    const auto sign = sign_of(word(service, "change"));
    std::vector<std::string> why;
    for (const Json& reason : part(service, "why"))
      if (reason.is_string())
        why.push_back(printable(reason.get<std::string>(), 300));
    if (const auto values = values_of(service); !values.empty())
      why.push_back(values);
    terminal.print(coloured(terminal, sign,
        cat(sign, " ", word(service, "name"), " (", word(service, "lang"), ")",
            why.empty() ? "" : cat(": ", join(why, "; ")))));
  }
}

void print_sets(Terminal& terminal, const Json& sets, const char* what) {
  for (const auto& [key, sign] : {std::pair{"added", "+"}, std::pair{"removed", "-"}})
    for (const Json& item : part(sets, key))
      if (item.is_string())
        terminal.print(coloured(
            terminal, sign, cat(sign, " ", what, " ", printable(item.get<std::string>(), 500))));
}

void print_diff(Terminal& terminal, const std::string& diff) {
  for (const auto line :
      split(std::string_view(diff).substr(0, diff.find_last_not_of('\n') + 1), '\n'))
    terminal.print(coloured(terminal,
        line.starts_with("+++") || line.starts_with("---") ? "" : line.substr(0, 1),
        printable(line, 2000)));
}

void print_facts(Terminal& terminal, const Json& plan) {
  const auto& nginx = part(plan, "nginx");
  const auto& disk = part(plan, "disk");
  const auto& memory = part(plan, "memory");
  const auto& gap = part(plan, "gap");
  const auto size = [](const Json& json, const char* key) {
    return human_size(control::u64_or(json, key, 0));
  };
  const auto fact = [&](std::string_view name, const std::string& text) {
    terminal.print(cat(terminal.out(Style::bold, name), std::string(9 - name.size(), ' '), text));
  };
  fact("nginx",
      control::bool_or(nginx, "reload", false) ? "its text changes, NGINX is reloaded"
                                               : "the same text, no reload");
  fact("disk",
      cat(size(disk, "needed"), " needed with what must stay free, ", size(disk, "free"), " free"));
  fact("memory",
      cat(size(memory, "needed"), " for second copies, ", size(memory, "available"), " available"));
  const auto last = control::u64_or(gap, "last_ms", 0);
  fact("gap",
      cat(control::bool_or(gap, "expected", false)
              ? (last > 0 ? cat("about ", last, " ms: ") : "yes: ")
              : "none: ",
          word(gap, "reason", 500)));
}

void print_plan(Terminal& terminal, const Json& plan) {
  const std::string from = word(plan, "from"), to = word(plan, "to"), signer = word(plan, "signer");
  const bool artifact = plan.contains("sha256");
  terminal.print(cat(terminal.out(Style::bold, word(plan, "site")), " ",
      from.empty() ? "(nothing live)" : from, artifact ? cat(" -> ", to) : ", started again",
      artifact ? cat("  serial ", control::u64_or(plan, "installed_serial", 0), " -> ",
                     control::u64_or(plan, "serial", 0), ", signed by '", signer, "'")
               : ""));
  print_services(terminal, plan);
  print_sets(terminal, part(plan, "hosts"), "host");
  print_sets(terminal, part(plan, "cron"), "cron");
  print_diff(terminal, control::string_or(part(plan, "nginx"), "diff", ""));
  print_facts(terminal, plan);
  struct Row {
    const char* key;
    Style style;
    std::string_view word, gap;
  };
  for (const Row& row :
      {Row{"drift", Style::warn, "drift", "    "}, Row{"warnings", Style::warn, "warning", "  "},
          Row{"problems", Style::bad, "refused", "  "}})
    for (const Json& item : part(plan, row.key))
      if (item.is_string())
        terminal.print(cat(
            terminal.out(row.style, row.word), row.gap, printable(item.get<std::string>(), 1000)));
}

void say_if_changed(Call& call, bool changed) {
  if (changed && call.args.has("exit-code"))
    call.exit = exit_code(Code::changed);
}

Result<void> run_plan(Call& call) {
  std::string text;
  const Json plan = TRY(ask_for_plan(call, call.args.text(k_target), &text));
  if (call.terminal.json())
    call.terminal.print(text);
  else
    print_plan(call.terminal, plan);
  say_if_changed(call, control::bool_or(plan, "change", false));
  return {};
}

Result<void> run_nginx_show(Call& call) {
  const std::string answer =
      TRY(ask(call.paths, {.verb = "nginx_show", .args = {{"site", call.args.text("SITE")}}}));
  if (call.terminal.json()) {
    call.terminal.print(answer);
    return {};
  }
  const Json json = TRY(control::parse_json(answer, control::k_max_control_frame));
  const std::string text = control::string_or(json, "text", "");
  for (const auto line :
      split(std::string_view(text).substr(0, text.find_last_not_of('\n') + 1), '\n'))
    call.terminal.print_line_of(line);
  return {};
}

Result<void> run_nginx_diff(Call& call) {
  const std::string site = call.args.text("SITE");
  const Json plan = TRY(ask_for_plan(call, call.args.text("ARTIFACT")));
  if (word(plan, "site") != site)
    return fail(Code::invalid,
        cat("the artifact is of site '", word(plan, "site"), "', not of '", site, "'"));
  for (const Json& problem : part(plan, "problems"))
    if (problem.is_string() && problem.get<std::string>().starts_with("nginx"))
      return fail(Code::preflight, problem.get<std::string>());
  const std::string diff = control::string_or(part(plan, "nginx"), "diff", "");
  if (call.terminal.json())
    call.terminal.print(result_text("nginx_diff",
        {{"site", site}, {"diff", diff},
            {"reload", control::bool_or(part(plan, "nginx"), "reload", false)}}));
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
    "show what an artifact would change in it", k_nginx_diff_options, run_nginx_diff};

} // namespace chillbox::cli
