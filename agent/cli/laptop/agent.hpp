// The agent: a process that keeps the person's key in locked memory, so that the passphrase is
// typed once in fifteen minutes. It is started by the first signature (signer.hpp) and listens on
// runtime/agent.sock, 0600, in a directory that only this user can enter.
//
// One connection, one request, as frames of JSON (control/control.hpp), from this user only:
//   {"verb":"sign","key":ID,"blake2b":HEX,"statement":"chillbox site=..."}  {"signature":TEXT}
//   {"verb":"open","key":ID,"header":BASE64}   the file key of an age file of the person's, then as
//                                              a raw frame
//   {"verb":"status"}  {"verb":"lock"}
// It signs only statements about artifacts (artifact/verify.hpp), written by itself from what it
// understood. The key is never given out. It ends after 15 minutes (agent_idle in config.toml)
// without a request that used the key, after 8 hours, at `lock`, after a suspend, and at the
// logout: when its socket is gone, or when the session that started it is, if the directory
// outlives sessions.
//
// No defence: a process of the same user may ask it for signatures while it runs. Such a process
// can neither read the key (PR_SET_DUMPABLE 0) nor, by the same rule, trace the agent.
#pragma once

#include "base/encoding.hpp"
#include "base/error.hpp"
#include "base/fd.hpp"
#include "base/json.hpp"
#include "cli/laptop/places.hpp"
#include "crypto/age.hpp"
#include "crypto/minisign.hpp"
#include "os/clock.hpp"

#include <chrono>
#include <optional>
#include <string>

namespace chillbox::cli {

inline constexpr std::chrono::hours k_agent_life{8};

// What it answers, and for how long; the process around it is in agent.cpp.
class KeyAgent {
public:
  KeyAgent(crypto::MinisignSecretKey key, std::string name, os::Millis idle, os::Millis now);
  struct Answer {
    Result<std::string> text; // JSON
    SecretBytes secret;       // a raw frame after it, unless empty
  };
  Answer answer(const std::string& request, os::Millis now);
  bool ended(os::Millis now) const;
  os::Millis left(os::Millis now) const;

private:
  Result<std::string> sign(const Json& request);
  Result<SecretBytes> open(const Json& request);
  std::string status(os::Millis now) const;

  crypto::MinisignSecretKey m_key;
  crypto::AgeIdentity m_identity;
  std::string m_name, m_id;
  os::Millis m_idle, m_started, m_used;
  bool m_locked = false;
};

// Where its socket is: in a directory of this user's, 0700, no link. denied: it is none, and then
// there is no agent.
Result<std::string> agent_socket(const Places& places);

// Starts the process; it answers when this returns. The key goes through a pair of sockets.
Result<void> start_agent(
    const Places& places, const crypto::MinisignSecretKey& key, const std::string& name);
// The process itself: `chillboxctl __agent SOCKET NAME IDLE_MINUTES SESSION`, with the pair at
// descriptor 3.
int run_agent(const std::vector<std::string>& words);

} // namespace chillbox::cli
