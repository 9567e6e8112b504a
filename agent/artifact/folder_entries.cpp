#include "artifact/pack.hpp"

#include "artifact/policy.hpp"
#include "base/fd.hpp"
#include "base/text.hpp"
#include "os/tree_walk.hpp"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>

namespace chillbox::artifact {
namespace {

class FolderReader {
public:
  FolderReader(const std::string& dir, const std::string& prefix, const Skip& skip)
      : m_dir(dir), m_prefix(prefix), m_skip(skip) {}
  // `below`: path relative to the directory, "" for itself. Returns whether anything in it was
  // taken.
  Result<bool> folder(const os::At& at, const std::string& below);
  std::vector<PackEntry> entries;

private:
  Result<bool> entry(const os::At& at, const std::string& name, const std::string& below);
  std::string on_disk(const std::string& below) const {
    return below.empty() ? m_dir : cat(m_dir, "/", below);
  }

  const std::string& m_dir;
  const std::string& m_prefix;
  const Skip& m_skip;
};

// Whether it was taken.
Result<bool> FolderReader::entry(
    const os::At& at, const std::string& name, const std::string& below) {
  const struct stat st = TRY(os::stat_at(at, name));
  if (m_skip && m_skip(below, S_ISDIR(st.st_mode)))
    return false;
  const std::string path = m_prefix.empty() ? below : cat(m_prefix, "/", below);
  TRY(check_path(path));
  if (S_ISLNK(st.st_mode)) {
    const auto target = TRY(os::link_target(at, name));
    TRY(check_link(path, target));
    entries.push_back({.name = path, .source = {}, .content = {}, .link_target = target});
    return true;
  }
  if (S_ISREG(st.st_mode)) {
    entries.push_back({.name = path,
        .source = on_disk(below),
        .content = {},
        .executable = (st.st_mode & S_IXUSR) != 0,
        .link_target = {}});
    return true;
  }
  if (!S_ISDIR(st.st_mode))
    return fail(Code::denied, cat(on_disk(below), ": is neither file, folder nor symlink"));
  // Not os::enter(): a folder of the site may be a mount.
  const Fd fd(openat(at.fd, name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!fd)
    return fail_errno(on_disk(below), errno);
  if (!TRY(folder(os::At{fd.get(), on_disk(below)}, below)))
    entries.push_back(
        {.name = path, .source = {}, .content = {}, .link_target = {}, .directory = true});
  return true;
}

Result<bool> FolderReader::folder(const os::At& at, const std::string& below) {
  bool any = false;
  for (const auto& name : TRY(os::names_in(at))) {
    const bool taken = TRY(entry(at, name, below.empty() ? name : cat(below, "/", name)));
    any = any || taken;
  }
  return any;
}

} // namespace

Result<std::vector<PackEntry>> folder_entries(
    const std::string& dir, const std::string& prefix, const Skip& skip) {
  const Fd fd(open(dir.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd)
    return fail_errno(dir, errno);
  FolderReader reader(dir, prefix, skip);
  TRY(reader.folder(os::At{fd.get(), dir}, ""));
  std::ranges::sort(reader.entries, {}, &PackEntry::name);
  return std::move(reader.entries);
}

} // namespace chillbox::artifact
