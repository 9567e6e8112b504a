// From a digest to checked plaintext in tmpfs.
#pragma once

#include "rollout/job_context.hpp"
#include "rollout/steps.hpp"

#include <string>

namespace chillbox::rollout {

// Gets the file key of r.artifact from the vault; wait_unlock while the host is sealed.
Result<Next> open_artifact_key(JobContext& r);
// Unpacks r.artifact with its file key into r.stage_dir() and reads r.release.site.
Result<void> unpack(JobContext& r);
// The same; denied when the site file has another version than the signature.
Result<Next> run_stage(JobContext& r);
Result<void> undo_stage(JobContext& r);

// The signature that a job goes by: what was uploaded for this job, else the one that is kept for
// the artifact, which held when it was kept. "": none yet. No upload replaces what is kept: it
// takes its place only after a verification.
std::string signature_of(HostContext& host, const store::Job& job);
std::string uploaded_signature(
    const HostContext& host, const Digest& digest, const std::string& job);

// busy, with who, when and why, while the site is held: against deploys, and against all that comes
// by a webhook.
Result<void> check_hold(HostContext& host, const SiteName& site);

} // namespace chillbox::rollout
