// A job while it runs: what it acts on, its row, the release that it makes or goes to, and what its
// steps hand on to each other.
#pragma once

#include "artifact/stager.hpp"
#include "artifact/verify.hpp"
#include "base/error.hpp"
#include "base/fd.hpp"
#include "base/secret.hpp"
#include "rollout/host_context.hpp"
#include "rollout/job_control.hpp"
#include "rollout/layer_digests.hpp"
#include "rollout/loaded_release.hpp"

#include <cstdint>
#include <future>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace chillbox::rollout {

class Journal;

inline constexpr std::string_view k_warning = "warning: "; // before that of a release's row

struct JobContext {
  JobContext(HostContext& w, store::Job j, JobControl& s)
      : host(w), job(std::move(j)), control(s) {}

  HostContext& host;
  store::Job job;
  JobControl& control;
  Journal* journal = nullptr; // where info() and output() go; none: a plan, which records nothing

  store::SiteRow row{job.site};
  std::optional<store::Release> old; // live when the job began
  bool was_stopped = false;          // the site, until the switch
  std::string asked_when_live;       // a job that begins again: what was live when it began first
  LoadedRelease release{store::Release{{}, job.site}}; // the one it makes or goes to
  Fd artifact;
  std::unique_ptr<artifact::Stager> stager; // that waits for the file key
  SecretBytes file_key;
  std::string staged_stamp; // of what was unpacked and walked: what is installed must be that
  os::TreeSize staged_size;
  LayerDigests layers;
  std::future<Result<void>> synced; // the sync of the new tree, while it is under way
  std::optional<artifact::Verified> verified;
  std::string old_secrets; // set that was current before this job exchanged it
  std::string old_nginx;
  std::vector<std::pair<std::string, uint64_t>>
      log_start;                    // service log file, its size when the slot started
  std::set<std::string> stop_first; // services whose old copy stops before the new one starts
  std::map<std::string, uint32_t> respawns_before; // of each slot, at the switch
  std::string warning;                             // what speaks against a release that stays
  bool has_old_slot = true;                        // false: it is the next job's by now
  bool keeps_new = false;  // its copies run on: visitors could not be sent back
  std::string unwell = {}; // of the release that is live again, why it is no success either
  uint64_t prepared = 0;   // a restore's: the number of the snapshot in whose place its data are
  std::optional<os::Millis> downtime_begun; // when the first of them stopped

  std::string stage_dir() const { return host.paths.stage() + "/" + job.id; }
  std::string release_dir() const { return release.dir(host.paths); }
  // Reads what the store says of the site into `row` and `old`.
  Result<void> read_row();
  void info(std::string_view text);   // an event of kind info in the current step
  void warn(const std::string& text); // ... and in the verdict and the history
  void output(std::string_view text); // ... of kind log
};

// Runs the job from where it is to its end, or until it waits. The job's row says which. A job that
// was under way when the daemon ended is recovered first: what it left is undone and it begins
// again, or it continues after the commit.
void run_job(HostContext& host, const std::string& job_id, JobControl& control);

// The administrator's, of a job that ran and has ended as failed or cancelled.
void run_failed_hook(HostContext& host, const store::Job& job);

} // namespace chillbox::rollout
