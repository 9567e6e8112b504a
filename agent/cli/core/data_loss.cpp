#include "cli/core/data_loss.hpp"

#include "cli/core/daemon.hpp"
#include "cli/core/duration.hpp"
#include "cli/core/terminal.hpp"

#include "base/text.hpp"
#include "os/clock.hpp"

namespace chillbox::cli {

void show_written(
    Terminal& terminal, uint64_t changed, int64_t newest_ms, const std::string& unknown) {
  if (!unknown.empty())
    terminal.print_status(cat("written     since then: not known: ", printable(unknown, 300)));
  else if (changed == 0)
    terminal.print_status("written     nothing since then");
  else
    terminal.print_status(
        cat("written     since then: ", changed, changed == 1 ? " file" : " files", ", newest ",
            format_age(newest_ms, os::real_clock().wall_ms())));
  terminal.print_status(
      "            what the data are now stays as a snapshot; the site stops meanwhile");
}

Result<control::DataLoss> show_data_loss(
    Call& call, const std::string& site, const std::string& version) {
  auto loss = TRY(control::read_answer<control::DataLoss>(TRY(ask(call.paths,
      {.verb = "data_loss", .args = {.site = site, .version = version}}, &call.error_data))));
  call.terminal.print_status(cat("data        go back to snapshot ", loss.snapshot.number, ", ",
      format_age(loss.snapshot.time_ms, os::real_clock().wall_ms()), ", ",
      human_size(loss.snapshot.bytes)));
  show_written(call.terminal, loss.changed, loss.newest_ms, loss.unknown);
  return loss;
}

} // namespace chillbox::cli
