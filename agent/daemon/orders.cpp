#include "daemon/orders.hpp"

#include <utility>

namespace chillbox::daemon {

store::Job new_job(
    const rollout::HostContext& host, store::JobKind kind, SiteName site, std::string actor) {
  const int64_t now = host.clock.wall_ms();
  store::Job job{.id = store::new_job_id(now), .kind = kind, .site = std::move(site)};
  job.actor = std::move(actor);
  job.created_ms = now;
  return job;
}

} // namespace chillbox::daemon
