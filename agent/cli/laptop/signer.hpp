// Signatures and decryption with the person's key: by the agent when it runs and has this key, else
// with the passphrase, and then the agent is started for the next time. What an agent answers is
// checked here, and one that is not a process of this user is not asked.
#pragma once

#include "artifact/verify.hpp"
#include "base/error.hpp"
#include "base/secret.hpp"
#include "cli/core/verb.hpp"
#include "cli/laptop/key_store.hpp"
#include "cli/laptop/places.hpp"

#include <array>
#include <cstdint>
#include <optional>
#include <string>

namespace chillbox::cli {

struct AgentState {
  std::string name, id;
  uint64_t left_s = 0;
};
// nullopt: none runs.
Result<std::optional<AgentState>> agent_state(const Places& places);
Result<bool> lock_agent(const Places& places); // false: none ran

// The text of the .minisig over a file with this digest. usage: the passphrase is needed, and there
// is no terminal; denied: it was wrong three times.
Result<std::string> sign_artifact(Call& call, const Places& places, const PersonKey& key,
    const std::array<uint8_t, 64>& blake2b, const artifact::Statement& statement);
// The plaintext of an age file that is encrypted to this person. not_found: it is not.
Result<SecretBytes> open_age_file(
    Call& call, const Places& places, const PersonKey& key, ByteView file);

} // namespace chillbox::cli
