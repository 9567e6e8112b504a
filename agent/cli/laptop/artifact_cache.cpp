#include "cli/laptop/artifact_cache.hpp"

#include "base/text.hpp"
#include "cli/core/temporary_dir.hpp"
#include "cli/laptop/deploy_memory.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>

namespace chillbox::cli {
namespace {

constexpr std::string_view k_artifact_suffix = ".tar.zst.age";
constexpr size_t k_name_digits = 16; // of the SHA-256

} // namespace

Result<ArtifactCache> ArtifactCache::open(
    const Places& places, const std::string& host, const std::string& site) {
  ArtifactCache cache(places.cache + "/artifacts", memory_name(host, site));
  TRY(make_private_dir(cache.m_dir));
  for (const std::string& left : {cat(cache.m_name, ".new."), cat(".", cache.m_name, ".new.")})
    remove_left(cache.m_dir, left);
  return cache;
}

std::string ArtifactCache::fresh() const {
  return cat(m_dir, "/", m_name, ".new.", ::getpid());
}

std::string ArtifactCache::kept(const std::string& sha256) const {
  return cat(m_dir, "/", m_name, ".", sha256.substr(0, k_name_digits), k_artifact_suffix);
}

Fd ArtifactCache::hold(const std::string& path) {
  Fd file(::open(path.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC));
  struct stat info{};
  const bool is_there = file && ::flock(file.get(), LOCK_SH | LOCK_NB) == 0 &&
      ::fstat(file.get(), &info) == 0 && info.st_nlink > 0;
  return is_there ? std::move(file) : Fd();
}

void ArtifactCache::remove_others(const std::string& path) const {
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(m_dir, error)) {
    if (entry.path() == path || !is_ours(entry.path().filename().string()))
      continue;
    const Fd file(::open(entry.path().c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC));
    if (file && ::flock(file.get(), LOCK_EX | LOCK_NB) == 0)
      ::unlink(entry.path().c_str());
  }
}

bool ArtifactCache::is_ours(std::string_view file) const {
  if (file == cat(m_name, k_artifact_suffix)) // of an older version
    return true;
  const std::string before = m_name + ".";
  return file.starts_with(before) && file.ends_with(k_artifact_suffix) &&
      file.size() == before.size() + k_name_digits + k_artifact_suffix.size() &&
      file.substr(before.size(), k_name_digits).find_first_not_of("0123456789abcdef") == file.npos;
}

} // namespace chillbox::cli
