// From a list of files to what a host takes: encrypted (age), signed (minisign), with a serial that
// only grows. Every problem with the recipients, the key and its passphrase is found
// before the first byte is written.
#pragma once

#include "artifact/pack.hpp"
#include "artifact/verify.hpp"
#include "base/error.hpp"
#include "base/names.hpp"
#include "cli/core/verb.hpp"
#include "cli/pack/archive_summary.hpp"

#include <array>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace chillbox::cli {

// The .minisig over a file with this digest.
using Sign = std::function<Result<std::string>(
    const std::array<uint8_t, 64>& blake2b, const artifact::Statement& statement)>;

struct ArtifactSigner {
  std::vector<std::string> recipients;
  Sign sign;
  std::string outdir;
  int64_t mtime = 0; // SOURCE_DATE_EPOCH, else 0
  std::optional<int64_t> expires;
};

struct SignedArtifact {
  std::string path;
  artifact::Packed packed;
  uint64_t serial = 0;
};

// usage: names at once which of -r or -R, -k and -o are missing; example: a command with all of
// them.
Result<void> check_signer_args(const Args& args, std::string_view example);
// From -r, -R, -k, -o, --expires, --passphrase-fd; makes OUTDIR. Without -k the person's own key
// signs (cli/laptop/signer.hpp).
Result<ArtifactSigner> prepare_signer(Call& call);
// version: nullopt for a secret set. Writes OUTDIR/SITE-VERSION.tar.zst.age or
// OUTDIR/SITE.secrets.tar.zst.age, and its .minisig.
Result<SignedArtifact> encrypt_and_sign(Call& call, const ArtifactSigner& signer,
    std::vector<artifact::PackEntry> entries, const SiteName& site,
    const std::optional<Version>& version);
// Name, size, digest, serial, and what is in it when that is given.
void print_artifact(Call& call, std::string_view schema, const SiteName& site,
    const std::string& version, const SignedArtifact& sealed,
    const ArchiveSummary* contents = nullptr);

// The statement in a .minisig file, not verified: what the file says it is. not_found: no such
// file.
Result<artifact::Statement> read_statement(const std::string& minisig_path);
// Without --serial and --for: minutes since 1970 or one more than the newest of this kind in
// OUTDIR.
uint64_t next_serial(const std::string& outdir, const SiteName& site, bool secrets, int64_t now);

} // namespace chillbox::cli
