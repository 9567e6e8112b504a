// The tables of what keeping a host in order answers, for messages.cpp.
#pragma once

#include "control/members.hpp"
#include "control/messages.hpp"

namespace chillbox::control {

constexpr auto table(const AuditEntry*) {
  using A = AuditEntry;
  return message("audit_entry", "An entry of the audit trail.", Member{"number", &A::number, ""},
      Member{"time_ms", &A::time_ms, ""}, Member{"actor", &A::actor, ""},
      Member{"verb", &A::verb, ""}, Member{"site", &A::site, "\"\": the host"},
      Member{"text", &A::text, ""}, Member{"outcome", &A::outcome, "\"ok\" or a code's name"});
}

constexpr auto table(const AuditTrail*) {
  return message("audit_trail", "", Member{"entries", &AuditTrail::entries, "newest first"});
}

constexpr auto table(const AuditProof*) {
  return message("audit_proof", "", Member{"entries", &AuditProof::entries, "so many"},
      Member{"head", &AuditProof::head, "NUMBER:HASH of the newest entry"});
}

constexpr auto table(const Unlocked*) {
  return message("unlocked", "",
      Member{"changed", &Unlocked::changed, "false: it was already unlocked"},
      Member{"recipient", &Unlocked::recipient, ""},
      Member{"sites", &Unlocked::sites, "that were started"},
      Member{"failed", &Unlocked::failed, "\"SITE: why it is not up\""},
      Member{"after_boot", &Unlocked::after_boot,
          "\"SITE: why it will not start after a boot\"; it is up now"});
}

constexpr auto table(const Locked*) {
  return message("locked", "", Member{"was_unsealed", &Locked::was_unsealed, ""});
}

constexpr auto table(const Maintenance*) {
  return message("maintenance", "", Member{"site", &Maintenance::site, ""},
      Member{"maintenance", &Maintenance::maintenance, ""},
      Member{"was", &Maintenance::was, "it was already so"});
}

constexpr auto table(const Drained*) {
  return message("drained", "", Member{"site", &Drained::site, "\"\": all of the host"},
      Member{"drained", &Drained::drained, ""}, Member{"was", &Drained::was, "it was already so"});
}

constexpr auto table(const Upgraded*) {
  return message("upgraded", "", Member{"version", &Upgraded::version, "of the new program"},
      Member{"from", &Upgraded::from, "version of the old one"},
      Member{"sealed", &Upgraded::sealed, "afterwards"});
}

constexpr auto table(const HoldReleased*) {
  return message("hold_released", "", Member{"was_held", &HoldReleased::was_held, ""});
}

constexpr auto table(const Withdrawal*) {
  return message("withdrawal", "", Member{"site", &Withdrawal::site, ""},
      Member{"releases", &Withdrawal::releases, "ids"},
      Member{"live", &Withdrawal::live, "one of them that is live, \"\": none"});
}

constexpr auto table(const SecretsWithdrawal*) {
  using S = SecretsWithdrawal;
  return message("secrets_withdrawal", "", Member{"site", &S::site, ""},
      Member{"serial", &S::serial, "up to which they are gone"},
      Member{"sets", &S::sets, "so many"});
}

constexpr auto table(const KeyUse*) {
  return message("key_use", "", Member{"site", &KeyUse::site, ""},
      Member{"version", &KeyUse::version, "\"\": its secret set"});
}

constexpr auto table(const KeyUses*) {
  return message("key_uses", "", Member{"uses", &KeyUses::uses, "what is live of it"});
}

constexpr auto table(const Kept*) {
  return message(
      "kept", "", Member{"site", &Kept::site, ""}, Member{"version", &Kept::version, ""});
}

constexpr auto table(const Pruned*) {
  return message("pruned", "", Member{"dry_run", &Pruned::dry_run, ""},
      Member{"bytes", &Pruned::bytes, ""}, Member{"paths", &Pruned::paths, ""});
}

} // namespace chillbox::control
