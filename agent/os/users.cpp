#include "os/runner.hpp"

#include "base/text.hpp"

#include <grp.h>
#include <pwd.h>

#include <cerrno>

namespace chillbox::os {
namespace {

constexpr size_t k_most = 1 << 20; // a group with very many members

// Calls `lookup(buffer, size)` with more and more room: getpwnam_r and getgrnam_r do not say how
// much they need.
template <class Lookup> int with_room(Lookup lookup) {
  int err = ERANGE;
  for (size_t size = 1024; err == ERANGE && size <= k_most; size *= 4) {
    std::string buffer(size, '\0');
    err = lookup(buffer.data(), buffer.size());
  }
  return err;
}

} // namespace

Result<User> find_user(const std::string& name) {
  std::optional<User> user;
  const int err = with_room([&](char* buffer, size_t size) {
    passwd entry{};
    passwd* found = nullptr;
    const int result = ::getpwnam_r(name.c_str(), &entry, buffer, size, &found);
    if (found != nullptr)
      user = User{found->pw_name, found->pw_uid, found->pw_gid, found->pw_dir};
    return result;
  });
  if (user)
    return *user;
  if (err != 0 && err != ENOENT)
    return fail_errno(cat("find user '", printable(name, 64), "'"), err);
  return fail(Code::not_found, cat("no such user: '", printable(name, 64), "'"));
}

Result<gid_t> find_group(const std::string& name) {
  std::optional<gid_t> gid;
  const int err = with_room([&](char* buffer, size_t size) {
    group entry{};
    group* found = nullptr;
    const int result = ::getgrnam_r(name.c_str(), &entry, buffer, size, &found);
    if (found != nullptr)
      gid = found->gr_gid;
    return result;
  });
  if (gid)
    return *gid;
  if (err != 0 && err != ENOENT)
    return fail_errno(cat("find group '", printable(name, 64), "'"), err);
  return fail(Code::not_found, cat("no such group: '", printable(name, 64), "'"));
}

} // namespace chillbox::os
