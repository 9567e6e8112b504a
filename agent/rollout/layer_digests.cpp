#include "rollout/layer_digests.hpp"

#include "base/text.hpp"

#include <optional>

namespace chillbox::rollout {

void LayerDigests::begin(HostContext& host, const SiteName& site, const std::string& release) {
  const std::string built = cat(host.paths.releases(site), "/", release, "/.chillbox");
  for (const auto& service : host.disk.list(built).value_or(std::vector<std::string>{}))
    if (const auto link = host.disk.read_link(cat(built, "/", service, "/layer")))
      if (*link && (*link)->starts_with(host.paths.cache(site) + "/"))
        take(host, **link);
}

Result<std::string> LayerDigests::digest(HostContext& host, const std::string& path) {
  take(host, path);
  return m_digests.at(path).get();
}

// Without a thread when none can be had.
void LayerDigests::take(HostContext& host, const std::string& path) {
  if (!m_digests.contains(path))
    m_digests[path] = std::async(std::launch::async | std::launch::deferred, [&host, path] {
      return host.disk.tree_digest(path, host.as_root ? std::optional<uid_t>(0) : std::nullopt);
    }).share();
}

} // namespace chillbox::rollout
