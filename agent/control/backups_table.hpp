// The tables of control/backups.hpp, for messages.cpp.
#pragma once

#include "control/backups.hpp"
#include "control/members.hpp"

namespace chillbox::control {

constexpr auto table(const Backup*) {
  using B = Backup;
  return message("backup", "One backup of a site's data.", Member{"site", &B::site, ""},
      Member{"serial", &B::serial, "it only grows"}, Member{"name", &B::name, "at the target"},
      Member{"release", &B::release, "that was live"},
      Member{"size", &B::size, "of the archive, bytes"},
      Member{"bytes", &B::bytes, "of the data in it"}, Member{"files", &B::files, ""},
      Member{"sha256", &B::sha256, "of the archive"}, Member{"taken_ms", &B::taken_ms, ""},
      Member{"stored_ms", &B::stored_ms, "0: it is not at the target"},
      Member{"proven_ms", &B::proven_ms, "0: nobody has restored it yet"},
      Member{"gone_ms", &B::gone_ms, "when it was deleted, 0: it was not"},
      Member{"warnings", &B::warnings, "what is not in it as one would expect, a line each"});
}

constexpr auto table(const BackupState*) {
  using S = BackupState;
  return message("backup_state", "A site's backups together.", Member{"site", &S::site, ""},
      Member{"taken_ms", &S::taken_ms, "when the newest one was taken"},
      Member{"stored_ms", &S::stored_ms, "when the newest one at the target was taken"},
      Member{"proven_ms", &S::proven_ms, "when the newest one that is proven was taken"},
      Member{"tried_ms", &S::tried_ms, "the last try to make and store one"},
      Member{"problem", &S::problem, "why that failed, \"\": it did not"},
      Member{"checked_ms", &S::checked_ms, "the last try to prove one"},
      Member{"unproven", &S::unproven, "why that failed"},
      Member{"retention", &S::retention, "what came of the last deletions that should not"},
      Member{"next_ms", &S::next_ms, "when the next one is due, 0: never"},
      Member{"stale", &S::stale, "what is wrong by now and what to do, \"\": nothing"});
}

constexpr auto table(const BackupList*) {
  using L = BackupList;
  return message("backup_list", "", Member{"target", &L::target, "\"\": none is configured"},
      Member{"key", &L::key, "the minisign key that signs them"}, Member{"sites", &L::sites, ""},
      Member{"backups", &L::backups, "newest first"});
}

constexpr auto table(const BackupAnswer*) {
  return message("backup_answer", "", Member{"backup", &BackupAnswer::backup, ""});
}

} // namespace chillbox::control
