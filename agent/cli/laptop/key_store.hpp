// The person's key on a laptop: config/keys/NAME.key, a minisign key that is encrypted with a
// passphrase, and NAME.pub, one file to give to others. From the same secret comes an age identity,
// for the secrets of a project: a person who can sign can read them, and there is one file to
// guard. The comment of NAME.pub has its public half, so that the file says all that others need:
//
//   untrusted comment: chillbox NAME age1...
//   RWQ...
#pragma once

#include "base/error.hpp"
#include "base/secret.hpp"
#include "cli/core/verb.hpp"
#include "cli/laptop/places.hpp"
#include "crypto/age.hpp"
#include "crypto/minisign.hpp"

#include <optional>
#include <string>
#include <string_view>

namespace chillbox::cli {

struct PublicHalf {
  std::string name;                     // "": the file does not say it
  std::optional<std::string> recipient; // "age1...", of keys that chillboxctl made
  crypto::MinisignPublicKey key;
};

struct PersonKey {
  std::string path; // NAME.key
  PublicHalf half;
};

// What scrypt costs for such a key: 256 MiB, a second.
inline constexpr crypto::ScryptLimits k_person_scrypt{8'388'608, 268'435'456};

std::string default_key_name(); // "jo@mba"
std::string public_file_text(const PublicHalf& half);
// A .pub file, of minisign too. invalid: it is none.
Result<PublicHalf> parse_public_file(std::string_view text);
crypto::AgeIdentity age_identity_of(const crypto::MinisignSecretKey& key);

// The key of this person: that of default_key_name(), else the only one. nullopt: there is none;
// conflict: several, and none has that name; denied: others may read it; invalid: its name.
Result<std::optional<PersonKey>> find_key(const Places& places);
// Makes one when there is none, and asks for its passphrase twice.
Result<PersonKey> ensure_key(Call& call, const Places& places);
// Asks for the passphrase, three times when it is wrong.
Result<crypto::MinisignSecretKey> unlock_key(Call& call, const PersonKey& key);
// Writes it with a new passphrase, which is asked for twice: all or nothing.
Result<void> write_key(Call& call, const PersonKey& key, const crypto::MinisignSecretKey& secret);

} // namespace chillbox::cli
