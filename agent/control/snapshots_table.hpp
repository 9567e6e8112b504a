// The tables of control/snapshots.hpp, for messages.cpp.
#pragma once

#include "control/members.hpp"
#include "control/snapshots.hpp"

namespace chillbox::control {

constexpr auto table(const Snapshot*) {
  using S = Snapshot;
  return message("snapshot", "What a site's data were once.", Member{"number", &S::number, ""},
      Member{"kind", &S::kind, "\"deploy\", \"rollback\" or \"restore\": before what it was taken"},
      Member{"release", &S::release, "that worked with these data"},
      Member{"before", &S::before, "the release that was to work with them next"},
      Member{"job", &S::job, ""}, Member{"time_ms", &S::time_ms, "when it was begun"},
      Member{"bytes", &S::bytes, ""}, Member{"entries", &S::entries, ""},
      Member{"cloned", &S::cloned, "it shares its blocks with the data"});
}

constexpr auto table(const SnapshotList*) {
  return message("snapshot_list", "", Member{"site", &SnapshotList::site, ""},
      Member{"snapshots", &SnapshotList::snapshots, "newest first"});
}

constexpr auto table(const DataLoss*) {
  using D = DataLoss;
  return message("data_loss", "What a rollback with the data would take away.",
      Member{"site", &D::site, ""}, Member{"release", &D::release, "to go to"},
      Member{"snapshot", &D::snapshot, "its data"},
      Member{"changed", &D::changed, "files that were written since then"},
      Member{"newest_ms", &D::newest_ms, "the last of them, 0: none"},
      Member{"bytes", &D::bytes, "of the data as they are now"},
      Member{"unknown", &D::unknown, "why the last three are not known, \"\": they are"});
}

} // namespace chillbox::control
