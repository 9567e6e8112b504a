#include "cli/laptop/locked_host.hpp"

#include "base/text.hpp"
#include "cli/core/duration.hpp"
#include "cli/core/prompt.hpp"
#include "cli/fleet/gate_host.hpp"

#include <unistd.h>

namespace chillbox::cli {

Result<void> unlock_before_sending(Call& call, const Host& host, const control::Facts& facts) {
  const std::string since = format_time(facts.started_ms);
  const std::string locked =
      cat(host.name, " is locked", since.empty() ? "" : cat(" since its start at ", since));
  if (::isatty(STDIN_FILENO) != 1) {
    call.hint = cat("chillboxctl unlock -H ", printable(host.name, 200));
    return fail(Code::sealed, cat(locked, ": nothing was sent"));
  }
  if (!TRY(agree(call, cat(locked, ". Unlock it now?"), true)))
    return fail(Code::sealed, cat(locked, ": nothing was sent"));
  if (TRY(unlock_there(host, {"unlock"}, true)) != 0)
    return fail(Code::sealed, cat(locked, ": it was not unlocked"));
  return {};
}

} // namespace chillbox::cli
