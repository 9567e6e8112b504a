#include "crypto/signing_key.hpp"

#include "base/text.hpp"

namespace chillbox::crypto {
namespace {

constexpr std::string_view k_ssh_type = "ssh-ed25519";

} // namespace

bool is_ssh_line(std::string_view text) {
  const auto word = trim(text).substr(0, trim(text).find(' '));
  return word.starts_with("ssh-") || word.starts_with("ecdsa-") || word.starts_with("sk-");
}

Result<SigningKey> SigningKey::parse(std::string_view text) {
  if (!is_ssh_line(text))
    return SigningKey(TRY(MinisignPublicKey::parse(text)));
  auto key = TRY(SshPublicKey::parse(text));
  if (key.type != k_ssh_type)
    return fail(Code::invalid,
        cat("a key of the type ", key.type,
            " signs no artifacts, only ssh-ed25519 does: ssh-keygen -t ed25519 makes one"));
  return SigningKey(std::move(key));
}

std::string SigningKey::to_line() const {
  return ssh() != nullptr ? ssh()->to_line() : minisign()->to_line();
}

std::string SigningKey::to_file() const {
  return ssh() != nullptr ? cat(ssh()->to_line(), "\n") : minisign()->to_file();
}

std::string SigningKey::id() const {
  return ssh() != nullptr ? ssh()->fingerprint() : key_id_text(minisign()->id);
}

} // namespace chillbox::crypto
