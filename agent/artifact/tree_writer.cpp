#include "artifact/tree_writer.hpp"

#include "base/text.hpp"

#include <fcntl.h>
#include <sys/stat.h>

#include <cerrno>

namespace chillbox::artifact {

Result<int> TreeWriter::enter(std::string_view dir) {
  if (dir != m_current) {
    const auto parts = dir.empty() ? std::vector<std::string_view>{} : split(dir, '/');
    size_t same = 0;
    while (same < parts.size() && same < m_levels.size() && parts[same] == m_levels[same].name)
      ++same;
    m_levels.resize(same);
    m_current = "/"; // no path that can occur, until the last level is open
    for (size_t i = same; i < parts.size(); ++i) {
      const int above = m_levels.empty() ? m_tree_fd : m_levels.back().fd.get();
      std::string name(parts[i]);
      if (mkdirat(above, name.c_str(), 0755) == 0)
        ++m_directories;
      else if (errno != EEXIST)
        return fail_errno(cat("make folder '", dir, "'"), errno);
      Fd fd(openat(above, name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
      if (!fd)
        return fail_errno(cat("open folder '", dir, "'"), errno);
      m_levels.push_back({std::move(name), std::move(fd)});
    }
    m_current = dir;
  }
  return m_levels.empty() ? m_tree_fd : m_levels.back().fd.get();
}

Result<TreeWriter::Place> TreeWriter::place(std::string_view path) {
  const auto slash = path.rfind('/');
  const auto dir = slash == std::string_view::npos ? std::string_view{} : path.substr(0, slash);
  const int fd = TRY(enter(dir));
  return Place{fd, std::string(path.substr(slash == std::string_view::npos ? 0 : slash + 1))};
}

Result<void> TreeWriter::make_dir(std::string_view path) {
  TRY(enter(path));
  return {};
}

Result<Fd> TreeWriter::create(std::string_view path, bool executable) {
  const auto at = TRY(place(path));
  Fd fd(openat(at.dir, at.name.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
      executable ? 0755 : 0644));
  if (!fd)
    return fail_errno(cat("create '", path, "'"), errno);
  return fd;
}

Result<void> TreeWriter::make_link(std::string_view path, const std::string& target) {
  const auto at = TRY(place(path));
  if (symlinkat(target.c_str(), at.dir, at.name.c_str()) != 0)
    return fail_errno(cat("link '", path, "'"), errno);
  return {};
}

} // namespace chillbox::artifact
