// The armored bytes:
//   "SSHSIG"  version u32  string public key  string namespace  string reserved
//   string hash algorithm  string signature (string "ssh-ed25519", string of 64 bytes)
// What is signed:
//   "SSHSIG"  string namespace  string reserved  string hash algorithm  string H(text)
#include "crypto/ssh_signature.hpp"

#include "base/text.hpp"
#include "crypto/ssh_wire.hpp"

#include <sodium.h>

#include <algorithm>

namespace chillbox::crypto {
namespace {

constexpr size_t k_max_sshsig_text = 4 * 1024, k_max_sshsig_line = 76;
constexpr std::string_view k_magic = "SSHSIG", k_hash = "sha512", k_signer_type = "ssh-ed25519";

std::unexpected<Error> malformed_sshsig(std::string_view what) {
  return fail(Code::invalid, cat("ssh signature: ", what));
}

Result<Bytes> dearmor(std::string_view text) {
  if (text.size() > k_max_sshsig_text)
    return fail(Code::too_large, cat("ssh signature: longer than ", k_max_sshsig_text, " bytes"));
  if (text.find('\r') != std::string_view::npos)
    return malformed_sshsig("contains a carriage return: was it sent as text?");
  const auto lines = split(text, '\n');
  const size_t n = lines.size();
  if (n < 4 || lines[0] != k_ssh_signature_begin || lines[n - 2] != k_ssh_signature_end ||
      !lines[n - 1].empty())
    return malformed_sshsig(
        "must go from BEGIN SSH SIGNATURE to END SSH SIGNATURE, each on its line");
  std::string joined;
  for (size_t i = 1; i + 2 < n; ++i) {
    if (lines[i].empty() || lines[i].size() > k_max_sshsig_line)
      return malformed_sshsig("has a line that is empty or longer than 76 characters");
    joined += lines[i];
  }
  auto bytes = unbase64(joined);
  if (!bytes)
    return malformed_sshsig(bytes.error().message);
  return bytes;
}

// What a person would have to do for a key of this type.
std::unexpected<Error> wrong_type(std::string_view type) {
  return fail(Code::invalid,
      cat("ssh signature: of a key of the type '", printable(type, 40),
          "': only ssh-ed25519 signs artifacts: ssh-keygen -t ed25519"));
}

} // namespace

Result<SshSignature> SshSignature::parse(std::string_view armored) {
  const Bytes bytes = TRY(dearmor(armored));
  ByteView rest = bytes;
  constexpr std::array<uint8_t, 4> k_version{0, 0, 0, 1};
  if (rest.size() < k_magic.size() + k_version.size() ||
      text_of(rest.first(k_magic.size())) != k_magic)
    return malformed_sshsig("does not begin with SSHSIG");
  rest = rest.subspan(k_magic.size());
  if (!std::ranges::equal(rest.first(k_version.size()), k_version))
    return malformed_sshsig("is of another version than 1");
  rest = rest.subspan(k_version.size());
  const auto key = take_ssh_string(rest), name = take_ssh_string(rest),
             reserved = take_ssh_string(rest), hash = take_ssh_string(rest),
             signature = take_ssh_string(rest);
  if (!key || !name || !reserved || !hash || !signature || !rest.empty())
    return malformed_sshsig("is cut short, or there is more in it");
  ByteView inner = *signature, key_rest = *key;
  const auto key_type = take_ssh_string(key_rest);
  if (!key_type || text_of(*key_type) != k_signer_type)
    return wrong_type(key_type ? text_of(*key_type) : "");
  if (text_of(*hash) != k_hash)
    return malformed_sshsig(cat("over the hash '", printable(text_of(*hash), 40),
        "': only sha512, which ssh-keygen takes of itself"));
  if (!reserved->empty())
    return malformed_sshsig("uses what is reserved");
  const auto type = take_ssh_string(inner), value = take_ssh_string(inner);
  SshSignature out;
  if (!type || text_of(*type) != k_signer_type || !value ||
      value->size() != out.m_signature.size() || !inner.empty())
    return malformed_sshsig("is not 64 bytes of ssh-ed25519");
  out.m_key = TRY(SshPublicKey::parse(cat(k_signer_type, " ", base64(*key))));
  out.m_namespace = text_of(*name);
  std::ranges::copy(*value, out.m_signature.begin());
  return out;
}

Result<void> SshSignature::verify(
    const SshPublicKey& key, std::string_view name_space, std::string_view text) const {
  const std::string who = m_key.fingerprint();
  if (!(m_key == key) || key.type != k_signer_type)
    return fail(Code::denied, cat("signed with key ", who, ", not with ", key.fingerprint()));
  if (m_namespace != name_space)
    return fail(Code::denied,
        cat("key ", who, " signed this in the namespace '", printable(m_namespace, 60),
            "', not in '", name_space, "'"));
  std::array<uint8_t, crypto_hash_sha512_BYTES> digest{};
  crypto_hash_sha512(digest.data(), bytes_of(text).data(), text.size());
  Bytes covered(k_magic.begin(), k_magic.end());
  for (const ByteView part :
      {bytes_of(m_namespace), ByteView(), bytes_of(k_hash), ByteView(digest)})
    put_ssh_string(covered, part);
  ByteView blob = key.blob;
  (void)take_ssh_string(blob);
  const auto point = take_ssh_string(blob);
  if (!point || point->size() != crypto_sign_PUBLICKEYBYTES ||
      crypto_sign_verify_detached(
          m_signature.data(), covered.data(), covered.size(), point->data()) != 0)
    return fail(
        Code::denied, cat("signature of key ", who, " does not match what it stands next to"));
  return {};
}

} // namespace chillbox::crypto
