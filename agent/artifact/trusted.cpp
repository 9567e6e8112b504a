#include "artifact/verify.hpp"

#include "base/fd.hpp"
#include "base/text.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <memory>

namespace chillbox::artifact {
namespace {

constexpr size_t k_max_key_file = 8 * 1024;
constexpr std::string_view k_suffix = ".pub";

Result<std::vector<std::string>> parse_sites(std::string_view list) {
  std::vector<std::string> sites;
  for (auto word : split(list, ','))
    sites.push_back(TRY(SiteName::parse(trim(word))).str());
  return sites;
}

// What only root can change is what root said. In tests the one who runs them stands in for root.
Result<void> check_owner(int fd) {
  struct stat st{};
  if (fstat(fd, &st) != 0)
    return fail_errno("stat", errno);
  if (!S_ISREG(st.st_mode))
    return fail(Code::denied, "not a regular file");
  if ((st.st_uid != 0 && st.st_uid != geteuid()) || (st.st_mode & (S_IWGRP | S_IWOTH)) != 0)
    return fail(Code::denied, "writable by others than root: chown root and chmod 0644 it");
  return {};
}

Result<std::string> read_key_file(int dir, const std::string& name) {
  const Fd fd(openat(dir, name.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
  if (!fd)
    return errno == ELOOP ? Result<std::string>(fail(Code::denied, "is a symlink")) : fail_errno("open", errno);
  TRY(check_owner(fd.get()));
  std::string text(k_max_key_file + 1, '\0');
  const ssize_t n = pread(fd.get(), text.data(), text.size(), 0);
  if (n < 0)
    return fail_errno("read", errno);
  if (static_cast<size_t>(n) > k_max_key_file)
    return fail(Code::too_large, cat("over ", k_max_key_file, " bytes: not a public key"));
  text.resize(static_cast<size_t>(n));
  return text;
}

} // namespace

Result<TrustedKey> parse_trusted(std::string_view text, std::string_view name) {
  auto lines = split(text, '\n');
  const size_t key_lines = lines[0].starts_with("untrusted comment:") ? 2 : 1;
  if (lines.size() < key_lines)
    return fail(Code::invalid, "not a minisign public key: no second line");
  const std::string own = key_lines == 2 ? cat(lines[0], "\n", lines[1], "\n") : cat(lines[0], "\n");
  const auto public_key = TRY(crypto::MinisignPublicKey::parse(own));
  TrustedKey key{std::string(name), public_key, {}};
  for (size_t i = key_lines; i < lines.size(); ++i) {
    const auto line = trim(lines[i]);
    if (line.empty() || line.starts_with('#'))
      continue;
    if (!line.starts_with("sites:") || !key.sites.empty())
      return fail(Code::invalid,
                  cat("line ", i + 1, ": '", printable(line, 60), "' is not one 'sites: NAME,NAME' line"));
    key.sites = TRY_IN(cat("line ", i + 1), parse_sites(line.substr(6)));
  }
  return key;
}

std::string trusted_text(const TrustedKey& key) {
  return key.sites.empty() ? key.key.to_file() : cat(key.key.to_file(), "sites: ", join(key.sites, ","), "\n");
}

Result<std::vector<TrustedKey>> load_trusted(const std::string& dir) {
  const std::unique_ptr<DIR, int (*)(DIR*)> open_dir(opendir(dir.c_str()), closedir);
  if (!open_dir && errno == ENOENT)
    return std::vector<TrustedKey>{};
  if (!open_dir)
    return fail_errno(cat("open ", dir), errno);
  std::vector<std::string> names;
  while (const dirent* entry = readdir(open_dir.get()))
    if (std::string name = entry->d_name; name.ends_with(k_suffix) && !name.starts_with('.'))
      names.push_back(std::move(name));
  std::ranges::sort(names);
  std::vector<TrustedKey> keys;
  for (const auto& name : names) {
    const std::string where = cat(dir, "/", printable(name));
    const auto key_name = TRY_IN(where, parse_key_name(name.substr(0, name.size() - k_suffix.size())));
    const auto text = TRY_IN(where, read_key_file(dirfd(open_dir.get()), name));
    keys.push_back(TRY_IN(where, parse_trusted(text, key_name)));
  }
  return keys;
}

} // namespace chillbox::artifact
