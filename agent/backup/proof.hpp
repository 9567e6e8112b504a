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
#include "os/runner.hpp"

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
inline constexpr size_t k_max_signature = 4096;
uint64_t most(const config::HostBackup& config); // bytes of an archive
struct GotArchive {
  std::string signature;
  Fd file;
};
// Gets it with its signature; nothing is verified. not_found, denied, unreachable: as the target
// says. `path`: of a file that is made, in a directory that is root's alone.
Result<GotArchive> get_archive(
    const Prover& host, const ArchiveName& name, const std::string& path);
// denied: the signature is not this host's for this site and serial.
Result<Fetched> verify(
    const Prover& host, const ArchiveName& name, const std::string& path, GotArchive got);
// The same of one that is on this host, because it could not be stored or came from another host;
// nothing is to be removed.
Result<Fetched> open_local(const Prover& host, const ArchiveName& name);

// The file key. sealed: the host is locked.
Result<SecretBytes> unseal(const Prover& host, const Fetched& archive);

// Unpacks it into `tree`, a directory that is made, root's with mode 0700: in it is SITE/, with
// root's files 0644 and 0755. no_space: before anything is unpacked, or in the middle.
Result<artifact::StageStats> unpack(
    const Prover& host, const Fetched& archive, const SecretBytes& key, const std::string& tree);

// Whether an error of what is done with an archive once it was got says something of the archive.
bool is_verdict(Code code);

struct Checked {
  uint64_t files = 0, databases = 0;
  std::vector<std::string> damaged; // a line each: what is not as the manifest says, or no database
  std::vector<std::string> remarks; // what the application may want to know
};
// Each size and digest of the manifest, that there is nothing else, each SQLite by integrity_check
// and foreign_key_check, Redis by redis-check-rdb. corrupt: the manifest itself is none, or another
// site's or serial's.
Result<Checked> check(const Prover& host, const Fetched& archive, const std::string& tree);

// A restore: unpacks it, checks each digest, and makes the data that they were, of the site's user:
// `tree`/SITE/data. no_space: before anything is unpacked, or in the middle; corrupt: a digest is
// not the manifest's, or the manifest leads out of the data; the tree is the caller's to remove.
Result<Checked> put_back(const Prover& host, const Fetched& archive, const SecretBytes& key,
    const std::string& tree, const os::User& owner);

// The process that does it: `chillboxd --proof DIR`.
int proof_main(const std::string& dir);
struct ProofReport : Checked {
  std::string head; // "SITE SERIAL"
};
// `as_stored`: what was damaged when it was backed up, and is as it was, is a remark.
Result<ProofReport> examine(const std::string& dir, bool as_stored = false);
int say_report(const Result<ProofReport>& report); // the roles' last word; their exit code
std::string report_text(const ProofReport& report);
Result<ProofReport> parse_proof(std::string_view text);

} // namespace chillbox::backup
