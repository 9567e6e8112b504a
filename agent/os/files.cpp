#include "os/files.hpp"

#include "base/encoding.hpp"
#include "base/text.hpp"
#include "base/unsynced.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <cerrno>

namespace chillbox::os {
namespace {

constexpr size_t k_name_max = 255;
constexpr std::string_view k_temporary = ".tmp.";
constexpr size_t k_token = 8; // hex digits

std::string_view without_closing_slashes(std::string_view path) {
  while (path.size() > 1 && path.back() == '/')
    path.remove_suffix(1);
  return path;
}

} // namespace

std::string parent_of(const std::string& path) {
  const std::string_view p = without_closing_slashes(path);
  const size_t slash = p.rfind('/');
  if (slash == std::string_view::npos)
    return ".";
  return slash == 0 ? "/" : std::string(without_closing_slashes(p.substr(0, slash)));
}

std::string base_of(const std::string& path) {
  const std::string_view p = without_closing_slashes(path);
  const size_t slash = p.rfind('/');
  return std::string(slash == std::string_view::npos ? p : p.substr(slash + 1));
}

std::string temporary_name(const std::string& name) {
  const size_t room = k_name_max - 1 - k_temporary.size() - k_token;
  return cat(".", std::string_view(name).substr(0, room), k_temporary, random_token(k_token / 2));
}

bool is_temporary_name(std::string_view name) {
  const size_t tail = k_temporary.size() + k_token;
  if (name.size() <= tail + 1 || name.front() != '.')
    return false;
  const std::string_view end = name.substr(name.size() - tail);
  return end.starts_with(k_temporary) &&
      end.substr(k_temporary.size()).find_first_not_of("0123456789abcdef") ==
      std::string_view::npos;
}

std::unexpected<Error> fail_io(std::string_view operation, const std::string& path, int err) {
  auto failed = fail_errno(cat(operation, " ", printable(path, 1024)), err);
  struct statvfs fs{};
  if (err != ENOSPC ||
      (::statvfs(path.c_str(), &fs) != 0 && ::statvfs(parent_of(path).c_str(), &fs) != 0))
    return failed;
  Error error = std::move(failed).error();
  if (fs.f_files != 0 && fs.f_favail == 0)
    error.message += cat(" (no inodes left of ", uint64_t{fs.f_files}, ")");
  else
    error.message += cat(" (", human_size(uint64_t{fs.f_bavail} * fs.f_frsize), " free of ",
        human_size(uint64_t{fs.f_blocks} * fs.f_frsize), ")");
  return std::unexpected(std::move(error));
}

Result<Fd> open_directory(const std::string& path) {
  Fd fd(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!fd)
    return fail_io("open directory", path, errno);
  return fd;
}

Result<void> sync_file(int fd, const std::string& path) {
  if (!Unsynced::active() && ::fsync(fd) != 0)
    return fail_io("sync", path, errno);
  return {};
}

Result<void> sync_names(int directory, const std::string& path) {
  return UnsyncedNames::active() ? Result<void>{} : sync_file(directory, path);
}

Result<void> sync_directory(const std::string& path) {
  if (UnsyncedNames::active())
    return {};
  const Fd fd(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd)
    return fail_io("open directory", path, errno);
  return sync_file(fd.get(), path);
}

Result<void> sync_filesystem(int fd, const std::string& path) {
  if (!Unsynced::active() && ::syncfs(fd) != 0)
    return fail_io("sync", path, errno);
  return {};
}

Result<void> write_file(int fd, std::string_view bytes, const std::string& path) {
  if (const int err = write_fully(fd, bytes); err != 0)
    return fail_io("write", path, err);
  return {};
}

Result<void> set_owner_and_mode(int fd, Owner owner, mode_t mode, const std::string& path) {
  if (::geteuid() == 0 && ::fchown(fd, owner.uid, owner.gid) != 0)
    return fail_io("change owner of", path, errno);
  if (::fchmod(fd, mode) != 0)
    return fail_io("change mode of", path, errno);
  return {};
}

} // namespace chillbox::os
