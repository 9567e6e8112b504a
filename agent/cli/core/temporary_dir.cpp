#include "cli/core/temporary_dir.hpp"

#include "base/text.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <filesystem>
#include <vector>

namespace chillbox::cli {
namespace {

namespace fs = std::filesystem;

bool is_left(const fs::path& path, std::string_view prefix) {
  const std::string name = path.filename();
  if (!name.starts_with(prefix))
    return false;
  const std::string_view rest = std::string_view(name).substr(prefix.size());
  const std::string_view digits = rest.substr(0, rest.find_first_of(".-"));
  const auto pid = parse_u64(digits);
  if (!pid || *pid == 0 || *pid > 1U << 30)
    return false;
  struct stat info{};
  return ::lstat(path.c_str(), &info) == 0 && info.st_uid == ::geteuid() &&
      ::kill(static_cast<pid_t>(*pid), 0) != 0 && errno == ESRCH;
}

} // namespace

void remove_left(const std::string& dir, std::string_view prefix,
    const std::function<void(const std::string& path)>& remove) {
  std::error_code error;
  std::vector<fs::path> left;
  for (auto entry = fs::directory_iterator(dir, error); entry != fs::directory_iterator();
      entry.increment(error))
    if (is_left(entry->path(), prefix))
      left.push_back(entry->path());
  for (const auto& path : left)
    if (remove)
      remove(path);
    else
      fs::remove_all(path, error);
}

Result<TemporaryDir> TemporaryDir::create(const std::string& dir, std::string_view prefix) {
  remove_left(dir, cat(prefix, "-"));
  std::string path = cat(dir, "/", prefix, "-", ::getpid(), "-XXXXXX");
  if (::mkdtemp(path.data()) == nullptr)
    return fail_errno(cat("make ", path), errno);
  return TemporaryDir(std::move(path));
}

Result<TemporaryDir> TemporaryDir::for_hooks() {
  std::error_code error;
  return create(fs::temp_directory_path(error).string(), "chillbox-hooks");
}

TemporaryDir::~TemporaryDir() {
  std::error_code error;
  if (!m_path.empty())
    fs::remove_all(m_path, error);
}

} // namespace chillbox::cli
