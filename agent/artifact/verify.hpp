// An artifact is accepted for its signature, not for the webhook that announced it: a
// minisign signature of a trusted deployer over the encrypted file, whose trusted comment names
// this site, this version, this digest and a serial that is newer than what is installed.
//
// The trusted comment, written by `chillboxctl pack` or by hand with `minisign -t`:
//   of a release:     chillbox site=SITE version=VERSION serial=N sha256=HEX [expires=UNIX_SECONDS]
//   of a secret set:  chillbox site=SITE secrets serial=N sha256=HEX [expires=UNIX_SECONDS]
// Words may come in any order, each once, with one space between; an unknown word, a double or a
// missing one is refused. A serial is 1 or more.
//
// A trusted key is /etc/chillbox/trusted/NAME.pub, minisign's own two lines. What may follow them
// (minisign reads no further, so that `minisign -V -p NAME.pub` still works) is ours: empty
// lines, '#' comments, and one line "sites: blog,shop" that limits the key.
#pragma once

#include "base/error.hpp"
#include "base/names.hpp"
#include "crypto/minisign.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace chillbox::artifact {

struct Statement {
  SiteName site;
  bool secrets = false;
  std::string version; // "" for secrets
  uint64_t serial = 0;
  Digest sha256;
  std::optional<int64_t> expires;
};
Result<Statement> parse_statement(std::string_view trusted_comment);
std::string statement_text(const Statement& statement);

struct TrustedKey {
  std::string name;
  crypto::MinisignPublicKey key;
  std::vector<std::string> sites; // empty: all
};
// invalid: not a key, or a line that is none of the above. A mistyped limit must not turn into no
// limit.
Result<TrustedKey> parse_trusted_key(std::string_view text, std::string_view name);
std::string trusted_key_text(const TrustedKey& key); // parse_trusted_key reads it back
// Every *.pub of the directory, by name; names that begin with a dot are passed over. One that
// cannot be used fails the whole set and is named: a deployer who is locked out should not have to
// guess. denied: writable by others than root. No directory: no keys.
Result<std::vector<TrustedKey>> load_trusted_keys(const std::string& dir);
// The same, to find out whether a key is still trusted: a file that cannot be used is not, and has
// no effect on the others.
struct TrustedKeys {
  std::vector<TrustedKey> keys;
  std::vector<Error> faults; // each names its file
};
TrustedKeys read_trusted_keys(const std::string& dir);
// sha256 of the key's base64 line, hex: unlike its id, nobody can make a key that has another's.
std::string fingerprint(const crypto::MinisignPublicKey& key);

struct Expected {
  SiteName site;
  bool secrets = false;
  std::string version; // "" : any (secrets)
  Digest sha256;
  uint64_t installed_serial = 0;
  uint64_t serial_jump_max = 1'000'000;
  bool allow_downgrade = false; // only from chillboxctl
  bool allow_jump = false;
  int64_t now_unix = 0; // max(wall clock, last seen): faults 98
};

struct Verified {
  Statement statement;
  std::string signer;     // key name
  std::string signer_key; // its fingerprint
};

// denied, each reason with its own message ("signed for site 'x', wanted 'y'", "serial 41 is older
// than installed 42", "expired ...", "no trusted key AB12... : chillboxctl trust add"); busy for a
// held serial jump. With nothing installed (serial 0) any serial will do. allow_downgrade also
// takes the installed serial itself.
Result<Verified> verify(const std::vector<TrustedKey>& trusted, std::string_view minisig,
    const std::array<uint8_t, 64>& blake2b, const Digest& actual_sha256, const Expected& wanted);

} // namespace chillbox::artifact
