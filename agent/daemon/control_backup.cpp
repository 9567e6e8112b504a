// Verbs of backups.
#include "daemon/control_verbs.hpp"

#include "base/text.hpp"

namespace chillbox::daemon {
namespace {

Result<std::optional<SiteName>> optional_site(const Call& call) {
  if (!call.args.site || call.args.site->empty())
    return std::optional<SiteName>();
  auto site = TRY(site_of(call));
  (void)TRY(known_site(call, site));
  return std::optional(std::move(site));
}

Result<control::BackupAnswer> backup_create(const Call& call) {
  const auto site = TRY(site_of(call));
  (void)TRY(known_site(call, site));
  auto backup = TRY(call.state.monitor.backups.create(site));
  return control::BackupAnswer{std::move(backup)};
}

Result<control::BackupAnswer> backup_verify(const Call& call) {
  const auto site = TRY(site_of(call));
  (void)TRY(known_site(call, site));
  auto backup = TRY(call.state.monitor.backups.verify(site));
  return control::BackupAnswer{std::move(backup)};
}

Result<control::BackupList> backup_list(const Call& call) {
  return call.state.monitor.backups.list(TRY(optional_site(call)));
}

constexpr ControlVerb k_verbs[] = {
    {"backup_create", answer<backup_create>, true},
    {"backup_list", answer<backup_list>},
    {"backup_verify", answer<backup_verify>, true},
};

} // namespace

std::span<const ControlVerb> backup_verbs() {
  return k_verbs;
}

} // namespace chillbox::daemon
