// drain, undrain: whether load balancers are told to send visitors here. A flag that NGINX looks at
// (nginx/ready.hpp): no job, no reload, and nothing that a visitor sees.
#include "base/text.hpp"
#include "daemon/control_verbs.hpp"
#include "nginx/nginx.hpp"

namespace chillbox::daemon {
namespace {

using control::Role;

Result<control::Drained> set_flag(
    const Call& call, const std::string& flag, std::string site, bool drained) {
  auto& disk = call.host().disk;
  const bool was = disk.exists(flag);
  if (was != drained)
    TRY(drained ? disk.write(flag, "", 0644) : disk.remove(flag));
  return control::Drained{.site = std::move(site), .drained = drained, .was = was};
}

template <bool drained> Result<control::Drained> of_site(const Call& call) {
  const auto site = TRY(site_of(call));
  const auto row = TRY(known_site(call, site));
  if (drained && !row.live.empty()) {
    const auto release = TRY(call.host().store.release(site, row.live));
    if (release && !nginx::has_ready(release->nginx))
      return fail(Code::conflict,
          cat("the live release of '", site.str(), "' is from before /", site.str(),
              "/ready: deploy it again first"));
  }
  return set_flag(call, nginx::drain_flag(call.host().paths, site), site.str(), drained);
}

template <bool drained> Result<control::Drained> of_host(const Call& call) {
  TRY(require_admin(call, "draining the whole host"));
  return set_flag(call, nginx::drain_flag(call.host().paths), "", drained);
}

constexpr ControlVerb k_drain_verbs[] = {
    {"drain", answer<of_site<true>>, true, Role::deploy},
    {"undrain", answer<of_site<false>>, true, Role::deploy},
    {"drain_host", answer<of_host<true>>, true, Role::admin, Reach::filtered},
    {"undrain_host", answer<of_host<false>>, true, Role::admin, Reach::filtered},
};

} // namespace

std::span<const ControlVerb> drain_verbs() {
  return k_drain_verbs;
}

} // namespace chillbox::daemon
