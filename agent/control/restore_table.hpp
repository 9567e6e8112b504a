// The tables of control/restore.hpp, for messages.cpp.
#pragma once

#include "control/backups_table.hpp"
#include "control/restore.hpp"

namespace chillbox::control {

constexpr auto table(const RestorePlan*) {
  using P = RestorePlan;
  return message("restore_plan", "What a restore of a site's data would take away.",
      Member{"backup", &P::backup, "that it would restore"},
      Member{"changed", &P::changed, "files that were written since then"},
      Member{"newest_ms", &P::newest_ms, "the last of them, 0: none"},
      Member{"bytes", &P::bytes, "of the data as they are now"},
      Member{"unknown", &P::unknown, "why the last three are not known, \"\": they are"});
}

constexpr auto table(const RestoredTo*) {
  using R = RestoredTo;
  return message("restored_to", "A backup that was written to a directory.",
      Member{"backup", &R::backup, ""}, Member{"directory", &R::directory, ""},
      Member{"warnings", &R::warnings, "what the application may want to know, a line each"});
}

} // namespace chillbox::control
