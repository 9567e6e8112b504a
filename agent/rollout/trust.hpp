// Revoked is revoked. A release and a secret set remember which key signed them, and may be started
// again only while that key is trusted for the site: by a rollback, a restart, a start, after a
// boot, rebuilt from an artifact, by a crontab's entry. What runs continues until it is
// replaced: taking a key away takes no site down. An administrator can keep what is live (`trust
// keep`), and withdraw a release or old secret sets for ever.
#pragma once

#include "artifact/trusted_keys.hpp"
#include "rollout/host_context.hpp"

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace chillbox::rollout {

// denied, each with what to do: it was withdrawn; or its signer is not trusted for the site any
// more, and nobody kept it.
Result<void> check_release(HostContext& host, const store::Release& release);
Result<void> check_set(
    HostContext& host, const SiteName& site, const std::string& sha256); // a secret set; "" is good
Result<void> check_live(
    HostContext& host, const store::Release& live); // the release and the set that the site uses
// The same of every site of the host, for which keys and rows are read once.
struct Trust {
  artifact::TrustedKeys keys;
  std::map<std::string, std::vector<store::Withdrawn>> withdrawn = {}; // by site
  std::map<std::string, store::SecretSet> sets = {};                   // in use
  std::map<std::string, uint64_t> floors = {};
  static Result<Trust> read(HostContext& host);
  Result<void> check_live(const store::Release& live) const;
};
// denied: an artifact of this digest, or a release with this serial, was withdrawn. The serial 0 is
// nobody's.
Result<void> check_withdrawn(
    HostContext& host, const SiteName& site, const std::string& sha256, uint64_t serial);
// denied: this key may not sign for the site now. fingerprint "": of a time when only the name was
// recorded.
Result<void> check_signer(HostContext& host, const SiteName& site, const std::string& signer,
    const std::string& fingerprint);

// What of this key is live or in use now.
struct SignedUse {
  SiteName site;
  std::string version; // "" : its secret set
};
struct Signer {
  std::string name, fingerprint; // "" : only the name is known
};
Result<std::vector<SignedUse>> uses_of_key(HostContext& host, const Signer& who);
// The live release and the secret set in use stay good without their signer: what `who` signed, or
// without one what is refused now. The live version; not_found: nothing is live; conflict: without
// a signer, nothing is refused or kept.
Result<std::string> keep_live(HostContext& host, const SiteName& site, const std::string& actor,
    const std::optional<Signer>& who);

// Secret sets up to this serial, 0: all before the one in use, are not used again, and their files
// go. How many; conflict: one of them is in use.
struct SetsWithdrawn {
  uint64_t serial = 0;
  size_t sets = 0;
};
Result<SetsWithdrawn> withdraw_sets(HostContext& host, const SiteName& site, uint64_t serial);
inline constexpr const char* k_secrets_floor = "secrets-floor"; // the counter in the store

} // namespace chillbox::rollout
