// Verbs that bring a site's data back from a backup.
#include "daemon/control_verbs.hpp"
#include "daemon/orders.hpp"

#include "base/text.hpp"
#include "control/restore.hpp"
#include "os/root_owned.hpp"
#include "rollout/acquire.hpp"
#include "rollout/install.hpp"
#include "rollout/snapshots.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>

namespace chillbox::daemon {
namespace {

using control::Backup;

Result<void> check_unlocked(const Call& call) {
  return call.host().vault.unsealed()
      ? Result<void>{}
      : fail(Code::sealed,
            "the host is locked, and only an unlocked one can open a backup: "
            "`chillboxctl unlock`");
}

Result<control::RestorePlan> restore_plan(const Call& call) {
  const auto site = TRY(site_of(call));
  (void)TRY(known_site(call, site));
  auto backup = TRY(call.state.monitor.backups.find(site, call.args.serial));
  control::RestorePlan plan{.backup = std::move(backup)};
  TRY(check_unlocked(call));
  if (const auto now = rollout::look_at_data(call.host(), site, plan.backup.taken_ms)) {
    plan.changed = now->changed;
    plan.newest_ms = now->newest_ms;
    plan.bytes = now->bytes;
  } else {
    plan.unknown = now.error().message; // it informs, and the way back must not depend on it
  }
  return plan;
}

Result<control::JobAnswer> restore(const Call& call) {
  const auto row = TRY(known_site(call, TRY(site_of(call))));
  if (!call.args.during_hold.value_or(false)) {
    const auto free = rollout::check_hold(call.host(), row.site);
    if (!free && free.error().code == Code::busy)
      return fail(Code::busy, cat(free.error().message, "; --during-hold restores anyway"));
    TRY(free);
  }
  if (row.live.empty())
    return fail(Code::not_found,
        cat("site '", row.site.str(), "' has no live release: deploy it, then restore its data"));
  const auto backup = TRY(call.state.monitor.backups.find(row.site, call.args.serial));
  TRY(check_unlocked(call));
  auto job = new_job(call.host(), store::JobKind::restore, row.site, call.actor);
  job.sha256 = backup.sha256;
  job.size = backup.size;
  TRY(name_job(call, job));
  TRY(call.host().store.add_job(job));
  return submit(call, job);
}

// Who could rename a directory on the way to it could have root write elsewhere.
Result<void> check_way(const std::string& directory) {
  const std::filesystem::path path(directory);
  if (!path.is_absolute() || path != path.lexically_normal() || !path.has_filename())
    return fail(Code::invalid, cat("'", printable(directory, 200), "' is no absolute path"));
  for (auto above = path.parent_path();; above = above.parent_path()) {
    struct stat st{};
    if (::lstat(above.c_str(), &st) != 0)
      return fail_errno(printable(above.string(), 200), errno);
    const bool others_write = (st.st_mode & (S_IWGRP | S_IWOTH)) != 0 && !(st.st_mode & S_ISVTX);
    if (!S_ISDIR(st.st_mode) || (st.st_uid != 0 && st.st_uid != ::geteuid()) || others_write)
      return fail(Code::denied,
          cat(printable(above.string(), 200),
              " is not a directory that root alone may change: "
              "restore to another one"));
    if (above == above.root_path())
      return {};
  }
}

// In a directory that is new and root's alone; what is in it is the site's user's.
Result<control::RestoredTo> restore_to(const Call& call) {
  if (call.visit.door != Door::operators || call.visit.uid != ::geteuid())
    return fail(Code::denied, "restore --to writes as root: only root may ask for it");
  const auto site = TRY(site_of(call));
  (void)TRY(known_site(call, site));
  const std::string directory = TRY(required(call.args.name, "directory"));
  const auto backup = TRY(call.state.monitor.backups.find(site, call.args.serial));
  TRY(check_unlocked(call));
  const auto user = TRY(rollout::site_user(call.host(), site));
  TRY(check_way(directory));
  if (::mkdir(directory.c_str(), 0700) != 0)
    return errno == EEXIST
        ? fail(Code::conflict,
              cat(printable(directory, 200), " exists: name a directory that does not"))
        : fail_errno(cat("make directory ", printable(directory, 200)), errno);
  const std::string tree = directory + "/.restore";
  auto remarks = call.state.monitor.backups.put_back(backup, tree, user);
  auto& disk = call.host().disk;
  const auto placed = remarks
      ? disk.rename(cat(tree, "/", site.str()), cat(directory, "/", site.str()))
      : std::unexpected(remarks.error());
  (void)disk.remove_tree(placed ? tree : directory);
  TRY(placed);
  return control::RestoredTo{
      .backup = backup, .directory = directory, .warnings = join(*remarks, "\n")};
}

constexpr ControlVerb k_restore_verbs[] = {
    {"restore", answer<restore>},
    {"restore_plan", answer<restore_plan>},
    {"restore_to", answer<restore_to>, true},
};

} // namespace

std::span<const ControlVerb> restore_verbs() {
  return k_restore_verbs;
}

} // namespace chillbox::daemon
