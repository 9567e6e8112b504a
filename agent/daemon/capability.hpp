// The capability in a job's links: "JOB.KEY.UNTIL.MAC". KEY names the webhook key that announced
// the job, UNTIL is in seconds since 1970, MAC the first 32 hex digits of HMAC-SHA256(host secret,
// "chillbox job " and all before the MAC). Nothing to store, the same after a restart. It opens
// this one job, until UNTIL or, if that is later, the job's end, and only while that key is still
// among those of the senders, which WebhookIntake::check_capability looks at.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace chillbox::daemon {

struct Capability {
  std::string job;
  std::string key; // LoadedKey::id
  int64_t until = 0;
};

std::string capability_text(std::string_view host_secret, const Capability& capability);
// nullopt when it is not one of ours. Constant time in the MAC.
std::optional<Capability> read_capability(std::string_view host_secret, std::string_view text);

} // namespace chillbox::daemon
