#include "daemon/capability.hpp"

#include "base/encoding.hpp"
#include "base/secret.hpp"
#include "base/text.hpp"
#include "crypto/webhook.hpp"

namespace chillbox::daemon {
namespace {

std::string with_job_mac(std::string_view host_secret, std::string_view said) {
  const auto mac = crypto::hmac_sha256(bytes_of(host_secret), {"chillbox job ", said});
  return cat(said, ".", hex(ByteView(mac).first(16)));
}

} // namespace

std::string capability_text(std::string_view host_secret, const Capability& capability) {
  return with_job_mac(host_secret, cat(capability.job, ".", capability.key, ".", capability.until));
}

std::optional<Capability> read_capability(std::string_view host_secret, std::string_view text) {
  const auto dot = text.rfind('.');
  if (dot == std::string_view::npos ||
      !same(bytes_of(with_job_mac(host_secret, text.substr(0, dot))), bytes_of(text)))
    return std::nullopt;
  const auto parts = split(text.substr(0, dot), '.');
  const auto until = parts.size() == 3 ? parse_u64(parts[2]) : std::nullopt;
  if (!until)
    return std::nullopt;
  return Capability{.job = std::string(parts[0]),
      .key = std::string(parts[1]),
      .until = static_cast<int64_t>(*until)};
}

} // namespace chillbox::daemon
