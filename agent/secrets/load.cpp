#include "secrets/load.hpp"

#include "base/encoding.hpp"
#include "base/fd.hpp"
#include "base/text.hpp"
#include "os/disk.hpp"

#include <fcntl.h>
#include <linux/fs.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <functional>

namespace chillbox::secrets {
namespace {

constexpr uint64_t k_max_entries = 1000; // of a set
constexpr mode_t k_folder_mode = 0750, k_file_mode = 0440;

// A name that nobody can predict.
std::string next_to(const os::Paths& paths, const SiteName& site) {
  return cat(paths.secrets(), "/.", site.str(), ".", random_token(16));
}

// Removes the set of an attempt that a crash ended; there is never another one of the same site.
Result<void> remove_begun(const os::Paths& paths, const SiteName& site) {
  const std::string begin = cat(".", site.str(), ".");
  for (const auto& name : TRY(os::real_disk().list(paths.secrets())))
    if (name.starts_with(begin))
      TRY(os::real_disk().remove_tree(cat(paths.secrets(), "/", name)));
  return {};
}

Result<Fd> open_below(int dir, const std::string& name, int flags) {
  Fd fd(openat(dir, name.c_str(), flags | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
  if (!fd)
    return fail_errno(cat("open '", printable(name), "'"), errno);
  return fd;
}

Result<void> give_to_site(int fd, gid_t group, mode_t mode) {
  // Only root can; in tests of other users the files stay theirs.
  if ((geteuid() == 0 && fchown(fd, 0, group) != 0) || fchmod(fd, mode) != 0)
    return fail_errno("change owner", errno);
  return {};
}

// One service's folder: files and nothing else.
Result<void> settle_service(
    int set, const std::string& dir, const std::string& service, gid_t group) {
  if (const auto name = ServiceName::parse(service); !name)
    return fail(Code::denied,
        cat("secret set: '", printable(service),
            "' is not a service's name: a set holds SERVICE/FILE"));
  const auto folder = open_below(set, service, O_RDONLY | O_DIRECTORY);
  if (!folder)
    return fail(Code::denied,
        cat("secret set: '", printable(service), "' is not a folder: a set holds SERVICE/FILE"));
  for (const auto& name : TRY(os::real_disk().list(cat(dir, "/", service)))) {
    const Fd file = TRY_IN("secret set", open_below(folder->get(), name, O_RDONLY));
    struct stat st{};
    if (fstat(file.get(), &st) != 0 || !S_ISREG(st.st_mode))
      return fail(Code::denied,
          cat("secret set: '", service, "/", printable(name),
              "' is not a file: a set holds SERVICE/FILE"));
    TRY(give_to_site(file.get(), group, k_file_mode));
  }
  return give_to_site(folder->get(), group, k_folder_mode);
}

// Checks the shape of the set and gives it to root and the site. The directory itself comes last:
// until then nobody else can look into it.
Result<void> settle(const std::string& dir, gid_t group) {
  const Fd set = TRY(open_below(AT_FDCWD, dir, O_RDONLY | O_DIRECTORY));
  for (const auto& service : TRY(os::real_disk().list(dir)))
    TRY(settle_service(set.get(), dir, service, group));
  return give_to_site(set.get(), group, k_folder_mode);
}

// Exchanges the two in one rename. The old set is at `next` afterwards, if there was one.
Result<void> swap_in(const std::string& next, const std::string& live) {
  auto rename2 = [&](unsigned flags) {
    return syscall(SYS_renameat2, AT_FDCWD, next.c_str(), AT_FDCWD, live.c_str(), flags) == 0;
  };
  if (rename2(RENAME_EXCHANGE) || (errno == ENOENT && rename2(RENAME_NOREPLACE)))
    return {};
  return fail_errno(cat("put ", live, " in place"), errno);
}

Result<void> overwrite(const std::string& path) {
  const Fd fd(open(path.c_str(), O_WRONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
  struct stat st{};
  if (!fd || fstat(fd.get(), &st) != 0)
    return errno == EACCES ? Result<void>{}
                           : fail_errno(cat("wipe ", path), errno); // 0440: only root may
  static constexpr std::array<uint8_t, 4096> k_zeros{};
  for (off_t at = 0; at < st.st_size;) {
    const auto n = pwrite(fd.get(), k_zeros.data(),
        std::min<size_t>(k_zeros.size(), static_cast<size_t>(st.st_size - at)), at);
    if (n <= 0)
      return fail_errno(cat("wipe ", path), errno);
    at += n;
  }
  return {};
}

} // namespace

Result<void> load_secrets(const os::Paths& paths, const SiteName& site, int artifact_fd,
    const SecretBytes& file_key, bool own_user, gid_t site_group, uint64_t size_limit) {
  TRY_IN("secrets", remove_begun(paths, site));
  const std::string next = next_to(paths, site);
  TRY_IN("secrets",
      artifact::stage({.artifact_fd = artifact_fd,
                          .tree = next,
                          .limits = {.bytes = size_limit,
                              .entries = k_max_entries,
                              .ratio = artifact::StageLimits{}.ratio},
                          .own_user = own_user},
          file_key));
  auto placed = settle(next, site_group);
  if (placed)
    placed = swap_in(next, paths.secrets_of(site));
  // The refused new set or the replaced old one. Services may still read the old files that they
  // have open: names go, bytes stay until then.
  auto removed = os::real_disk().remove_tree(next);
  if (!placed)
    return within("secrets", std::move(placed.error()));
  return removed;
}

Result<void> wipe_secrets(const os::Paths& paths, const SiteName& site) {
  auto& disk = os::real_disk();
  const std::string live = paths.secrets_of(site);
  for (const auto& name : loaded_files(paths, site))
    TRY(overwrite(cat(live, "/", name)));
  TRY(remove_begun(paths, site));
  return disk.remove_tree(live);
}

bool secrets_loaded(const os::Paths& paths, const SiteName& site) {
  return os::real_disk().exists(paths.secrets_of(site));
}

std::vector<std::string> loaded_files(const os::Paths& paths, const SiteName& site) {
  std::vector<std::string> files;
  auto& disk = os::real_disk();
  const std::string live = paths.secrets_of(site);
  const auto services = disk.list(live);
  if (!services)
    return files;
  for (const auto& service : *services)
    if (const auto names = disk.list(cat(live, "/", service)); names)
      for (const auto& name : *names)
        files.push_back(cat(service, "/", name));
  std::ranges::sort(files);
  return files;
}

} // namespace chillbox::secrets
