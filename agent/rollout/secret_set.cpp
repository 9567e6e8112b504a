#include "rollout/secret_set.hpp"
#include "rollout/provided_certificate.hpp"

#include "artifact/age_input.hpp"
#include "artifact/artifact_store.hpp"
#include "base/text.hpp"
#include "rollout/install.hpp"
#include "rollout/job_context.hpp"
#include "rollout/service_environment.hpp"
#include "rollout/steps.hpp"
#include "rollout/trust.hpp"
#include "secrets/load.hpp"

#include <fcntl.h>
#include <unistd.h>

namespace chillbox::rollout {
namespace {

Result<void> load_opened(HostContext& host, const SiteName& site, int fd, const SecretBytes& key) {
  const gid_t group = TRY(site_user(host, site)).gid; // secrets may come before the first release
  return secrets::load_secrets(
      host.paths, site, fd, key, host.as_root, group, host.config.secrets_size);
}

} // namespace

std::string secret_set_path(
    const HostContext& host, const SiteName& site, const std::string& sha256) {
  return cat(host.paths.secret_sets(), "/", site.str(), "-", sha256, ".age");
}

namespace {

struct OpenSet {
  Fd file;
  SecretBytes key;
};

// not_found: it is encrypted to another host key, such as the one from before an `init`.
Result<OpenSet> open_set(HostContext& host, const SiteName& site, const std::string& sha256) {
  OpenSet set{.file = Fd(::open(
                  secret_set_path(host, site, sha256).c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW))};
  if (!set.file)
    return fail_errno(cat("open ", secret_set_path(host, site, sha256)), errno);
  const auto input = TRY_IN("secret set", artifact::open_age(set.file.get()));
  auto key = host.vault.file_key(input.header_text);
  if (!key && key.error().code == Code::not_found)
    return fail(Code::not_found,
        cat("the secret set of '", site.str(),
            "' is encrypted to a former key, not to this host's, ",
            trim(host.disk.read(host.paths.recipient(), 256).value_or("")),
            ": pack it again with that as --recipient, and deploy it"));
  set.key = TRY_IN("secret set", std::move(key));
  return set;
}

} // namespace

std::string other_key_remedy(HostContext& host, const Error& error) {
  const std::string recipient(trim(host.disk.read(host.paths.recipient(), 256).value_or("")));
  if (error.message.find(recipient) == std::string::npos)
    return "this host has a new key, and is unlocked with the former one: `chillboxctl lock` and `unlock` take it "
           "into use";
  return cat("it was packed for another host, or for a former key of this one: pack it with "
             "--recipient ",
      recipient);
}

std::string unopened_set(HostContext& host, const SiteName& site) {
  const auto set = host.store.secret_set(site);
  const auto row = host.store.site(site);
  if (!set || !*set || !row || !*row)
    return {};
  const auto live = read_site(host.disk, cat(host.paths.releases(site), "/", (*row)->live), site);
  if (live && !uses_secrets(*live))
    return {};
  const auto opened = open_set(host, site, (*set)->sha256);
  return opened || opened.error().code != Code::not_found ? std::string() : opened.error().message;
}

Result<void> load_secret_set(HostContext& host, const SiteName& site, const std::string& sha256) {
  if (sha256.empty())
    return secrets::wipe_secrets(host.paths, site);
  const auto set = TRY(open_set(host, site, sha256));
  return load_opened(host, site, set.file.get(), set.key);
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

std::string secrets_remedy(HostContext& host, const SiteName& site) {
  if (!host.vault.unsealed())
    return "`chillboxctl unlock`";
  const auto set = host.store.secret_set(site);
  if (!set || !*set)
    return std::string(k_send_secrets);
  if (const auto usable = check_set(host, site, (*set)->sha256); !usable)
    return usable.error().message;
  if (const auto opened = open_set(host, site, (*set)->sha256); !opened)
    return opened.error().message;
  return cat("`chillboxctl restart ", site.str(), "`, or send a secret set that has it");
}

namespace {

// One that was in use before, as the store knows it.
Result<void> use_set(JobContext& r, const std::string& sha256) {
  auto set = TRY(r.host.store.used_set(r.job.site, sha256))
                 .value_or(store::SecretSet{.site = r.job.site, .sha256 = sha256});
  set.received_ms = r.host.clock.wall_ms();
  return r.host.store.put_secret_set(set);
}

Result<Next> run_restore_secrets(JobContext& r) {
  const auto set = TRY(r.host.store.secret_set(r.job.site));
  const std::string current = set ? set->sha256 : "";
  const bool needed = uses_secrets(r.release.site);
  if (!needed || r.release.row.secrets == current || r.release.row.secrets.empty())
    return Next::proceed;
  if (const auto usable = check_set(r.host, r.job.site, r.release.row.secrets); !usable) {
    if (usable.error().code != Code::denied)
      return std::unexpected(usable.error());
    r.info(cat(usable.error().message, "; the release starts with the set that is in use"));
    r.release.row.secrets = current;
    return Next::proceed;
  }
  r.old_secrets = current;
  auto staged = load_secret_set(r.host, r.job.site, r.release.row.secrets);
  if (!staged && staged.error().code == Code::sealed)
    return fail(Code::sealed,
        cat("release ", r.release.row.id,
            " was live with another secret set: `chillboxctl unlock` first"));
  TRY(std::move(staged));
  TRY(use_set(r, r.release.row.secrets));
  r.info("its own secret set is restored");
  return Next::proceed;
}

Result<void> put_set_back(JobContext& r) {
  if (r.old_secrets.empty())
    return {};
  TRY(load_secret_set(r.host, r.job.site, r.old_secrets));
  return use_set(r, r.old_secrets);
}

Result<void> undo_restore_secrets(JobContext& r) {
  TRY_IN("the previous secret set is not restored", put_set_back(r));
  return {};
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
      artifact::store_copy(r.artifact.get(), secret_set_path(r.host, r.job.site, r.job.sha256),
          digest, r.host.config.artifact_max));
  TRY(load_opened(r.host, r.job.site, r.artifact.get(),
      r.file_key)); // by the key that unseal got: the vault may be gone by now
  r.file_key = SecretBytes();
  TRY(r.host.store.put_secret_set({r.job.site, r.job.sha256, r.verified->statement.serial,
      r.host.clock.wall_ms(), r.verified->signer, r.verified->signer_key}));
  if (r.old)
    if (const auto live = read_site(
            r.host.disk, cat(r.host.paths.releases(r.job.site), "/", r.old->id), r.job.site)) {
      TRY(check_secret_variables(r.host, *live));
      if (const auto problems = certificate_problems(r.host, *live); !problems.empty())
        return fail(Code::preflight, join(problems, "\n"));
    }
  const auto files = secrets::loaded_files(r.host.paths, r.job.site);
  r.info(cat(files.size(), files.size() == 1 ? " file" : " files", " in tmpfs"));
  return Next::proceed;
}

Result<void> undo_replace_secrets(JobContext& r) {
  const auto back = put_set_back(r);
  if (back)
    return {};
  // Sealed meanwhile: what was refused shall not be what the next start finds. The unlock stages
  // the one before.
  if (back.error().code == Code::sealed && secrets::wipe_secrets(r.host.paths, r.job.site))
    TRY(use_set(r, r.old_secrets));
  return within("the previous secret set is not restored", Error(back.error()));
}

} // namespace

extern const Step k_restore_secrets{.name = "restore-secrets",
    .run = run_restore_secrets,
    .undo = undo_restore_secrets,
    .recorded_first = true,
    .checks_signers = false, // it may choose another set
    .old_name = "restage"};
extern const Step k_replace_secrets{.name = "replace-secrets",
    .run = run_replace_secrets,
    .undo = undo_replace_secrets,
    .recorded_first = true,
    .old_name = "exchange"};

} // namespace chillbox::rollout
