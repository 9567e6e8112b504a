#include "daemon/capability.hpp"

#include "base/encoding.hpp"
#include "base/secret.hpp"
#include "base/text.hpp"
#include "crypto/webhook.hpp"

namespace chillbox::daemon {

std::string capability(std::string_view host_secret, std::string_view job) {
  const auto mac = crypto::hmac_sha256(bytes_of(host_secret), {"chillbox job ", job});
  return cat(job, ".", hex(ByteView(mac).first(16)));
}

std::optional<std::string> job_of_capability(std::string_view host_secret, std::string_view text) {
  const auto dot = text.find('.');
  if (dot == std::string_view::npos)
    return std::nullopt;
  const std::string expected = capability(host_secret, text.substr(0, dot));
  if (!same(bytes_of(expected), bytes_of(text)))
    return std::nullopt;
  return std::string(text.substr(0, dot));
}

} // namespace chillbox::daemon
