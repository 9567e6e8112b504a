#include "os/root_owned.hpp"

#include "base/text.hpp"
#include "os/disk.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

namespace chillbox::os {
namespace {

constexpr int k_deepest = 16; // of hooks

// Whoever can write none of the steps before cannot swap this one while it is looked at.
Result<bool> check_one(const std::string& path) {
  struct stat st{};
  if (::lstat(path.c_str(), &st) != 0)
    return fail_errno(printable(path, 1024), errno);
  if (S_ISLNK(st.st_mode))
    return fail(
        Code::denied, cat(printable(path, 1024), ": is a symlink: put the file itself there"));
  if (!S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode))
    return fail(
        Code::denied, cat(printable(path, 1024), ": is neither a file nor a directory: remove it"));
  if ((st.st_uid != 0 && st.st_uid != ::geteuid()) || (st.st_mode & (S_IWGRP | S_IWOTH)) != 0)
    return fail(Code::denied,
        cat(printable(path, 1024), ": writable by others than root: chown root and chmod go-w it"));
  return S_ISDIR(st.st_mode);
}

Result<void> check_below(const std::string& dir, int depth) {
  if (depth > k_deepest)
    return fail(Code::denied,
        cat(printable(dir, 1024), ": too deep: hooks have at most ", k_deepest, " levels"));
  for (const auto& name : TRY(real_disk().list(dir)))
    if (TRY(check_one(cat(dir, "/", name))))
      TRY(check_below(cat(dir, "/", name), depth + 1));
  return {};
}

} // namespace

Result<void> check_root_owned(const std::string& top, std::string_view below) {
  std::string path = top;
  bool is_directory = TRY(check_one(path));
  for (const auto step : below.empty() ? std::vector<std::string_view>{} : split(below, '/')) {
    path += cat("/", step);
    is_directory = TRY(check_one(path));
  }
  return is_directory && !below.empty() ? check_below(path, 0) : Result<void>{};
}

std::string host_hook(const Paths& paths, std::string_view name) {
  return cat(paths.shipped_hooks(), "/host/", name);
}

} // namespace chillbox::os
