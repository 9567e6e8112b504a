#include "rollout/fetch.hpp"

#include "base/text.hpp"
#include "rollout/acquire.hpp"
#include "rollout/prune.hpp"

namespace chillbox::rollout {
namespace {

// Of uploads without a release, those included that are not complete.
Result<uint64_t> unproven_bytes(HostContext& host) {
  return TRY(unproven_artifacts(host)).bytes + TRY(host.disk.measure(host.paths.inbox())).bytes;
}

uint64_t reserve_of(const HostContext& host, const os::Space& space) {
  return space.total_bytes / 100 * host.config.reserve_percent;
}

Result<void> check_share(HostContext& host, const std::string& actor, uint64_t more) {
  if (!actor.starts_with(store::k_webhook_actor))
    return {};
  const auto there = TRY(unproven_artifacts(host));
  const auto own = there.by_actor.find(actor);
  const uint64_t has = own == there.by_actor.end() ? 0 : own->second;
  if (has + more <= host.config.uploads_max / 2)
    return {};
  return fail(Code::throttled,
      cat("uploads and fetches of one sender without a release may take ",
          human_size(host.config.uploads_max / 2), " (half of limits.uploads_max), and ",
          human_size(has), " are in use: try again later"));
}

} // namespace

Result<void> check_upload_room(HostContext& host, const std::string& actor, uint64_t more) {
  const uint64_t most = host.config.uploads_max;
  if (TRY(unproven_bytes(host)) + more > most || !check_share(host, actor, more))
    (void)TRY(prune_artifacts(host));
  if (const uint64_t there = TRY(unproven_bytes(host)); there + more > most)
    return fail(Code::throttled,
        cat("uploads without a release may take ", human_size(most), " (limits.uploads_max), and ",
            human_size(there), " are in use: `chillboxctl prune`, or try again later"));
  TRY(check_share(host, actor, more));
  const auto space = TRY(host.disk.space(host.paths.state()));
  const uint64_t need = more + reserve_of(host, space);
  if (space.free_bytes < need)
    return fail(Code::no_space,
        cat("no space on the disk of ", host.paths.state(), ": need ", human_size(need), " (",
            human_size(more), " are still to come, and ", host.config.reserve_percent,
            " % reserve), have ", human_size(space.free_bytes)));
  return {};
}

namespace {

Result<artifact::FetchHost> fetch_host(HostContext& host, std::function<bool()> cancelled) {
  const auto space = TRY(host.disk.space(host.paths.state()));
  return artifact::FetchHost{host.disk, host.runner, host.clock, host.paths, host.as_root,
      reserve_of(host, space), std::move(cancelled)};
}

Result<void> fetch_from(HostContext& host, const config::HostFetch& sources,
    const FetchOrder& order, const artifact::Note& note) {
  if (host.disk.exists(host.paths.artifact(order.digest)))
    return {};
  if (order.size > host.config.artifact_max)
    return fail(Code::too_large,
        cat(order.size, " bytes, the limit is ", host.config.artifact_max,
            " (limits.artifact_max)"));
  TRY(check_upload_room(host, order.actor, order.size));
  const auto where = TRY(fetch_host(host, order.cancelled));
  return artifact::fetch_artifact(where, sources, order.digest, order.size, note);
}

Result<void> both(JobContext& r, const config::HostFetch& sources, const Digest& digest) {
  const auto note = [&](const std::string& line) { r.info(line); };
  const auto cancelled = [&] { return r.control.cancelled(); };
  TRY(fetch_from(r.host, sources, {digest, r.job.size, r.job.actor, cancelled}, note));
  if (!signature_of(r.host, r.job).empty())
    return {};
  const auto where = TRY(fetch_host(r.host, cancelled));
  const std::string text = TRY(artifact::fetch_signature(where, sources, digest, note));
  return r.host.disk.write(uploaded_signature(r.host, digest, r.job.id), text, 0600);
}

} // namespace

Result<void> fetch(HostContext& host, const FetchOrder& order, const artifact::Note& note) {
  const auto sources = artifact::read_fetch(host.disk, host.paths);
  if (sources.from.empty())
    return fail(Code::preflight,
        cat("this host fetches nothing: set fetch.from in ", host.paths.config_file(),
            ", or deploy without --via"));
  return fetch_from(host, sources, order, note);
}

Result<void> fetch_missing(JobContext& r, const Digest& digest) {
  const auto sources = artifact::read_fetch(r.host.disk, r.host.paths);
  if (sources.from.empty())
    return {};
  const auto done = both(r, sources, digest);
  if (done)
    r.info("fetched");
  else if (done.error().code == Code::interrupted)
    return done;
  else
    r.info(cat("not fetched, an upload may still come: ", done.error().message));
  return {};
}

} // namespace chillbox::rollout
