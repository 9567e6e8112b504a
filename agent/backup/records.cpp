#include "backup/records.hpp"

#include "base/text.hpp"
#include "control/messages.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>

namespace chillbox::backup {
namespace {

constexpr size_t k_kept = 200;
constexpr size_t k_max_record = 4 * 1024 * 1024;

std::string key_of(const SiteName& site) {
  return cat("backups ", site.str());
}

} // namespace

Result<SiteRecord> Records::read(const SiteName& site) {
  SiteRecord record{
      .state = {.site = site, .problem = {}, .unproven = {}, .stale = {}}, .backups = {}};
  const auto text = TRY(m_store.meta(key_of(site)));
  if (!text || text->empty())
    return record;
  auto list =
      TRY(control::from_json<control::BackupList>(TRY(control::parse_json(*text, k_max_record))));
  if (!list.sites.empty())
    record.state = std::move(list.sites.front());
  record.backups = std::move(list.backups);
  return record;
}

Result<void> Records::write(const SiteName& site, const SiteRecord& record) {
  const control::BackupList list{
      .target = {}, .key = {}, .sites = {record.state}, .backups = record.backups};
  return m_store.set_meta(key_of(site), control::to_text(list));
}

Result<SiteRecord> Records::of(const SiteName& site) {
  const std::lock_guard lock(m_mutex);
  return read(site);
}

Result<void> Records::put(const control::Backup& backup) {
  const std::lock_guard lock(m_mutex);
  auto record = TRY(read(backup.site));
  std::erase_if(record.backups, [&](const auto& b) { return b.serial == backup.serial; });
  record.backups.push_back(backup);
  std::ranges::sort(record.backups, std::greater(), &control::Backup::serial);
  if (record.backups.size() > k_kept)
    record.backups.resize(k_kept, backup);
  return write(backup.site, record);
}

} // namespace chillbox::backup
