#include "tls/files.hpp"

#include "base/log.hpp"
#include "base/text.hpp"

namespace chillbox::tls {
namespace {

constexpr size_t k_max_file = crypto::k_max_chain + 16 * 1024;
constexpr mode_t k_private = 0600;

} // namespace

std::string Files::dir(bool in_memory) const {
  return in_memory ? m_paths.tls() : m_paths.certs();
}

std::string Files::path(const Record& record) const {
  return cat(dir(record.facts.memory), "/", record.id, ".pem");
}

std::optional<crypto::CheckedChain> Files::read(const Record& record) const {
  const auto text = m_disk.read(path(record), k_max_file);
  auto checked = text ? crypto::check_certificate_file(*text) : fail(Code::not_found, "");
  return checked ? std::optional(std::move(*checked)) : std::nullopt;
}

Result<std::string> Files::write_candidate(const Record& record, std::string_view pem) {
  const std::string candidate = path(record) + ".new";
  TRY(m_disk.make_dir(dir(record.facts.memory), record.facts.memory ? 0711 : 0755));
  if (auto written = m_disk.write(candidate, pem, k_private); !written) {
    (void)m_disk.remove(candidate);
    return std::unexpected(written.error());
  }
  return candidate;
}

// The copy first: a crash between the two leaves the same text twice, and nothing lost. A copy that
// is there already is of the last one that was proven.
Result<void> Files::put(const Record& record) {
  const std::string file = path(record), old = file + ".old";
  if (m_disk.exists(file) && !m_disk.exists(old) && read(record))
    TRY(m_disk.write(old, TRY(m_disk.read(file, k_max_file)), k_private));
  return m_disk.rename(file + ".new", file);
}

// It may have failed before the candidate took the place of anything.
Result<void> Files::put_back(const Record& record, const std::string& sha256) {
  const std::string file = path(record), old = file + ".old";
  (void)m_disk.remove(file + ".new");
  if (m_disk.exists(old))
    return m_disk.rename(old, file);
  const auto now = read(record);
  return now && now->leaf_facts.sha256 != sha256 ? Result<void>{} : m_disk.remove(file);
}

void Files::proven(const Record& record) {
  for (const char* suffix : {".old", ".new", ".key"})
    if (const std::string file = path(record) + suffix; m_disk.exists(file))
      if (auto removed = m_disk.remove(file); !removed)
        log::warn(cat("tls: ", removed.error().message));
}

Result<void> Files::remove(const Record& record) {
  for (const char* suffix : {"", ".old", ".new", ".key"})
    TRY(m_disk.remove(path(record) + suffix));
  return {};
}

Result<void> Files::write_key(const Record& record, std::string_view key) {
  TRY(m_disk.make_dir(dir(true), 0711));
  return m_disk.write(path(record) + ".key", key, k_private);
}

Result<SecretString> Files::read_key(const Record& record) const {
  const auto text = TRY(m_disk.read(path(record) + ".key", 16 * 1024));
  return SecretString(text.begin(), text.end());
}

Result<bool> Files::repair(const Record& record) {
  if (read(record))
    return true;
  const std::string file = path(record), old = file + ".old";
  if (const auto text = m_disk.read(old, k_max_file);
      text && crypto::check_certificate_file(*text)) {
    TRY(m_disk.rename(old, file));
    log::warn(cat("tls: ", file, " was damaged or away: the one before it is put back"));
    return true;
  }
  if (const std::string pem = record.key + record.chain;
      !record.facts.memory && !record.key.empty() && crypto::check_certificate_file(pem)) {
    TRY(m_disk.write(file, pem, k_private));
    log::warn(cat("tls: ", file, " was damaged or away: it is written again from the database"));
    return true;
  }
  return false;
}

std::string own_folder(const os::Paths& paths, const std::string& site) {
  return cat(paths.certs(), "/", site, "/");
}

bool has_own_files(os::Disk& disk, const os::Paths& paths, const std::string& site) {
  const std::string folder = own_folder(paths, site);
  return disk.exists(folder + "fullchain.pem") && disk.exists(folder + "privkey.pem");
}

} // namespace chillbox::tls
