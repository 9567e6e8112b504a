#include "backup/records.hpp"

#include "base/text.hpp"
#include "control/messages.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <ranges>

namespace chillbox::backup {
namespace {

constexpr size_t k_gone = 200; // that are known of those that are gone
constexpr size_t k_told = 200; // that have their warnings, of up to 26 KB each
// `keep` names 3,000 at most; more are there only where a target refuses to delete.
constexpr size_t k_most = 10'000;
constexpr const char* k_due = "backups due"; // meta
constexpr size_t k_max_record = 16 * 1024 * 1024;

std::string key_of(const SiteName& site) {
  return cat("backups ", site.str());
}

// What is at the target stays known: nobody would delete it otherwise.
void forget_oldest(std::vector<control::Backup>& newest_first) {
  size_t gone = 0;
  std::erase_if(newest_first, [&](const auto& b) { return b.gone_ms != 0 && ++gone > k_gone; });
  if (newest_first.size() > k_most)
    newest_first.erase(newest_first.begin() + k_most, newest_first.end());
  for (size_t i = k_told; i < newest_first.size(); ++i)
    newest_first[i].warnings.clear();
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
  m_states.erase(site.str());
  return m_store.set_meta(key_of(site), control::to_text(list));
}

Result<SiteRecord> Records::of(const SiteName& site) {
  const std::lock_guard lock(m_mutex);
  return read(site);
}

Result<control::BackupState> Records::state(const SiteName& site) {
  const std::lock_guard lock(m_mutex);
  if (const auto known = m_states.find(site.str()); known != m_states.end())
    return known->second;
  const auto record = TRY(read(site));
  auto state = record.state;
  // By their serials: a clock that was ahead has made the time of an older one the latest.
  for (const auto& b : record.backups | std::views::reverse) {
    state.taken_ms = b.taken_ms;
    if (b.stored_ms != 0 && b.gone_ms == 0)
      state.stored_ms = b.taken_ms;
    if (b.proven_ms != 0 && b.gone_ms == 0)
      state.proven_ms = b.taken_ms;
  }
  return m_states.emplace(site.str(), std::move(state)).first->second;
}

Result<std::set<SiteName>> Records::due() {
  std::set<SiteName> sites;
  const auto text = TRY(m_store.meta(k_due)).value_or("");
  for (const auto name : split(text, ' '))
    if (auto site = SiteName::parse(name))
      sites.insert(std::move(*site));
  return sites;
}

Result<void> Records::keep_due(const std::set<SiteName>& sites) {
  std::vector<std::string> names;
  for (const auto& site : sites)
    names.push_back(site.str());
  return m_store.set_meta(k_due, join(names, " "));
}

Result<void> Records::put(const control::Backup& backup) {
  const std::lock_guard lock(m_mutex);
  auto record = TRY(read(backup.site));
  std::erase_if(record.backups, [&](const auto& b) { return b.serial == backup.serial; });
  record.backups.push_back(backup);
  std::ranges::sort(record.backups, std::greater(), &control::Backup::serial);
  forget_oldest(record.backups);
  return write(backup.site, record);
}

} // namespace chillbox::backup
