// What a job or a laptop waits for, from the sources of [fetch] (artifact/fetch.hpp), within the
// limits that uploads have.
#pragma once

#include "artifact/fetch.hpp"
#include "base/error.hpp"
#include "base/names.hpp"
#include "rollout/host_context.hpp"
#include "rollout/job_context.hpp"

#include <cstdint>
#include <functional>
#include <string>

namespace chillbox::rollout {

// throttled: uploads without a release would take more than limits.uploads_max, or those of one
// webhook sender more than half of it; no_space. `more` bytes are to come.
Result<void> check_upload_room(HostContext& host, const std::string& actor, uint64_t more);

struct FetchOrder {
  Digest digest;
  uint64_t size = 0; // that was announced
  std::string actor;
  std::function<bool()> cancelled;
};
// The artifact into the store, unless it is there. preflight: the host has no [fetch].
Result<void> fetch(HostContext& host, const FetchOrder& order, const artifact::Note& note);

// For a job that would wait for an upload: what it lacks, if there are sources. What they do not
// have is an event, and an upload may still come. interrupted.
Result<void> fetch_missing(JobContext& r, const Digest& digest);

} // namespace chillbox::rollout
