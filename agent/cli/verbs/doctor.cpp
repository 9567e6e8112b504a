// doctor: checks the host and suggests fixes.
#include "cli/doctor/doctor.hpp"

#include "cli/core/answers.hpp"

#include "cli/core/options.hpp"
#include "cli/core/terminal.hpp"

#include "base/text.hpp"

#include <algorithm>

namespace chillbox::cli {
namespace {

constexpr std::array k_doctor_options{Option{"--clock", ArgKind::number, "SECONDS",
    "compare the host's clock with this one: \"$(date +%s)\""}};

std::string_view word(Health health) {
  return health == Health::ok ? "ok" : health == Health::warn ? "warn" : "fail";
}

Style style(Health health) {
  return health == Health::ok ? Style::good : health == Health::warn ? Style::warn : Style::bad;
}

void print(Terminal& terminal, const Finding& finding) {
  constexpr size_t k_word = 6, k_what = 14;
  const auto pad = [](std::string_view text, size_t width) {
    return std::string(text.size() < width ? width - text.size() : 1, ' ');
  };
  const std::string_view health = word(finding.health);
  terminal.print(cat(terminal.out(style(finding.health), health), pad(health, k_word), finding.what,
      pad(finding.what, k_what), printable(finding.text, 500)));
  if (!finding.todo.empty())
    terminal.print(cat(std::string(k_word + k_what, ' '), terminal.out(Style::bold, "-> "),
        printable(finding.todo, 500)));
}

void print_json(Terminal& terminal, const std::vector<Finding>& findings, bool well) {
  Checks checks{.ok = well, .checks = {}};
  for (const auto& f : findings)
    checks.checks.push_back({std::string(word(f.health)), f.what, f.text, f.todo});
  terminal.print(answer_text("doctor", checks));
}

Result<void> run_doctor(Call& call) {
  Doctor doctor{call.paths, os::real_disk()};
  if (call.args.has("clock"))
    doctor.clock = call.args.number("clock", 0);
  examine_state(doctor); // first, because it reads the configuration
  examine_host(doctor);
  std::ranges::stable_partition(doctor.findings, // first what visitors notice
      [](const Finding& f) { return f.what == "site" && f.health == Health::fail; });
  const auto count = [&](Health health) {
    return std::ranges::count(doctor.findings, health, &Finding::health);
  };
  const auto failed = count(Health::fail), warned = count(Health::warn);
  if (call.terminal.json())
    print_json(call.terminal, doctor.findings, failed == 0);
  else
    for (const auto& finding : doctor.findings)
      if (!call.terminal.quiet() || finding.health != Health::ok)
        print(call.terminal, finding);
  if (failed > 0) {
    call.error_printed = call.terminal.json();
    return chillbox::fail(Code::failure,
        cat(failed, failed == 1 ? " check fails" : " checks fail", ", ", warned,
            warned == 1 ? " warns" : " warn"));
  }
  call.terminal.print_status(cat("all is well",
      warned == 0 ? std::string()
                  : cat(", but for ", warned, warned == 1 ? " warning" : " warnings")));
  return {};
}

} // namespace

extern constinit const Verb k_doctor{"doctor", Group::show, Where::host,
    "check everything this host needs, and suggest fixes", k_doctor_options, run_doctor};

} // namespace chillbox::cli
