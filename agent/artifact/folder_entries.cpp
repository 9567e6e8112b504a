#include "artifact/pack.hpp"

#include "artifact/policy.hpp"
#include "base/fd.hpp"
#include "base/text.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <memory>

namespace chillbox::artifact {
namespace {

class FolderReader {
public:
  FolderReader(const std::string& dir, const std::string& prefix, const Skip& skip)
      : m_dir(dir), m_prefix(prefix), m_skip(skip) {}
  // `below`: path relative to the directory, "" for itself. Returns whether anything in it was
  // taken.
  Result<bool> folder(Fd fd, const std::string& below);
  std::vector<PackEntry> entries;

private:
  Result<bool> entry(int dir, const std::string& name, const std::string& below);
  std::string on_disk(const std::string& below) const {
    return below.empty() ? m_dir : cat(m_dir, "/", below);
  }

  const std::string& m_dir;
  const std::string& m_prefix;
  const Skip& m_skip;
};

Result<std::vector<std::string>> names_in(Fd fd) {
  const std::unique_ptr<DIR, int (*)(DIR*)> dir(fdopendir(fd.get()), closedir);
  if (!dir)
    return fail_errno("read folder", errno);
  (void)fd.release(); // closedir closes it
  std::vector<std::string> names;
  errno = 0;
  while (const dirent* entry = readdir(dir.get())) {
    if (const std::string name = entry->d_name; name != "." && name != "..")
      names.push_back(name);
    errno = 0;
  }
  if (errno != 0)
    return fail_errno("read folder", errno);
  std::ranges::sort(names);
  return names;
}

Result<std::string> link_target(int dir, const std::string& name) {
  std::array<char, k_max_path + 1> target{};
  const ssize_t n = readlinkat(dir, name.c_str(), target.data(), target.size());
  if (n < 0)
    return fail_errno("read link", errno);
  return std::string(target.data(), static_cast<size_t>(n));
}

// Whether it was taken.
Result<bool> FolderReader::entry(int dir, const std::string& name, const std::string& below) {
  struct stat st{};
  if (fstatat(dir, name.c_str(), &st, AT_SYMLINK_NOFOLLOW) != 0)
    return fail_errno(on_disk(below), errno);
  if (m_skip && m_skip(below, S_ISDIR(st.st_mode)))
    return false;
  const std::string path = m_prefix.empty() ? below : cat(m_prefix, "/", below);
  TRY(check_path(path));
  if (S_ISLNK(st.st_mode)) {
    const auto target = TRY_IN(on_disk(below), link_target(dir, name));
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
  Fd fd(openat(dir, name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!fd)
    return fail_errno(on_disk(below), errno);
  if (!TRY(folder(std::move(fd), below)))
    entries.push_back(
        {.name = path, .source = {}, .content = {}, .link_target = {}, .directory = true});
  return true;
}

Result<bool> FolderReader::folder(Fd fd, const std::string& below) {
  Fd listing(openat(fd.get(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!listing)
    return fail_errno(on_disk(below), errno);
  bool any = false;
  for (const auto& name : TRY_IN(on_disk(below), names_in(std::move(listing)))) {
    const bool taken = TRY(entry(fd.get(), name, below.empty() ? name : cat(below, "/", name)));
    any = any || taken;
  }
  return any;
}

} // namespace

Result<std::vector<PackEntry>> folder_entries(
    const std::string& dir, const std::string& prefix, const Skip& skip) {
  Fd fd(open(dir.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd)
    return fail_errno(dir, errno);
  FolderReader reader(dir, prefix, skip);
  TRY(reader.folder(std::move(fd), ""));
  std::ranges::sort(reader.entries, {}, &PackEntry::name);
  return std::move(reader.entries);
}

} // namespace chillbox::artifact
