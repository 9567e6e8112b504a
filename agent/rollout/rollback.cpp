#include "rollout/steps.hpp"
#include "rollout/trust.hpp"

#include "artifact/age_input.hpp"
#include "artifact/artifact_store.hpp"
#include "base/text.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>

namespace chillbox::rollout {
namespace {

Slot idle_slot(const JobContext& r) {
  return other_slot(r.old ? r.old->slot : Slot::none);
}

// The release that the job names by id or by version; the newest of several.
const store::Release* choose(
    const std::vector<store::Release>& releases, const std::string& wanted) {
  for (const auto& release : releases)
    if (release.state == store::ReleaseState::good &&
        (release.id == wanted || release.version == wanted))
      return &release;
  return nullptr;
}

std::string targets(
    HostContext& host, const std::vector<store::Release>& releases, const std::string& live) {
  std::vector<std::string> names;
  for (const auto& release : releases)
    if (release.state == store::ReleaseState::good && release.id != live &&
        check_release(host, release))
      names.push_back(cat(release.version, " (", release.id, ")"));
  return names.empty() ? "there is no other good release" : cat("there are ", join(names, ", "));
}

// Of what is no target: that it was withdrawn says more than that it is not there.
Result<void> check_name(HostContext& host, const SiteName& site,
    const std::vector<store::Release>& releases, const std::string& wanted) {
  for (const auto& release : releases)
    if (release.id == wanted || release.version == wanted)
      TRY(check_withdrawn(host, site, release.sha256, 0));
  for (const auto& withdrawn : TRY(host.store.withdrawn(site)))
    if (withdrawn.version == wanted)
      TRY(check_withdrawn(host, site, withdrawn.sha256, 0));
  return {};
}

// Its processes still run in the slot that it had. Files alone are never warm: what keeps them
// unchanged is nothing but their digest.
bool is_warm(JobContext& r, Slot slot) {
  bool any = false;
  for (const auto& p : r.services) {
    if (p.kind.listens == ServiceKind::Listens::no && !p.service.worker)
      continue;
    if (r.host.slots.release_in(slot_name(r.site, p, slot, 0)) != r.release.id)
      return false;
    any = true;
  }
  return any;
}

std::string set_path(const HostContext& host, const SiteName& site, const std::string& sha256) {
  return cat(host.paths.secret_sets(), "/", site.str(), "-", sha256, ".age");
}

Result<void> stage_opened(HostContext& host, const SiteName& site, int fd, const SecretBytes& key) {
  const gid_t group = TRY(site_user(host, site)).gid; // secrets may come before the first release
  return secrets::load_secrets(
      host.paths, site, fd, key, host.as_root, group, host.config.secrets_size);
}

} // namespace

Result<void> load_secret_set(HostContext& host, const SiteName& site, const std::string& sha256) {
  if (sha256.empty())
    return secrets::wipe_secrets(host.paths, site);
  Fd fd(::open(set_path(host, site, sha256).c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
  if (!fd)
    return fail_errno(cat("open ", set_path(host, site, sha256)), errno);
  const auto input = TRY_IN("secret set", artifact::open_age(fd.get()));
  const auto key = TRY_IN("secret set", host.vault.file_key(input.header_text));
  return stage_opened(host, site, fd.get(), key);
}

Result<void> load_current_set(HostContext& host, const SiteName& site) {
  if (!host.vault.unsealed() || secrets::secrets_loaded(host.paths, site))
    return {};
  const auto set = TRY(host.store.secret_set(site));
  if (!set)
    return {};
  TRY(check_set(host, site, set->sha256));
  return load_secret_set(host, site, set->sha256);
}

Result<void> load_release(JobContext& r) {
  const std::string slug = r.job.site.str();
  if (needs_rebuild(r.host, r.release))
    return r.host.vault.unsealed()
        ? fail(Code::corrupt,
              cat("release ", r.release.id, ": its files are gone: `chillboxctl restart ", slug,
                  "` rebuilds it from its artifact"))
        : fail(Code::sealed,
              cat("release ", r.release.id,
                  " is rebuilt from its artifact after `chillboxctl unlock`"));
  const auto text =
      r.host.disk.read(cat(r.release_dir(), "/", slug, ".site.json"), config::k_max_site_json);
  if (!text)
    return fail(Code::corrupt, cat("release ", r.release.id, ": ", text.error().message));
  r.site = TRY_IN(cat("release ", r.release.id), config::parse_site(*text, r.job.site));
  r.services = TRY(plan_services(r.host, r.site));
  r.user = TRY(site_user(r.host, r.job.site));
  return {};
}

Result<Next> run_select(JobContext& r) {
  if (!r.old)
    return fail(Code::not_found, cat("site '", r.job.site.str(), "' has no live release"));
  const auto releases = TRY(r.host.store.releases(r.job.site));
  const std::string wanted = r.job.version.empty() ? r.row.previous_good : r.job.version;
  if (wanted.empty())
    return fail(Code::not_found,
        cat("no earlier good release of '", r.job.site.str(),
            "' to roll back to: ", targets(r.host, releases, r.row.live)));
  const auto* target = choose(releases, wanted);
  if (target == nullptr)
    TRY(check_name(r.host, r.job.site, releases, wanted));
  if (target == nullptr)
    return fail(Code::not_found,
        cat("no good release '", printable(wanted), "' of '", r.job.site.str(),
            "': ", targets(r.host, releases, r.row.live)));
  if (target->id == r.old->id) {
    r.job.release = r.old->id;
    r.job.message = cat("already live: ", r.old->version, " (release ", r.old->id, ")");
    return Next::finished;
  }
  if (const auto good = check_release(r.host, *target); !good)
    return fail(
        good.error().code, cat(good.error().message, "; ", targets(r.host, releases, r.row.live)));
  r.release = *target;
  r.job.release = r.release.id;
  r.job.version = r.release.version;
  TRY(rebuild_release(r));
  TRY(load_release(r));
  if (target->slot != r.old->slot && is_warm(r, target->slot)) {
    r.info("its slot is still warm");
  } else {
    if (TRY(r.host.disk.tree_digest(r.release_dir())) != r.release.digest)
      return fail(Code::corrupt,
          cat("release ", r.release.id,
              " was changed on disk since it was built: deploy it again"));
    r.release.slot = idle_slot(r);
  }
  return Next::proceed;
}

namespace {

// One that was in use before, as the store knows it.
Result<void> use_set(JobContext& r, const std::string& sha256) {
  auto set = TRY(r.host.store.used_set(r.job.site, sha256))
                 .value_or(store::SecretSet{.site = r.job.site, .sha256 = sha256});
  set.received_ms = r.host.clock.wall_ms();
  return r.host.store.put_secret_set(set);
}

} // namespace

Result<Next> run_restore_secrets(JobContext& r) {
  const auto set = TRY(r.host.store.secret_set(r.job.site));
  const std::string current = set ? set->sha256 : "";
  const bool needed = std::ranges::any_of(
      r.site.services, [](const auto& s) { return s.secrets_config.has_value(); });
  if (!needed || r.release.secrets == current || r.release.secrets.empty())
    return Next::proceed;
  if (const auto usable = check_set(r.host, r.job.site, r.release.secrets); !usable) {
    if (usable.error().code != Code::denied)
      return std::unexpected(usable.error());
    r.info(cat(usable.error().message, "; the release starts with the set that is in use"));
    r.release.secrets = current;
    return Next::proceed;
  }
  r.old_secrets = current;
  auto staged = load_secret_set(r.host, r.job.site, r.release.secrets);
  if (!staged && staged.error().code == Code::sealed)
    return fail(Code::sealed,
        cat("release ", r.release.id,
            " was live with another secret set: `chillboxctl unlock` first"));
  TRY(std::move(staged));
  TRY(use_set(r, r.release.secrets));
  r.info("its own secret set is restored");
  return Next::proceed;
}

namespace {

Result<void> put_set_back(JobContext& r) {
  if (r.old_secrets.empty())
    return {};
  TRY(load_secret_set(r.host, r.job.site, r.old_secrets));
  return use_set(r, r.old_secrets);
}

} // namespace

void undo_restore_secrets(JobContext& r) {
  if (auto back = put_set_back(r); !back)
    r.output(cat("the previous secret set is not restored: ", back.error().message));
}

Result<Next> run_current(JobContext& r) {
  if (!r.old) {
    if (r.job.kind != store::JobKind::secrets)
      return fail(Code::not_found, cat("site '", r.job.site.str(), "' has no live release"));
    r.job.message = "stored; the site has no release yet";
    return Next::finished;
  }
  r.release = *r.old;
  r.job.release = r.release.id;
  r.job.version = r.release.version;
  TRY(rebuild_release(r));
  TRY(load_release(r));
  if (const auto set = TRY(r.host.store.secret_set(r.job.site)))
    r.release.secrets = set->sha256;
  if (r.job.kind == store::JobKind::start) {
    r.row.stopped = false;
    TRY(r.host.store.put_site(r.row));
    return Next::proceed; // in the slot that it had
  }
  const bool uses = std::ranges::any_of(
      r.site.services, [](const auto& s) { return s.secrets_config.has_value(); });
  if (r.job.kind == store::JobKind::secrets && (!uses || r.row.stopped)) {
    TRY(r.host.store.put_release(r.release));
    r.job.message = uses ? "staged; the site is stopped"
                         : "staged; no service of the live release uses secrets";
    return Next::finished;
  }
  r.release.slot = idle_slot(r);
  return Next::proceed;
}

// The new set is in tmpfs and is the site's current one; the old one is kept for the way back.
Result<Next> run_replace_secrets(JobContext& r) {
  const auto before = TRY(r.host.store.secret_set(r.job.site));
  // Not the current one if the live release was started with another: a crash may have come
  // between.
  r.old_secrets = r.old && !r.old->secrets.empty() ? r.old->secrets : before ? before->sha256 : "";
  const Digest digest = TRY(Digest::parse(r.job.sha256));
  // From descriptor to descriptor, since this process shall not grow by a set's size; what arrives
  // must still have the signed digest.
  (void)TRY_IN("secret set",
      artifact::store_copy(r.artifact.get(), set_path(r.host, r.job.site, r.job.sha256), digest,
          r.host.config.artifact_max));
  TRY(stage_opened(r.host, r.job.site, r.artifact.get(),
      r.file_key)); // by the key that unseal got: the vault may be gone by now
  r.file_key = SecretBytes();
  TRY(r.host.store.put_secret_set({r.job.site, r.job.sha256, r.verified->statement.serial,
      r.host.clock.wall_ms(), r.verified->signer, r.verified->signer_key}));
  const auto files = secrets::loaded_files(r.host.paths, r.job.site);
  r.info(cat(files.size(), files.size() == 1 ? " file" : " files", " in tmpfs"));
  return Next::proceed;
}

void undo_replace_secrets(JobContext& r) {
  auto back = put_set_back(r);
  if (back)
    return;
  r.output(cat("the previous secret set is not restored: ", back.error().message));
  // Sealed meanwhile: what was refused shall not be what the next start finds. The unlock stages
  // the one before.
  if (back.error().code == Code::sealed && secrets::wipe_secrets(r.host.paths, r.job.site))
    (void)use_set(r, r.old_secrets);
}

} // namespace chillbox::rollout
