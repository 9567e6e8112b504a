// A key of ssh that signs as ssh-keygen does, or not quite, for what ssh-keygen would never write.
#pragma once

#include "base/secret.hpp"
#include "base/text.hpp"
#include "crypto/signing_key.hpp"
#include "crypto/ssh_signature.hpp"
#include "crypto/ssh_wire.hpp"

#include <sodium.h>

#include <array>

namespace chillbox::test {

struct SshSigner {
  std::array<uint8_t, crypto_sign_PUBLICKEYBYTES> open{};
  std::array<uint8_t, crypto_sign_SECRETKEYBYTES> secret{};
  std::string type = "ssh-ed25519", magic = "SSHSIG", name_space = "artifact@chillbox", reserved,
              hash = "sha512", signature_type = "ssh-ed25519", after;
  uint8_t version = 1;

  SshSigner() {
    init_crypto();
    crypto_sign_keypair(open.data(), secret.data());
  }
  Bytes blob() const {
    Bytes out;
    crypto::put_ssh_string(out, bytes_of(type));
    crypto::put_ssh_string(out, open);
    return out;
  }
  std::string line() const { return cat("ssh-ed25519 ", base64(blob())); }
  crypto::SigningKey key() const { return crypto::SigningKey::parse(line()).value(); }

  std::string sign(std::string_view text) const {
    Bytes digest(hash == "sha256" ? crypto_hash_sha256_BYTES : crypto_hash_sha512_BYTES);
    if (hash == "sha256")
      crypto_hash_sha256(digest.data(), bytes_of(text).data(), text.size());
    else
      crypto_hash_sha512(digest.data(), bytes_of(text).data(), text.size());
    Bytes covered(magic.begin(), magic.end());
    for (const ByteView part :
        {bytes_of(name_space), bytes_of(reserved), bytes_of(hash), ByteView(digest)})
      crypto::put_ssh_string(covered, part);
    std::array<uint8_t, crypto_sign_BYTES> value{};
    crypto_sign_detached(value.data(), nullptr, covered.data(), covered.size(), secret.data());
    Bytes inner;
    crypto::put_ssh_string(inner, bytes_of(signature_type));
    crypto::put_ssh_string(inner, value);
    Bytes out(magic.begin(), magic.end());
    for (const uint8_t byte : {uint8_t{0}, uint8_t{0}, uint8_t{0}, version})
      out.push_back(byte);
    const Bytes own = blob();
    for (const ByteView part :
        {ByteView(own), bytes_of(name_space), bytes_of(reserved), bytes_of(hash), ByteView(inner)})
      crypto::put_ssh_string(out, part);
    out.insert(out.end(), after.begin(), after.end());
    return armored(base64(out));
  }
  static std::string armored(const std::string& lines) {
    std::string out = cat(crypto::k_ssh_signature_begin, "\n");
    for (size_t at = 0; at < lines.size(); at += 70)
      out += cat(lines.substr(at, 70), "\n");
    return cat(out, crypto::k_ssh_signature_end, "\n");
  }
};

} // namespace chillbox::test
