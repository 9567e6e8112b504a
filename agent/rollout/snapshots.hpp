// Snapshots of a site's data: what they were right before the release_command of a release ran, and
// before a rollback or a restore put others in their place. They belong to the release that worked
// with them, and go with it.
//
//   state()/snapshots/SITE/N/data       the copy; root's alone above it
//   state()/snapshots/SITE/N/about.json what it is. Written once the copy is on the disk.
//   run()/snapshots/SITE/N.json         the same until then. A deploy does not wait for the disk:
//                                       the copy is synced after the job's end, and a copy of
//                                       which neither file says that it is whole is none. So a
//                                       power cut leaves a whole snapshot or none.
#pragma once

#include "control/snapshots.hpp"
#include "rollout/data_copy.hpp"
#include "rollout/job_context.hpp"

#include <optional>
#include <set>
#include <string>
#include <vector>

namespace chillbox::rollout {

using control::Snapshot;

std::string snapshots_dir(const os::Paths& paths, const SiteName& site);
std::string snapshot_data(const os::Paths& paths, const SiteName& site, uint64_t number);

// Newest first, by their time: an exchange puts the newest data under an old number. What is not
// whole is none.
Result<std::vector<Snapshot>> snapshots_of(HostContext& host, const SiteName& site);
// The newest of the data with which this release worked; nullopt: there is none.
Result<std::optional<Snapshot>> snapshot_for(
    HostContext& host, const SiteName& site, const std::string& release);
// What was written to the site's data after this time, and how much they are.
Result<CopyReport> look_at_data(HostContext& host, const SiteName& site, int64_t since_ms = 0);

// Before the first release_command of a deploy: takes one, unless this job did already. What speaks
// against it is said, and the deploy continues, unless data.snapshots requires one.
Result<void> keep_data(JobContext& r);
// For preflight and a plan: why there will be none; nullopt: there will be one, or none is wanted.
std::optional<std::string> snapshot_hindrance(JobContext& r);
bool snapshot_required(const JobContext& r); // then the deploy ends with it

// Says, on the disk, what is in the directory of a snapshot: of one that is made, or of the data
// that an exchange put there.
Result<void> record_snapshot(HostContext& host, const SiteName& site, const Snapshot& snapshot);
// For data that are made there by a restore: the next number, and its directory, root's alone.
uint64_t next_snapshot(HostContext& host, const SiteName& site);
Result<std::string> make_snapshot_dir(HostContext& host, const SiteName& site, uint64_t number);
// What is in the place of a snapshot and not whole.
Result<void> remove_unfinished_snapshots(HostContext& host, const SiteName& site);
// Syncs those that are not yet on the disk.
Result<void> settle_snapshots(HostContext& host, const SiteName& site);
struct KeptSnapshots {
  std::set<std::string> releases = {}; // of these the newest `keep`
  uint32_t keep = 1;
  std::optional<uint64_t> exchanged; // changes places with the data, which may be in it
  bool unfinished = false;           // also what is not whole: a job is making it
};
// The directories that go.
std::vector<std::string> old_snapshots(
    HostContext& host, const SiteName& site, const KeptSnapshots& wanted);
// With the site.
Result<void> remove_snapshots(HostContext& host, const SiteName& site);

} // namespace chillbox::rollout
