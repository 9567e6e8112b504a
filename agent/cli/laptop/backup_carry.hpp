// Archives of backups on a laptop: brought from a host or from the target, and handed to another
// host. In a folder they lie under the names that they have at a target: HOST/SITE/FILE and
// FILE.minisig. None is under its name before its signature is verified by the key of the host that
// made it, and nothing of one is decrypted before that.
#pragma once

#include "backup/archive.hpp"
#include "base/error.hpp"
#include "base/fd.hpp"
#include "cli/core/verb.hpp"
#include "cli/laptop/remote_ctl.hpp"
#include "control/backups.hpp"
#include "crypto/age.hpp"
#include "crypto/minisign.hpp"

#include <functional>
#include <optional>
#include <string>

namespace chillbox::cli {

struct CarriedArchive {
  backup::ArchiveName name;
  backup::Statement statement;
  std::string path;
  Fd file;
  uint64_t size = 0;
};

// denied: its signature is not by this key, or of another site, serial or file.
Result<CarriedArchive> open_archive(const std::string& folder, const backup::ArchiveName& name,
    const crypto::MinisignPublicKey& key);
// Brings it to its place. `fetch` writes archive and signature, or only one of both.
struct ArchiveFetch {
  std::function<Result<void>(int to)> archive;
  std::function<Result<std::string>()> signature; // after the archive
};
Result<CarriedArchive> bring_archive(const std::string& folder, const backup::ArchiveName& name,
    const crypto::MinisignPublicKey& key, const ArchiveFetch& fetch);

// The key by which a host signs its backups, as it was first seen here. denied: it is another one
// now.
Result<crypto::MinisignPublicKey> pin_backup_key(
    const Places& places, const Target& target, const std::string& said);
// The backup of that serial, or the newest, from the host. What is in the folder already is not
// brought again.
struct Pulled {
  control::Backup backup;
  CarriedArchive archive;
};
Result<Pulled> pull_backup(RemoteCtl& from, const control::BackupList& list,
    const std::string& site, std::optional<uint64_t> serial, const std::string& folder);

// Of -i, or the own key.
Result<crypto::AgeIdentity> backup_identity(Call& call, const std::string& file);
// Encrypted again, to this recipient and the identity, and handed to the host, which checks each
// digest in it.
Result<control::Backup> push_archive(RemoteCtl& to, const std::string& recipient,
    const CarriedArchive& archive, const crypto::AgeIdentity& identity);

} // namespace chillbox::cli
