#include "artifact/trusted_keys.hpp"

#include "base/names.hpp"
#include "base/text.hpp"
#include "crypto/hash.hpp"
#include "os/disk.hpp"
#include "os/root_owned.hpp"

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

Result<std::string> read_key_file(const std::string& path) {
  auto text = os::real_disk().read(path, k_max_key_file);
  if (!text && text.error().code == Code::too_large)
    return fail(Code::too_large,
        cat(printable(path), ": over ", k_max_key_file, " bytes: not a public key"));
  return text;
}

} // namespace

Result<TrustedKey> parse_trusted_key(std::string_view text, std::string_view name) {
  auto lines = split(text, '\n');
  const size_t key_lines = lines[0].starts_with("untrusted comment:") ? 2 : 1;
  if (lines.size() < key_lines)
    return fail(Code::invalid, "not a minisign public key: no second line");
  const std::string own =
      key_lines == 2 ? cat(lines[0], "\n", lines[1], "\n") : cat(lines[0], "\n");
  const auto public_key = TRY(crypto::SigningKey::parse(own));
  TrustedKey key{std::string(name), public_key, {}};
  for (size_t i = key_lines; i < lines.size(); ++i) {
    const auto line = trim(lines[i]);
    if (line.empty() || line.starts_with('#'))
      continue;
    if (line == "only: releases" && !key.only_releases) {
      key.only_releases = true;
      continue;
    }
    if (!line.starts_with("sites:") || !key.sites.empty())
      return fail(Code::invalid,
          cat("line ", i + 1, ": '", printable(line, 60),
              "' is not one 'sites: NAME,NAME' or one 'only: releases' line"));
    key.sites = TRY_IN(cat("line ", i + 1), parse_sites(line.substr(6)));
  }
  return key;
}

std::string trusted_key_text(const TrustedKey& key) {
  return cat(key.key.to_file(), key.sites.empty() ? "" : cat("sites: ", join(key.sites, ","), "\n"),
      key.only_releases ? "only: releases\n" : "");
}

namespace {

Result<TrustedKey> load_key(const std::string& dir, const std::string& name) {
  const std::string where = cat(dir, "/", printable(name));
  const auto key_name =
      TRY_IN(where, parse_key_name(name.substr(0, name.size() - k_suffix.size())));
  TRY(os::check_root_owned(dir, name));
  const auto text = TRY(read_key_file(cat(dir, "/", name)));
  return TRY_IN(where, parse_trusted_key(text, key_name));
}

} // namespace

TrustedKeys read_trusted_keys(const std::string& dir) {
  TrustedKeys all;
  const auto names = os::real_disk().list(dir);
  if (!names)
    all.faults.push_back(names.error());
  for (const auto& name : names.value_or(std::vector<std::string>{})) {
    if (!name.ends_with(k_suffix) || name.starts_with('.'))
      continue;
    if (auto key = load_key(dir, name))
      all.keys.push_back(std::move(*key));
    else
      all.faults.push_back(std::move(key).error());
  }
  return all;
}

Result<std::vector<TrustedKey>> load_trusted_keys(const std::string& dir) {
  auto files = read_trusted_keys(dir);
  if (!files.faults.empty())
    return std::unexpected(std::move(files.faults.front()));
  return std::move(files.keys);
}

std::string fingerprint(const crypto::SigningKey& key) {
  return crypto::sha256_of(bytes_of(key.to_line())).str();
}

} // namespace chillbox::artifact
