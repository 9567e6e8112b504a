#include "rollout/provided_certificate.hpp"
#include "rollout/secret_set.hpp"

#include "base/secret.hpp"
#include "base/text.hpp"
#include "crypto/certificate.hpp"

#include <algorithm>

namespace chillbox::rollout {
namespace {

constexpr size_t k_max_pem = 256 * 1024;

} // namespace

std::vector<std::string> certificate_problems(HostContext& host, const config::Site& site) {
  if (site.tls.mode != config::Tls::Mode::provided)
    return {};
  const std::string name = cat("tls/", site.slug.str(), ".pem");
  const std::string file = cat(host.paths.secrets_of(site.slug), "/", name);
  const bool by_administrator =
      host.disk.exists(cat(host.paths.state(), "/certs/", site.slug.str(), "/fullchain.pem"));
  if (by_administrator && !host.disk.exists(file))
    return {};
  if (!host.disk.exists(file))
    return {cat("certificate '", name, "' is not in the site's secret set: ", k_send_secrets,
        "; or take \"provided\" out of the site file")};
  auto pem = host.disk.read(file, k_max_pem);
  if (!pem)
    return {cat("certificate '", name, "': ", pem.error().message)};
  const auto chain = crypto::check_certificate_file(*pem);
  wipe(pem->data(), pem->size());
  if (!chain)
    return {cat("certificate '", name, "' of the secret set: ", chain.error().message)};
  std::vector<std::string> missing;
  for (const auto& domain : site.domains)
    if (std::ranges::none_of(chain->leaf_facts.names, [&](const std::string& one) {
          return one == domain || (!domain.starts_with("*.") && crypto::covers(one, domain));
        }))
      missing.push_back(cat("'", domain, "'"));
  if (missing.empty())
    return {};
  return {
      cat("certificate '", name, "' of the secret set is for ", join(chain->leaf_facts.names, ", "),
          ", and not for ", join(missing, ", "), ", which the site has as well")};
}

} // namespace chillbox::rollout
