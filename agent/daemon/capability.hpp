// The capability in a job's links: "JOB.MAC", MAC = the first 32 hex digits of HMAC-SHA256(host secret, JOB). Nothing to store, the same after a
// restart, and it opens this one job and no other.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace chillbox::daemon {

std::string capability(std::string_view host_secret, std::string_view job);
// The job that a capability opens; nullopt when it is not one of ours. Constant time in the MAC.
std::optional<std::string> job_of_capability(std::string_view host_secret, std::string_view capability);

} // namespace chillbox::daemon
