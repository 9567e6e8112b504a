// A backup as a file: its name, its signature and the key that signs it.
//
// The archive is encrypted to the host and to the laptops of [backup] recipients, so it can be made
// while the host is locked. age does not prove who wrote a file, and anyone who can write to the
// target could put another one there, so the host signs it with a key of its own, which
// `chillboxctl init` made. A file without a valid signature is not a backup.
//
//   NAME:             HOST/SITE/YYYYMMDDTHHMMSSZ-SERIAL.data.tar.zst.age, and NAME.minisig
//   trusted comment:  chillbox data site=SITE serial=N sha256=HEX release=ID
#pragma once

#include "base/error.hpp"
#include "base/names.hpp"
#include "crypto/minisign.hpp"
#include "os/disk.hpp"
#include "os/paths.hpp"

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace chillbox::backup {

// Root's alone. In it local archives under their names, and while one is made or proven .work/SITE/
// and .proof/SITE/: no site has such a name.
std::string backups_dir(const os::Paths& paths);
inline constexpr const char *k_work_dir = ".work", *k_proof_dir = ".proof";
std::string signing_key_file(const os::Paths& paths); // root 0600, without a passphrase
std::string public_key_file(const os::Paths& paths);  // minisign's .pub
// Reads it, and makes it where there is none yet.
Result<crypto::MinisignSecretKey> signing_key(os::Disk& disk, const os::Paths& paths);
Result<crypto::MinisignPublicKey> public_key(os::Disk& disk, const os::Paths& paths);

struct ArchiveName {
  std::string host;
  SiteName site;
  int64_t taken_ms = 0;
  uint64_t serial = 0;
  std::string str() const;
  static std::optional<ArchiveName> parse(std::string_view name);
};
inline constexpr std::string_view k_signature_suffix = ".minisig";

struct Statement {
  SiteName site;
  uint64_t serial = 0;
  Digest sha256;
  std::string release;
};
std::string statement_text(const Statement& statement);
Result<Statement> parse_statement(std::string_view trusted_comment);

// That this file is what the host signed as this site's backup of that serial. denied: another
// key, another site, another file, an older one under a newer name.
Result<Statement> verify_archive(const crypto::MinisignPublicKey& key, std::string_view minisig,
    const std::array<uint8_t, 64>& blake2b, const Digest& sha256, const ArchiveName& name);

} // namespace chillbox::backup
