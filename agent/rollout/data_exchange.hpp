// The site's data and a snapshot of them, or restored ones, change places: by one rename, while
// nothing of the site runs. What is where is never guessed: before the exchange a record with the
// numbers of the two directories is on the disk, state()/snapshots/SITE/exchange.json, and stays
// until the job has ended either way. As long as it is there no crontab entry and no command of the
// site begins.
//
//   record, directories as recorded   not exchanged
//   record, the other way round       exchanged: by a job whose release is live it stays so, else
//   it
//                                     is undone, before anything of the site starts
//   record, neither                   somebody moved them: nothing is started, and it is said
#pragma once

#include "control/snapshots.hpp"
#include "rollout/job_context.hpp"
#include "rollout/steps.hpp"

namespace chillbox::rollout {

// Of a job, which may be a rollback with the data (JobOptions::with_data).
Steps steps_of(const store::Job& job);
bool data_moves(const HostContext& host, const SiteName& site);
// The number of the snapshot with which they do; nullopt: they do not.
Result<std::optional<uint64_t>> moving_snapshot(HostContext& host, const SiteName& site);
// Of a rollback with the data to this version or release, "": the last good one. not_found: no such
// release, or no snapshot of its data.
Result<control::DataLoss> data_loss(
    HostContext& host, const SiteName& site, const std::string& wanted);
// At the start of the daemon and when a job is undone: what a job of this site that did not get to
// its end has exchanged is exchanged back, with the site stopped.
Result<void> settle_exchange(HostContext& host, const SiteName& site);

} // namespace chillbox::rollout
