#include "backup/archive.hpp"

#include "base/text.hpp"
#include "os/host_layout.hpp"

#include <algorithm>
#include <array>
#include <ctime>

namespace chillbox::backup {
namespace {

constexpr std::string_view k_suffix = ".data.tar.zst.age";
constexpr size_t k_max_key = 4096;
constexpr size_t k_time = sizeof "20261129T031700Z" - 1;

bool plain(std::string_view text) {
  return !text.empty() && text.size() <= 253 && text.front() != '.' && text.front() != '-' &&
      std::ranges::all_of(text, [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
            c == '.' || c == '-' || c == '_' || c == '+';
      });
}

std::string compact(int64_t ms) { // rfc3339 without its dashes and colons
  std::string text = rfc3339(ms / 1000);
  std::erase_if(text, [](char c) { return c == '-' || c == ':'; });
  return text;
}

std::optional<int64_t> parse_time(std::string_view text) {
  std::tm tm{};
  if (text.size() != k_time ||
      ::strptime(std::string(text).c_str(), "%Y%m%dT%H%M%SZ", &tm) == nullptr)
    return std::nullopt;
  const int64_t ms = int64_t{::timegm(&tm)} * 1000;
  return compact(ms) == text ? std::optional(ms) : std::nullopt;
}

std::unexpected<Error> bad_comment(std::string_view what) {
  return fail(Code::denied, cat("trusted comment of the backup: ", what));
}

} // namespace

std::string backups_dir(const os::Paths& paths) {
  return paths.state() + "/backups";
}
std::string signing_key_file(const os::Paths& paths) {
  return paths.state() + "/backup.key";
}
std::string public_key_file(const os::Paths& paths) {
  return paths.state() + "/backup.pub";
}

Result<crypto::MinisignSecretKey> signing_key(os::Disk& disk, const os::Paths& paths) {
  const std::string file = signing_key_file(paths);
  const os::Owner root = os::root_owner(paths);
  if (!disk.exists(file)) {
    const auto made = crypto::MinisignSecretKey::generate();
    TRY(disk.write(file, TRY(made.to_file({})).text(), 0600, root));
  }
  const auto text = TRY(disk.read(file, k_max_key));
  auto key = TRY_IN(file, crypto::MinisignSecretKey::parse(text, {}));
  TRY(os::write_if_changed(disk, public_key_file(paths), key.public_key().to_file(), 0644, root));
  return key;
}

Result<crypto::MinisignPublicKey> public_key(os::Disk& disk, const os::Paths& paths) {
  return crypto::MinisignPublicKey::parse(TRY(disk.read(public_key_file(paths), k_max_key)));
}

std::string ArchiveName::str() const {
  return cat(host, "/", site.str(), "/", compact(taken_ms), "-", serial, k_suffix);
}

std::optional<ArchiveName> ArchiveName::parse(std::string_view name) {
  const auto parts = split(name, '/');
  if (parts.size() != 3 || !plain(parts[0]) || !parts[2].ends_with(k_suffix))
    return std::nullopt;
  const std::string_view stem = parts[2].substr(0, parts[2].size() - k_suffix.size());
  const auto site = SiteName::parse(parts[1]);
  const auto taken = parse_time(stem.substr(0, std::min(stem.size(), k_time)));
  if (!site || !taken || stem.size() < k_time + 2 || stem[k_time] != '-')
    return std::nullopt;
  const auto serial = parse_u64(stem.substr(k_time + 1));
  if (!serial)
    return std::nullopt;
  return ArchiveName{std::string(parts[0]), *site, *taken, *serial};
}

std::string statement_text(const Statement& s) {
  return cat("chillbox data site=", s.site.str(), " serial=", s.serial, " sha256=", s.sha256.str(),
      " release=", s.release);
}

Result<Statement> parse_statement(std::string_view comment) {
  constexpr std::array<std::string_view, 4> k_words{"site=", "serial=", "sha256=", "release="};
  const auto words = split(comment, ' ');
  if (words.size() != 2 + k_words.size() || words[0] != "chillbox" || words[1] != "data")
    return bad_comment("it is not one of a backup");
  std::array<std::string_view, 4> values;
  for (size_t i = 0; i < k_words.size(); ++i) {
    if (!words[i + 2].starts_with(k_words[i]))
      return bad_comment(cat("'", k_words[i], "' is missing"));
    values[i] = words[i + 2].substr(k_words[i].size());
  }
  const auto serial = parse_u64(values[1]);
  if (!serial || *serial == 0 || !plain(values[3]))
    return bad_comment("its serial or release is none");
  auto site = TRY(SiteName::parse(values[0]));
  auto digest = TRY(Digest::parse(values[2]));
  return Statement{std::move(site), *serial, std::move(digest), std::string(values[3])};
}

Result<Statement> verify_archive(const crypto::MinisignPublicKey& key, std::string_view minisig,
    const std::array<uint8_t, 64>& blake2b, const Digest& sha256, const ArchiveName& name) {
  const auto signature = TRY(crypto::MinisignSignature::parse(minisig));
  auto statement = TRY(parse_statement(TRY(signature.verify(key, blake2b))));
  if (statement.sha256 != sha256)
    return bad_comment(
        cat("it is for sha256 ", statement.sha256.str(), ", the file has ", sha256.str()));
  if (statement.site != name.site)
    return bad_comment(
        cat("it is for site '", statement.site.str(), "', not '", name.site.str(), "'"));
  if (statement.serial != name.serial)
    return bad_comment(cat("it is for serial ", statement.serial, ", not ", name.serial,
        ": another backup has its name"));
  return statement;
}

} // namespace chillbox::backup
