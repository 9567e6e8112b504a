// The tables of what `plan` answers. For messages.cpp.
#pragma once

#include "control/certificate_table.hpp"
#include "control/members.hpp"
#include "control/messages.hpp"

namespace chillbox::control {

constexpr auto table(const ValueChange*) {
  using V = ValueChange;
  return message("value_change", "An environment variable that would change.",
      Member{"name", &V::name, ""}, Member{"change", &V::change, ""},
      Member{"before", &V::before, "a digest that only this host can make, \"\": none"},
      Member{"after", &V::after, "a digest that only this host can make, \"\": none"});
}

constexpr auto table(const ServiceChange*) {
  using S = ServiceChange;
  return message("service_change", "", Member{"name", &S::name, ""}, Member{"lang", &S::lang, ""},
      Member{"change", &S::change, ""}, Member{"why", &S::why, ""},
      Member{"environment", &S::environment, ""});
}

constexpr auto table(const SetChange*) {
  return message("set_change", "", Member{"added", &SetChange::added, ""},
      Member{"removed", &SetChange::removed, ""});
}

constexpr auto table(const PlannedNginx*) {
  return message("planned_nginx", "", Member{"diff", &PlannedNginx::diff, ""},
      Member{"reload", &PlannedNginx::reload, ""});
}

constexpr auto table(const PlannedDisk*) {
  using D = PlannedDisk;
  return message("planned_disk", "", Member{"needed", &D::needed, "bytes, with the reserve"},
      Member{"free", &D::free, "bytes"}, Member{"inodes_needed", &D::inodes_needed, ""},
      Member{"inodes_free", &D::inodes_free, ""});
}

constexpr auto table(const PlannedMemory*) {
  return message("planned_memory", "",
      Member{"needed", &PlannedMemory::needed, "bytes, for second copies"},
      Member{"available", &PlannedMemory::available, "bytes, 0: not known"});
}

constexpr auto table(const PlannedDowntime*) {
  return message("planned_downtime", "", Member{"expected", &PlannedDowntime::expected, ""},
      Member{
          "last_ms", &PlannedDowntime::last_ms, "how long it was the last time, 0: not measured"},
      Member{"reason", &PlannedDowntime::reason, ""});
}

constexpr auto table(const Plan*) {
  return message("plan", "What a deploy or a restart would change.",
      Member{"site", &Plan::site, ""}, Member{"from", &Plan::from, "the live version, \"\": none"},
      Member{"to", &Plan::to, "the planned version"}, Member{"change", &Plan::change, ""},
      Member{"services", &Plan::services, ""}, Member{"hosts", &Plan::hosts, ""},
      Member{"cron", &Plan::cron, ""},
      Member{"other", &Plan::other, "what else of the site file and its files changes"},
      Member{"plain", &Plan::plain, "host names that will answer on http only"},
      Member{"nginx", &Plan::nginx, ""}, Member{"disk", &Plan::disk, ""},
      Member{"memory", &Plan::memory, ""},
      Member{"downtime", &Plan::downtime, "of services that must not run twice"},
      Member{"drift", &Plan::drift, "where the host is not as the store has it"},
      Member{"warnings", &Plan::warnings, "what a deploy would not refuse"},
      Member{"problems", &Plan::problems, "what a deploy would refuse"},
      Member{"sha256", &Plan::sha256, "of the artifact"},
      Member{"serial", &Plan::serial, "of the artifact"},
      Member{"installed_serial", &Plan::installed_serial, "the greatest that was installed"},
      Member{"signer", &Plan::signer, "of the artifact"});
}

} // namespace chillbox::control
