#include "crypto/ssh_key.hpp"

#include "base/text.hpp"
#include "crypto/hash.hpp"
#include "crypto/ssh_wire.hpp"

#include <algorithm>
#include <array>

namespace chillbox::crypto {
namespace {

constexpr size_t k_max_key_line = 16 * 1024;
constexpr size_t k_least_rsa = 2048 / 8;

struct Kind {
  std::string_view type;
  size_t fields; // strings in the blob, the type's name included
};
constexpr std::array k_kinds{Kind{"ssh-ed25519", 2}, Kind{"ssh-rsa", 3},
    Kind{"ecdsa-sha2-nistp256", 3}, Kind{"ecdsa-sha2-nistp384", 3}, Kind{"ecdsa-sha2-nistp521", 3},
    Kind{"sk-ssh-ed25519@openssh.com", 3}, Kind{"sk-ecdsa-sha2-nistp256@openssh.com", 4}};

Result<void> check_blob(const Kind& kind, ByteView blob) {
  ByteView rest = blob, last;
  for (size_t i = 0; i < kind.fields; ++i) {
    const auto field = take_ssh_string(rest);
    if (!field || (i == 0 && text_of(*field) != kind.type))
      return fail(Code::invalid, cat("ssh key: the key itself is no ", kind.type));
    last = *field;
  }
  if (!rest.empty())
    return fail(Code::invalid, cat("ssh key: there is more than a ", kind.type, " in it"));
  if (kind.type == "ssh-ed25519" && last.size() != 32)
    return fail(Code::invalid, "ssh key: an Ed25519 key has 32 bytes");
  if (kind.type == "ssh-rsa" && last.size() < k_least_rsa)
    return fail(Code::invalid,
        "ssh key: an RSA key of less than 2048 bits: make one with ssh-keygen -t ed25519");
  return {};
}

} // namespace

Result<SshPublicKey> SshPublicKey::parse(std::string_view line) {
  if (line.size() > k_max_key_line)
    return fail(Code::too_large, "ssh key: longer than 16 KiB");
  line = trim(line);
  if (std::ranges::any_of(
          line, [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; }))
    return fail(Code::invalid, "ssh key: must be one line, without control characters");
  const auto words = split(line, ' ');
  const auto kind = std::ranges::find(k_kinds, words[0], &Kind::type);
  if (kind == k_kinds.end() || words.size() < 2)
    return fail(Code::invalid,
        cat("'", printable(line, 40),
            "' is no public key of ssh: it begins with ssh-ed25519, ecdsa-sha2-nistp256 or ssh-rsa"));
  auto blob = unbase64(words[1]);
  if (!blob)
    return fail(Code::invalid, cat("ssh key: ", blob.error().message));
  TRY(check_blob(*kind, *blob));
  return SshPublicKey{std::string(kind->type), std::move(*blob)};
}

std::string SshPublicKey::to_line() const {
  return cat(type, " ", base64(blob));
}

std::string SshPublicKey::fingerprint() const {
  Sha256 hash;
  hash.update(blob);
  return cat("SHA256:", base64_unpadded(hash.finish()));
}

} // namespace chillbox::crypto
