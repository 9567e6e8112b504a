// An archive on its way back: fetched, verified, unpacked and checked, each a function, so that a
// proof and a restore do the same. Nothing of it is parsed before its signature, and nothing of a
// site's bytes by root: the stager unpacks it, as a user that nobody else has, and what looks at
// digests and databases runs as another such user, contained, without a network, with a view of the
// unpacked tree alone.
#pragma once

#include "artifact/stager.hpp"
#include "backup/archive.hpp"
#include "backup/target.hpp"
#include "base/fd.hpp"
#include "base/secret.hpp"

#include <atomic>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace chillbox::backup {

struct Prover {
  os::Disk& disk;
  os::Runner& runner;
  os::Paths paths;
  const config::HostBackup& config;
  bool as_root;
  const Target& target;
  // The vault's answer to the header of an age file. sealed: the host is locked.
  std::function<Result<SecretBytes>(std::string_view age_header)> file_key;
  const std::atomic<bool>* stop = nullptr;
};

struct Fetched {
  ArchiveName name;
  Statement statement;
  std::string path; // of the archive on this host; the caller removes it
  Fd file;
};
// Gets it with its signature, and verifies that. not_found, denied, unreachable: as the target
// says; denied: the signature is not this host's for this site and serial.
Result<Fetched> fetch(const Prover& host, const ArchiveName& name);

// The file key. sealed: the host is locked.
Result<SecretBytes> unseal(const Prover& host, const Fetched& archive);

// Unpacks it into `tree`, a directory that is made, root's with mode 0700: in it is SITE/, with
// root's files 0644 and 0755. no_space: before anything is unpacked, or in the middle.
Result<artifact::StageStats> unpack(
    const Prover& host, const Fetched& archive, const SecretBytes& key, const std::string& tree);

struct Checked {
  uint64_t files = 0, databases = 0;
  std::vector<std::string> damaged; // a line each: what is not as the manifest says, or no database
  std::vector<std::string> remarks; // what the application may want to know
};
// Each size and digest of the manifest, that there is nothing else, each SQLite by integrity_check
// and foreign_key_check, Redis by redis-check-rdb. corrupt: the manifest itself is none, or another
// site's or serial's.
Result<Checked> check(const Prover& host, const Fetched& archive, const std::string& tree);

// The process that does it: `chillboxd --proof DIR`.
int proof_main(const std::string& dir);
struct ProofReport : Checked {
  std::string head; // "SITE SERIAL"
};
Result<ProofReport> examine(const std::string& dir);
std::string report_text(const ProofReport& report);
Result<ProofReport> parse_proof(std::string_view text);

} // namespace chillbox::backup
