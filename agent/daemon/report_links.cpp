#include "daemon/report_links.hpp"

#include "base/encoding.hpp"
#include "base/secret.hpp"
#include "base/text.hpp"
#include "crypto/webhook.hpp"

#include <mutex>

namespace chillbox::daemon {
namespace {

constexpr size_t k_most_of_secret = 200; // bytes of the file
constexpr size_t k_secret = 32;

std::string with_report_mac(std::string_view secret, std::string_view until) {
  const auto mac = crypto::hmac_sha256(bytes_of(secret), {"chillbox report ", until});
  return cat(until, ".", hex(ByteView(mac).first(16)));
}

} // namespace

Result<std::string> ReportLinks::make(int64_t until_s) {
  // The secret of the second of two first links would end the first one.
  static std::mutex s_making;
  const std::lock_guard one(s_making);
  if (!m_disk.exists(m_file))
    TRY(m_disk.write(m_file, random_token(k_secret), 0600));
  const auto secret = TRY(m_disk.read(m_file, k_most_of_secret));
  if (secret.empty())
    return fail(Code::corrupt,
        cat(m_file, " is empty: `chillboxctl report --revoke`, and make the link again"));
  return with_report_mac(secret, std::to_string(until_s));
}

bool ReportLinks::admits(std::string_view link, int64_t now_s) {
  const auto secret = m_disk.read(m_file, k_most_of_secret).value_or("");
  const auto until_text = link.substr(0, link.find('.'));
  const bool is_ours = same(bytes_of(with_report_mac(secret, until_text)), bytes_of(link));
  const auto until = parse_u64(until_text);
  return is_ours && !secret.empty() && until && now_s >= 0 && static_cast<uint64_t>(now_s) < *until;
}

Result<void> ReportLinks::revoke() {
  return m_disk.remove(m_file);
}

} // namespace chillbox::daemon
