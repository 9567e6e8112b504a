// Signatures with an Ed25519 key of ssh, by ssh-keygen: it asks ssh-agent, which asks for a yes or
// a touch if it was told to, or else for the passphrase of the file. No private key is read here.
// What comes back is verified before it is used.
#pragma once

#include "artifact/verify.hpp"
#include "base/error.hpp"
#include "cli/laptop/places.hpp"
#include "control/messages.hpp"
#include "crypto/signing_key.hpp"

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace chillbox::cli {

struct SshKeyHere {
  crypto::SigningKey key;
  std::string file; // its .pub; "": only ssh-agent has it
};
// Those that ssh-agent has, then ~/.ssh/id_ed25519. None is no error.
std::vector<SshKeyHere> ssh_keys_here();
// The one of a .pub file; nullopt: the file is none of a key of ssh. usage: a private key.
Result<std::optional<SshKeyHere>> ssh_key_of_file(const std::string& path);

// Whether the host takes what this key signs for the site.
bool is_trusted(
    const control::Facts& facts, const std::string& site, const crypto::SigningKey& key);
// The first key of ssh here of which that is so.
std::optional<SshKeyHere> trusted_ssh_key(const control::Facts& facts, const std::string& site);

// The text of the .minisig. not_found: there is no ssh-keygen; denied: it did not sign, and why.
Result<std::string> sign_by_ssh(const Places& places, const SshKeyHere& key,
    const std::array<uint8_t, 64>& blake2b, const artifact::Statement& statement);

} // namespace chillbox::cli
