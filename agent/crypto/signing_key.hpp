// A public key whose signatures count: one of minisign, or an Ed25519 key of ssh. Other keys of ssh
// are refused: only this type is made everywhere and needs no choices.
#pragma once

#include "base/error.hpp"
#include "crypto/minisign.hpp"
#include "crypto/ssh_key.hpp"

#include <string>
#include <string_view>
#include <variant>

namespace chillbox::crypto {

class SigningKey {
public:
  SigningKey(MinisignPublicKey key) : m_key(key) {}
  // A .pub file of either, or the key alone: minisign's one or two lines, or TYPE BASE64 COMMENT.
  static Result<SigningKey> parse(std::string_view text);
  std::string to_line() const; // "RW..", or "ssh-ed25519 AAAA.."
  std::string to_file() const; // a line, for minisign with its untrusted comment
  std::string id() const;      // as minisign or ssh-keygen -l prints it
  const MinisignPublicKey* minisign() const { return std::get_if<MinisignPublicKey>(&m_key); }
  const SshPublicKey* ssh() const { return std::get_if<SshPublicKey>(&m_key); }
  bool operator==(const SigningKey& other) const { return to_line() == other.to_line(); }

private:
  SigningKey(SshPublicKey key) : m_key(std::move(key)) {}
  std::variant<MinisignPublicKey, SshPublicKey> m_key;
};

// Of any text: whether it looks like a key of ssh.
bool is_ssh_line(std::string_view text);

} // namespace chillbox::crypto
