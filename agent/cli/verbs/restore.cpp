// restore: brings a site's data back from a backup.
#include "cli/core/answer_table.hpp"
#include "cli/core/daemon.hpp"
#include "cli/core/data_loss.hpp"
#include "cli/core/duration.hpp"
#include "cli/core/job_stream.hpp"
#include "cli/core/options.hpp"
#include "cli/core/prompt.hpp"
#include "cli/core/terminal.hpp"

#include "base/text.hpp"
#include "control/restore.hpp"
#include "os/clock.hpp"

namespace chillbox::cli {
namespace {

constexpr std::array k_restore_options{
    k_site,
    Option{"[ID]", ArgKind::text, "",
        "serial of the backup, as `backup list` shows it (default: the newest)"},
    Option{"--to", ArgKind::text, "DIR",
        "write the data to a new directory of the host instead, and change nothing"},
    k_yes,
    Option{"--during-hold", ArgKind::flag, "", "even while the site is on hold"},
    k_no_wait,
};

Result<std::optional<uint64_t>> serial_of(Call& call) {
  const std::string id = call.args.text("ID");
  if (id.empty())
    return std::optional<uint64_t>();
  if (const auto serial = parse_u64(id))
    return std::optional(*serial);
  return fail(Code::usage,
      cat("'", printable(id, 80),
          "' is no serial of a backup: `chillboxctl backup "
          "list` shows them"));
}

// What is written to the data since the backup is not there afterwards.
Result<void> ask_about_data(Call& call, const std::string& site, std::optional<uint64_t> serial) {
  const auto plan = TRY(control::read_answer<control::RestorePlan>(TRY(ask(call.paths,
      {.verb = "restore_plan", .args = {.site = site, .serial = serial}}, &call.error_data))));
  const int64_t now = os::real_clock().wall_ms();
  const auto& b = plan.backup;
  call.terminal.print_status(cat("backup      ", b.serial, ", taken ", format_when(b.taken_ms, now),
      ", release ", b.release, ": ", b.files, " files, ", human_size(b.bytes),
      b.proven_ms == 0 ? "; not proven yet" : ""));
  show_written(call.terminal, plan.changed, plan.newest_ms, plan.unknown);
  return must_agree(call, cat("Restore the data of '", site, "'?"), false);
}

Result<void> write_to(Call& call, const std::string& site, std::optional<uint64_t> serial) {
  const Question question{.verb = "restore_to",
      .args = {.site = site, .name = call.args.text("to"), .serial = serial},
      .timeout = std::chrono::milliseconds(-1)};
  const auto answer = TRY(ask_or_print<control::RestoredTo>(call, question));
  if (!answer)
    return {};
  const auto& b = answer->backup;
  call.terminal.print(cat("restored    ", b.files, " files, ", human_size(b.bytes), " of backup ",
      b.serial, " to ", answer->directory, "/", site, "/data"));
  if (!answer->warnings.empty())
    for (const auto line : split(answer->warnings, '\n'))
      call.terminal.print(cat("warning     ", printable(line, 500)));
  return {};
}

Result<void> run_restore(Call& call) {
  const std::string site = call.args.text("SITE");
  const auto serial = TRY(serial_of(call));
  if (call.args.has("to"))
    return write_to(call, site, serial);
  TRY(ask_about_data(call, site, serial));
  return run_job_verb(call, "restore",
      {.site = site, .serial = serial, .during_hold = call.args.has("during-hold")});
}

} // namespace

extern constinit const Verb k_restore{"restore", Group::act, Where::host,
    "bring a site's data back from a backup", k_restore_options, run_restore};

} // namespace chillbox::cli
