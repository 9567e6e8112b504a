// An artifact is accepted for its signature, not for the webhook that announced it: one by a
// trusted key, of minisign or of ssh (signature.hpp), with a statement that names this site, this
// version, this digest and a serial that is newer than the installed one.
//
// The statement, minisign's trusted comment, written by `chillboxctl pack` or by hand:
//   of a release:     chillbox site=SITE version=VERSION serial=N sha256=HEX [expires=UNIX_SECONDS]
//   of a secret set:  chillbox site=SITE secrets serial=N sha256=HEX [expires=UNIX_SECONDS]
// that of a fleet's roster (control/fleet.hpp), whose epoch is the serial:
//   chillbox fleet=FLEET serial=N sha256=HEX [expires=UNIX_SECONDS]
// and that of the order of a rollout (control/rollout.hpp):
//   chillbox site=SITE rollout serial=N sha256=HEX [expires=UNIX_SECONDS]
// Words may come in any order, each once, with one space between; an unknown word, a double or a
// missing one is refused. A serial is 1 or more.
#pragma once

#include "artifact/trusted_keys.hpp"
#include "base/error.hpp"
#include "base/names.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace chillbox::artifact {

struct Statement {
  SiteName site; // of a roster: the fleet
  bool secrets = false, fleet = false, rollout = false;
  std::string version; // "" for secrets, rosters and orders
  uint64_t serial = 0;
  Digest sha256;
  std::optional<int64_t> expires;
};
Result<Statement> parse_statement(std::string_view trusted_comment);
std::string statement_text(const Statement& statement);
// What a signature says of itself, not proven: verify() does that. denied: nothing of the kind.
Result<Statement> stated(std::string_view signature);

struct Expected {
  SiteName site; // or the fleet, with `fleet`
  bool secrets = false, fleet = false, rollout = false;
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
// held serial jump. A roster is taken of a key that signs everything for all sites. With nothing
// installed (serial 0) any serial will do. allow_downgrade also takes the installed serial itself.
Result<Verified> verify(const std::vector<TrustedKey>& trusted, std::string_view signature,
    const std::array<uint8_t, 64>& blake2b, const Digest& actual_sha256, const Expected& wanted);

} // namespace chillbox::artifact
