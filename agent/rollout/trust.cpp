#include "rollout/trust.hpp"

#include "artifact/verify.hpp"
#include "base/text.hpp"
#include "rollout/loaded_release.hpp"
#include "rollout/manifest.hpp"
#include "rollout/secret_set.hpp"

#include <algorithm>
#include <span>

namespace chillbox::rollout {
namespace {

bool is_same(
    const artifact::TrustedKey& key, const std::string& signer, const std::string& fingerprint) {
  return fingerprint.empty() ? key.name == signer : artifact::fingerprint(key.key) == fingerprint;
}

std::unexpected<Error> withdrawn_by(const store::Withdrawn& withdrawn) {
  return fail(Code::denied,
      cat(withdrawn.version, " of '", withdrawn.site.str(), "' was withdrawn by ", withdrawn.actor,
          " on ", rfc3339(withdrawn.time_ms / 1000),
          withdrawn.why.empty() ? "" : cat(": ", printable(withdrawn.why)),
          ": deploy another version"));
}

} // namespace

namespace {

Result<void> check_signer(const artifact::TrustedKeys& trusted, const SiteName& site,
    const std::string& signer, const std::string& fingerprint) {
  if (signer.empty())
    return {}; // from before signers were recorded
  bool known = false;
  for (const auto& key : trusted.keys) {
    if (!is_same(key, signer, fingerprint))
      continue;
    if (key.sites.empty() || std::ranges::find(key.sites, site.str()) != key.sites.end())
      return {};
    known = true;
  }
  if (!known && !trusted.faults.empty()) // nobody knows whose it is
    return within("trusted keys", Error(trusted.faults.front()));
  return fail(Code::denied,
      cat("the key of '", signer, "' is not trusted for '", site.str(), "' any more"));
}

Result<void> check_withdrawn(
    std::span<const store::Withdrawn> all, const std::string& sha256, uint64_t serial) {
  for (const auto& withdrawn : all)
    if (withdrawn.sha256 == sha256 || (serial != 0 && withdrawn.serial == serial))
      return withdrawn_by(withdrawn);
  return {};
}

Result<void> check_release(const artifact::TrustedKeys& trusted,
    std::span<const store::Withdrawn> withdrawn, const store::Release& release) {
  TRY(check_withdrawn(withdrawn, release.sha256, 0));
  if (!release.kept_by.empty())
    return {};
  const auto signer = check_signer(trusted, release.site, release.signer, release.signer_key);
  if (signer || signer.error().code != Code::denied)
    return signer;
  return fail(Code::denied,
      cat("release ", release.id, " is not started again: ", signer.error().message,
          ": deploy a release that a trusted key signed, or keep this one if it is yours: `chillboxctl trust keep ",
          release.site.str(), "`"));
}

// Of one that nobody remembers only the digest is known.
Result<void> check_set(
    const artifact::TrustedKeys& trusted, uint64_t floor, const store::SecretSet& set) {
  if (floor > 0 && set.serial <= floor)
    return fail(Code::denied,
        cat("the secret set with the serial ", set.serial, " was withdrawn, with all up to ", floor,
            ": deploy a newer one"));
  if (!set.kept_by.empty())
    return {};
  const auto signer = check_signer(trusted, set.site, set.signer, set.signer_key);
  if (signer || signer.error().code != Code::denied)
    return signer;
  return fail(Code::denied,
      cat("the secret set with the serial ", set.serial,
          " is not used again: ", signer.error().message,
          ": deploy one that a trusted key signed, or keep it if it is yours: `chillboxctl trust keep ",
          set.site.str(), "`"));
}

artifact::TrustedKeys trusted_by(const HostContext& host) {
  return artifact::read_trusted_keys(host.paths.trusted());
}

} // namespace

Result<void> check_signer(HostContext& host, const SiteName& site, const std::string& signer,
    const std::string& fingerprint) {
  return check_signer(trusted_by(host), site, signer, fingerprint);
}

Result<void> check_withdrawn(
    HostContext& host, const SiteName& site, const std::string& sha256, uint64_t serial) {
  return check_withdrawn(TRY(host.store.withdrawn(site)), sha256, serial);
}

Result<void> check_release(HostContext& host, const store::Release& release) {
  return check_release(trusted_by(host), TRY(host.store.withdrawn(release.site)), release);
}

Result<void> check_set(HostContext& host, const SiteName& site, const std::string& sha256) {
  if (sha256.empty())
    return {};
  const auto set = TRY(host.store.used_set(site, sha256));
  return check_set(trusted_by(host), TRY(host.store.serial(site, k_secrets_floor)),
      set.value_or(store::SecretSet{.site = site, .sha256 = sha256}));
}

Result<void> check_live(HostContext& host, const store::Release& live) {
  TRY(check_release(host, live));
  const auto set = TRY(host.store.secret_set(live.site));
  return set ? check_set(host, live.site, set->sha256) : Result<void>{};
}

Result<Trust> Trust::read(HostContext& host) {
  Trust now{.keys = trusted_by(host)};
  for (auto& one : TRY(host.store.withdrawn()))
    now.withdrawn[one.site.str()].push_back(std::move(one));
  for (auto& set : TRY(host.store.sets_in_use()))
    now.sets.emplace(set.site.str(), std::move(set));
  now.floors = TRY(host.store.serials(k_secrets_floor));
  return now;
}

Result<void> Trust::check_live(const store::Release& live) const {
  const std::string site = live.site.str();
  const auto out = withdrawn.find(site);
  TRY(check_release(keys,
      out == withdrawn.end() ? std::span<const store::Withdrawn>{} : std::span(out->second), live));
  const auto set = sets.find(site);
  const auto floor = floors.find(site);
  return set == sets.end() || set->second.sha256.empty()
      ? Result<void>{}
      : check_set(keys, floor == floors.end() ? 0 : floor->second, set->second);
}

namespace {

// Of a release or a secret set.
bool is_signed_by(const auto& it, const Signer& who) {
  return !it.signer.empty() &&
      (it.signer_key.empty() || who.fingerprint.empty() ? it.signer == who.name
                                                        : it.signer_key == who.fingerprint);
}

} // namespace

Result<std::vector<SignedUse>> uses_of_key(HostContext& host, const Signer& who) {
  std::vector<SignedUse> uses;
  for (const auto& row : TRY(host.store.sites())) {
    const auto live = TRY(live_row(host, row));
    if (live && live->kept_by.empty() && is_signed_by(*live, who))
      uses.push_back({row.site, live->version});
    const auto set = TRY(host.store.secret_set(row.site));
    const auto used = set ? TRY(host.store.used_set(row.site, set->sha256)) : std::nullopt;
    if (used && used->kept_by.empty() && is_signed_by(*used, who))
      uses.push_back({row.site, ""});
  }
  return uses;
}

Result<std::string> keep_live(HostContext& host, const SiteName& site, const std::string& actor,
    const std::optional<Signer>& who) {
  const auto row = TRY(host.store.site(site));
  const auto live = row ? TRY(live_row(host, *row)) : std::nullopt;
  if (!live)
    return fail(Code::not_found,
        cat(row ? "no live release of '" : "no site '", site.str(), row ? "'" : "' on this host"));
  TRY(check_withdrawn(host, site, live->sha256, 0)); // nobody brings that back
  const auto set = TRY(host.store.secret_set(site));
  const auto used = set ? TRY(host.store.used_set(site, set->sha256)) : std::nullopt;
  // What another key signed stays that key's, or nothing would revoke it later.
  const auto keeps = [&](const auto& it, const auto& check) {
    return it.kept_by.empty() && (who ? is_signed_by(it, *who) : !check());
  };
  const bool release = keeps(*live, [&] { return check_release(host, *live); });
  const bool secrets = used && keeps(*used, [&] { return check_set(host, site, used->sha256); });
  if (!release && !secrets && !who && live->kept_by.empty() && (!used || used->kept_by.empty()))
    return fail(Code::conflict,
        cat("nothing of '", site.str(), "' is to be kept: who signed what is live is trusted"));
  // That column alone: a job that watches the release writes the others, from its own copy.
  if (release)
    TRY(host.store.keep_release(site, live->id, actor));
  if (secrets)
    TRY(host.store.keep_used_set(site, used->sha256, actor));
  TRY(write_manifest(host, site));
  return live->version;
}

Result<SetsWithdrawn> withdraw_sets(HostContext& host, const SiteName& site, uint64_t serial) {
  const auto current = TRY(host.store.secret_set(site));
  const auto used = current ? TRY(host.store.used_set(site, current->sha256)) : std::nullopt;
  if (!used)
    return fail(Code::not_found, cat("no secret set of '", site.str(), "' is in use"));
  if (serial >= used->serial)
    return fail(Code::conflict,
        cat("the secret set with the serial ", used->serial,
            " is in use: deploy a newer one first, then withdraw this"));
  SetsWithdrawn done{.serial = serial};
  const auto sets = TRY(host.store.used_sets(site));
  if (serial == 0)
    for (const auto& set : sets)
      if (set.serial < used->serial)
        done.serial = std::max(done.serial, set.serial);
  if (done.serial == 0)
    return fail(Code::not_found,
        cat("no secret set of '", site.str(), "' is older than the one in use, serial ",
            used->serial));
  TRY(host.store.raise_serial(
      site, k_secrets_floor, done.serial)); // first: from here on none of them is used
  TRY(write_manifest(host, site));
  for (const auto& set : sets)
    if (set.serial <= done.serial) {
      TRY(host.disk.remove(secret_set_path(host, site, set.sha256)));
      ++done.sets;
    }
  return done;
}

} // namespace chillbox::rollout
