// The watch of a live release: by the job that made it live, or, when that was cut short by a job
// that failed then, by a job of the agent's own, which ends as a rollback if the release does not
// hold.
#pragma once

#include "rollout/job_context.hpp"

namespace chillbox::rollout {

os::Millis watch_of(const JobContext& r); // 0: it is not
// Before the switch: how often each copy was started again, which is no crash of the watch.
void note_respawns(JobContext& r);
// Its watch was ended by a job that wanted to replace it.
bool was_cut(const store::Release& release);
// The job that watches the site's live release again; nullopt: that needs none.
Result<std::optional<store::Job>> order_watch(HostContext& host, const SiteName& site);

} // namespace chillbox::rollout
