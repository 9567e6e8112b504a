#include "backup/placing.hpp"

#include "backup/manifest.hpp"
#include "base/text.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <ranges>

namespace chillbox::backup {
namespace {

constexpr std::string_view k_data = "data/";
constexpr std::string_view k_dump = "redis/dump.rdb"; // of an archive; in the data it is below them
constexpr uint32_t k_permissions = 0777;

bool plain_steps(std::string_view path) {
  const auto steps = split(path, '/');
  return path.find('\0') == std::string_view::npos &&
      std::ranges::all_of(steps,
          [](std::string_view step) { return !step.empty() && step != "." && step != ".."; });
}

bool is_odd(std::string_view member) {
  constexpr std::string_view k_odd = "odd/";
  return member.starts_with(k_odd) && parse_u64(member.substr(k_odd.size())).has_value();
}

// Who signed the archive did not check what is in its manifest.
Result<std::string> place_of(const ManifestEntry& entry) {
  const bool dump = entry.path == k_dump;
  if ((!dump && (!entry.path.starts_with(k_data) || !plain_steps(entry.path))) ||
      (entry.member != entry.path && !is_odd(entry.member) &&
          !(entry.kind == Kind::link && entry.member.empty())))
    return fail(Code::corrupt,
        cat("manifest.json: '", printable(entry.path, 200), "' is no place in the data"));
  return dump ? cat(k_data, k_dump) : entry.path;
}

class Placer {
public:
  explicit Placer(const std::string& dir) : m_dir(dir) {}
  Result<void> run();

private:
  Result<void> one(const ManifestEntry& entry);
  Result<void> make_dir(const std::string& path);
  // Its mode and its times.
  Result<void> finish(const std::string& path, const ManifestEntry& entry, int flags);

  const std::string& m_dir;
  Fd m_top;
  std::vector<ManifestEntry> m_folders, m_links; // last, the inner before the outer
};

Result<void> Placer::make_dir(const std::string& path) {
  if (::mkdirat(m_top.get(), path.c_str(), 0700) != 0 && errno != EEXIST)
    return fail_errno(cat("make directory ", printable(path, 200)), errno);
  return {};
}

Result<void> Placer::finish(const std::string& path, const ManifestEntry& entry, int flags) {
  const Fd fd(
      ::openat(m_top.get(), path.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC | flags));
  const std::array<timespec, 2> times{timespec{entry.mtime, 0}, timespec{entry.mtime, 0}};
  if (!fd || ::futimens(fd.get(), times.data()) != 0 ||
      ::fchmod(fd.get(), entry.mode & k_permissions) != 0)
    return fail_errno(cat("mode and time of ", printable(path, 200)), errno);
  return {};
}

Result<void> Placer::one(const ManifestEntry& entry) {
  const std::string path = TRY(place_of(entry));
  if (entry.kind == Kind::link) {
    if (entry.member.empty())
      m_links.push_back(entry);
    return {};
  }
  if (entry.kind == Kind::directory) {
    m_folders.push_back(entry);
    return entry.member == path ? Result<void>{} : make_dir(path);
  }
  if (entry.path == k_dump)
    TRY(make_dir("data/redis"));
  if (entry.member != path &&
      ::renameat(m_top.get(), entry.member.c_str(), m_top.get(), path.c_str()) != 0)
    return fail_errno(cat("put ", printable(path, 200), " in its place"), errno);
  return finish(path, entry, 0);
}

Result<void> Placer::run() {
  m_top = Fd(::open(m_dir.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!m_top)
    return fail_errno(m_dir, errno);
  TRY(make_dir("data")); // a site without any had none
  (void)TRY(read_manifest(
      m_dir + "/manifest.json", [this](const ManifestEntry& entry) { return one(entry); }));
  for (const auto& link : m_links)
    if (::symlinkat(link.target.c_str(), m_top.get(), link.path.c_str()) != 0)
      return fail_errno(cat("link ", printable(link.path, 200)), errno);
  for (const auto& folder : m_folders | std::views::reverse)
    TRY(finish(folder.path, folder, O_DIRECTORY));
  return {};
}

} // namespace

Result<ProofReport> place(const std::string& dir) {
  auto report = TRY(examine(dir, true));
  if (report.damaged.empty())
    TRY(Placer(dir).run());
  return report;
}

int restore_main(const std::string& dir) {
  return say_report(place(dir));
}

} // namespace chillbox::backup
