#include "control/certificate.hpp"

#include "base/text.hpp"

namespace chillbox::control {
namespace {

bool is_under_way(CertificateState state) {
  return state == CertificateState::ordering || state == CertificateState::verifying ||
      state == CertificateState::installing;
}

} // namespace

std::optional<Result<Certificate>> end_of_order(const Certificate& before, const Certificate& now) {
  if (is_under_way(now.state))
    return std::nullopt;
  if (now.sha256 != before.sha256 && now.state == CertificateState::valid)
    return now;
  if (now.failures > before.failures || (now.state != before.state && !now.problem.empty()))
    return fail(now.state == CertificateState::waiting ? Code::preflight : Code::failure,
        cat(now.site, ": ", now.problem));
  return std::nullopt;
}

} // namespace chillbox::control
