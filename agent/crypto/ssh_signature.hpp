// A signature by a key of ssh over any text, as `ssh-keygen -Y sign` writes it (OpenSSH,
// PROTOCOL.sshsig): Ed25519, version 1, SHA-512, nothing reserved. RSA, ECDSA and security keys are
// refused, and so is a signature whose namespace is another than the one asked for: what somebody
// signed for git, a login or a mail is no signature here.
#pragma once

#include "base/encoding.hpp"
#include "base/error.hpp"
#include "crypto/ssh_key.hpp"

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

namespace chillbox::crypto {

class SshSignature {
public:
  // From BEGIN to END, each line with its end. invalid: anything else; too_large: over 4 KiB.
  static Result<SshSignature> parse(std::string_view armored);
  // claimed: to look the key up, proven only by verify()
  const SshPublicKey& key() const { return m_key; }
  // denied: another key, another namespace, another text, each with its own message.
  Result<void> verify(
      const SshPublicKey& key, std::string_view name_space, std::string_view text) const;

private:
  SshPublicKey m_key;
  std::string m_namespace;
  std::array<uint8_t, 64> m_signature{};
};

inline constexpr std::string_view k_ssh_signature_begin = "-----BEGIN SSH SIGNATURE-----";
inline constexpr std::string_view k_ssh_signature_end = "-----END SSH SIGNATURE-----";

} // namespace chillbox::crypto
