// Makes the data of a backup in the place of a snapshot, next to those that are live. They and the
// live ones change places afterwards (data_exchange.cpp).
#include "rollout/data_exchange.hpp"
#include "rollout/snapshots.hpp"
#include "rollout/steps.hpp"

#include "base/text.hpp"
#include "os/exchange.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>

namespace chillbox::rollout {
namespace {

Result<void> sync(const std::string& path) {
  const Fd dir(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  return dir && ::syncfs(dir.get()) == 0 ? Result<void>{} : fail_errno(cat("sync ", path), errno);
}

// A job that a crash ended after it had kept what the data were: they are restored.
Result<bool> was_restored(JobContext& r) {
  for (const auto& snapshot : TRY(snapshots_of(r.host, r.job.site)))
    if (snapshot.job == r.job.id)
      return true;
  return false;
}

Result<void> check_places(JobContext& r) {
  const std::string dir = r.host.paths.state(), data = r.host.paths.data(r.job.site);
  if (!r.host.disk.exists(data))
    return fail(Code::preflight, cat("'", r.job.site.str(), "' has no data directory ", data));
  if (!os::same_filesystem(dir, data))
    return fail(Code::preflight,
        cat(data, " and ", dir, " are two file systems, which cannot change places: restore with ",
            "--to, and copy"));
  return {};
}

// What is in the place of a snapshot and none. While a record of an exchange is there, it may be
// the data themselves.
Result<void> undo_fetch(JobContext& r) {
  if (!data_moves(r.host, r.job.site))
    TRY_IN("what was restored is still there", remove_unfinished_snapshots(r.host, r.job.site));
  return {};
}

Result<Next> run_fetch(JobContext& r) {
  const auto& site = r.job.site;
  if (TRY(was_restored(r))) {
    r.job.message = "restored; the daemon was restarted at its end";
    return Next::finished;
  }
  if (!r.host.vault.unsealed()) // it was locked, or restarted, since this was asked for
    return Next::wait_unlock;
  TRY(check_places(r));
  const auto backup = TRY(r.host.backups.find(site, r.job.sha256));
  r.prepared = next_snapshot(r.host, site);
  const std::string to = snapshot_data(r.host.paths, site, r.prepared);
  const std::string dir = TRY(make_snapshot_dir(r.host, site, r.prepared)), tree = dir + "/tree";
  const auto remarks = r.host.backups.put_back(backup, tree, r.release.user);
  if (!remarks && remarks.error().code == Code::sealed) {
    TRY(undo_fetch(r));
    return Next::wait_unlock;
  }
  TRY(remarks);
  TRY(r.host.disk.rename(cat(tree, "/", site.str(), "/data"), to));
  TRY(r.host.disk.make_dir(to, 0700, {r.release.user.uid, r.release.user.gid}));
  TRY(r.host.disk.remove_tree(tree));
  TRY(sync(to));
  for (const auto& remark : *remarks)
    r.warn(remark);
  r.info(cat("backup ", backup.serial, " of ", rfc3339(backup.taken_ms / 1000), ", release ",
      backup.release, ": ", backup.files, " files, ", human_size(backup.bytes),
      "; its signature and each digest are good"));
  return Next::proceed;
}

} // namespace

extern const Step k_fetch{.name = "fetch", .run = run_fetch, .undo = undo_fetch};

} // namespace chillbox::rollout
