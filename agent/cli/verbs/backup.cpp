// backup create, backup list, backup verify: make a backup of a site's data, show what there is,
// and prove that it can be restored.
#include "cli/core/answer_table.hpp"
#include "cli/core/duration.hpp"
#include "cli/core/options.hpp"

#include "base/text.hpp"
#include "control/backups.hpp"
#include "os/clock.hpp"

namespace chillbox::cli {
namespace {

constexpr std::array k_maybe_site{Option{"[SITE]", ArgKind::site, "", "only of this site"}};

using control::Backup;

std::string when_or(int64_t ms, int64_t now, std::string_view none) {
  return ms == 0 ? std::string(none) : format_when(ms, now);
}

void print_warnings(Call& call, const Backup& b) {
  if (b.warnings.empty())
    return;
  for (const auto line : split(b.warnings, '\n'))
    call.terminal.print(cat("warning     ", printable(line, 500)));
}

Result<void> run_backup_create(Call& call) {
  const Question question{.verb = "backup_create",
      .args = {.site = call.args.text("SITE")},
      .timeout = std::chrono::milliseconds(-1)};
  const auto answer = TRY(ask_or_print<control::BackupAnswer>(call, question));
  if (!answer)
    return {};
  const Backup& b = answer->backup;
  call.terminal.print(cat("taken       ", b.files, " files, ", human_size(b.bytes), " of '",
      b.site.str(), "', release ", b.release));
  print_warnings(call, b);
  call.terminal.print(cat("stored      ", human_size(b.size), "  ", b.name));
  return {};
}

Result<void> run_backup_verify(Call& call) {
  const Question question{.verb = "backup_verify",
      .args = {.site = call.args.text("SITE")},
      .timeout = std::chrono::milliseconds(-1)};
  const auto answer = TRY(ask_or_print<control::BackupAnswer>(call, question));
  if (!answer)
    return {};
  const Backup& b = answer->backup;
  call.terminal.print(cat("proven      ", b.name));
  call.terminal.print(
      cat("            taken ", format_when(b.taken_ms, os::real_clock().wall_ms()), ", ", b.files,
          " files, ", human_size(b.bytes), ": signature, digests and databases are good"));
  return {};
}

Result<void> run_backup_list(Call& call) {
  const Question question{.verb = "backup_list", .args = {.site = call.args.text("SITE")}};
  const auto answer = TRY(ask_or_print<control::BackupList>(call, question));
  if (!answer)
    return {};
  const int64_t now = os::real_clock().wall_ms();
  Table table{{"SITE", "SERIAL", "TAKEN", "STORED", "PROVEN", "SIZE", "RELEASE"}, {}};
  for (const auto& b : answer->backups)
    table.rows.push_back({b.site.str(), std::to_string(b.serial), format_when(b.taken_ms, now),
        when_or(b.stored_ms, now, "no"), when_or(b.proven_ms, now, "no"), human_size(b.size),
        b.release});
  print_table(call.terminal, table,
      answer->target.empty() ? "no backups: backup.target is not set in chillboxd.toml"
                             : "no backups yet");
  for (const auto& site : answer->sites) {
    if (!site.problem.empty())
      call.terminal.print(cat(site.site.str(), ": the last try, ", format_when(site.tried_ms, now),
          ", failed: ", printable(site.problem, 500)));
    if (!site.unproven.empty())
      call.terminal.print(
          cat(site.site.str(), ": the last proof failed: ", printable(site.unproven, 500)));
  }
  return {};
}

} // namespace

extern constinit const Verb k_backup_list{"backup list", Group::show, Where::host,
    "show the backups of sites' data, newest first", k_maybe_site, run_backup_list};
extern constinit const Verb k_backup_create{"backup create", Group::act, Where::host,
    "make a backup of a site's data now, and store it", k_only_site, run_backup_create};
extern constinit const Verb k_backup_verify{"backup verify", Group::act, Where::host,
    "prove the newest backup of a site: fetch, unpack and check it", k_only_site,
    run_backup_verify};

} // namespace chillbox::cli
