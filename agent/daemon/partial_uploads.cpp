#include "daemon/partial_uploads.hpp"

#include <algorithm>

namespace chillbox::daemon {
namespace {

constexpr size_t k_max_of_sender = 4;

} // namespace

void PartialUploads::keep(
    const std::string& sender, const std::string& digest, PartialUpload part) {
  const Key key(sender, digest);
  const std::lock_guard lock(m_mutex);
  if (const auto other = m_parts.find(key);
      other != m_parts.end() && other->second.size >= part.size)
    return void(m_disk.remove(part.path));
  if (const auto shorter = take_out(key))
    (void)m_disk.remove(shorter->path);
  const auto is_his = [&](const auto& entry) { return entry.first.first == sender; };
  if (std::ranges::count_if(m_parts, is_his) >= static_cast<ptrdiff_t>(k_max_of_sender)) {
    auto oldest = m_parts.end();
    for (auto it = m_parts.begin(); it != m_parts.end(); ++it)
      if (is_his(*it) && (oldest == m_parts.end() || it->second.until < oldest->second.until))
        oldest = it;
    (void)m_disk.remove(oldest->second.path);
    m_parts.erase(oldest);
  }
  m_parts.emplace(key, std::move(part));
}

std::optional<PartialUpload> PartialUploads::take(
    const std::string& sender, const std::string& digest) {
  const std::lock_guard lock(m_mutex);
  return take_out({sender, digest});
}

std::optional<PartialUpload> PartialUploads::take_out(const Key& key) {
  const auto found = m_parts.find(key);
  if (found == m_parts.end())
    return std::nullopt;
  auto part = std::move(found->second);
  m_parts.erase(found);
  return part;
}

uint64_t PartialUploads::size(const std::string& sender, const std::string& digest) const {
  const std::lock_guard lock(m_mutex);
  const auto found = m_parts.find({sender, digest});
  return found == m_parts.end() ? 0 : found->second.size;
}

uint64_t PartialUploads::bytes(const std::string& sender) const {
  const std::lock_guard lock(m_mutex);
  uint64_t sum = 0;
  for (const auto& [key, part] : m_parts)
    sum += sender.empty() || key.first == sender ? part.size : 0;
  return sum;
}

void PartialUploads::drop(
    const std::function<bool(const std::string&, const PartialUpload&)>& which) {
  const std::lock_guard lock(m_mutex);
  std::erase_if(m_parts, [&](const auto& entry) {
    const bool goes = which(entry.first.first, entry.second);
    if (goes)
      (void)m_disk.remove(entry.second.path);
    return goes;
  });
}

os::Millis PartialUploads::expire(os::Millis now) {
  drop([&](const std::string&, const PartialUpload& part) { return part.until <= now; });
  os::Millis next{-1};
  const std::lock_guard lock(m_mutex);
  for (const auto& [key, part] : m_parts)
    next = next.count() < 0 ? part.until - now : std::min(next, part.until - now);
  return next;
}

} // namespace chillbox::daemon
