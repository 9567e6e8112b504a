// An OpenSSH public key, "TYPE BASE64 COMMENT" (sshd(8), AUTHORIZED_KEYS FILE FORMAT), of the types
// in use; DSA and RSA of less than 2048 bits are refused. The blob must say the same type, and
// nothing may be before the type, where sshd takes options.
#pragma once

#include "base/encoding.hpp"
#include "base/error.hpp"

#include <string>
#include <string_view>

namespace chillbox::crypto {

struct SshPublicKey {
  std::string type; // "ssh-ed25519"
  Bytes blob;
  // invalid: not one line of such a key; too_large: over 16 KiB.
  static Result<SshPublicKey> parse(std::string_view line);
  std::string to_line() const;     // "TYPE BASE64"
  std::string fingerprint() const; // "SHA256:...", as ssh-keygen -l prints it
  bool operator==(const SshPublicKey&) const = default;
};

} // namespace chillbox::crypto
