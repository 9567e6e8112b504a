// minisign's .minisig: four lines.
//   untrusted comment: TEXT
//   base64("ED" key id 8 signature 64)            signature over the BLAKE2b-512 of the file
//   trusted comment: TEXT
//   base64(global signature 64)                   over signature and TEXT
#include "crypto/minisign.hpp"

#include "base/text.hpp"

#include <sodium.h>

#include <algorithm>

namespace chillbox::crypto {
namespace {

constexpr std::string_view k_prehashed = "ED";
constexpr std::string_view k_legacy = "Ed";
constexpr std::string_view k_untrusted = "untrusted comment: ";
constexpr std::string_view k_trusted = "trusted comment: ";
constexpr size_t k_max_signature_text =
    10 * 1024; // minisign: 1 KiB for the one comment, 8 KiB for the other

using Signature = std::array<uint8_t, crypto_sign_BYTES>;

std::unexpected<Error> malformed_signature(std::string_view what) {
  return fail(Code::invalid, cat("minisign signature: ", what));
}

// As minisign: UTF-8 without control characters (C0 but the tab, DEL, C1).
bool is_printable(std::string_view text) {
  for (size_t i = 0; i < text.size(); ++i) {
    const auto c = static_cast<uint8_t>(text[i]);
    if ((c < 0x20 && c != '\t') || c == 0x7f)
      return false;
    if (c == 0xc2 && i + 1 < text.size() && static_cast<uint8_t>(text[i + 1]) < 0xa0)
      return false;
  }
  return is_utf8(text);
}

// What the global signature covers.
Bytes with_comment(const Signature& signature, std::string_view comment) {
  Bytes out(signature.begin(), signature.end());
  out.insert(out.end(), comment.begin(), comment.end());
  return out;
}

} // namespace

std::string MinisignSecretKey::sign(
    const std::array<uint8_t, 64>& blake2b, std::string_view trusted_comment) const {
  // A line break in it would end the comment: shown as \x0a, so that what is written can always be
  // verified.
  const std::string comment = is_printable(trusted_comment) ? std::string(trusted_comment)
                                                            : printable(trusted_comment, SIZE_MAX);
  Signature signature{};
  crypto_sign_detached(signature.data(), nullptr, blake2b.data(), blake2b.size(), m_key.data());
  const Bytes covered = with_comment(signature, comment);
  Signature global{};
  crypto_sign_detached(global.data(), nullptr, covered.data(), covered.size(), m_key.data());
  Bytes line(k_prehashed.begin(), k_prehashed.end());
  line.insert(line.end(), m_id.begin(), m_id.end());
  line.insert(line.end(), signature.begin(), signature.end());
  return cat(k_untrusted, "signature from minisign secret key\n", base64(line), "\n", k_trusted,
      comment, "\n", base64(global), "\n");
}

Result<MinisignSignature> MinisignSignature::parse(std::string_view text) {
  if (text.size() > k_max_signature_text)
    return fail(
        Code::too_large, cat("minisign signature: longer than ", k_max_signature_text, " bytes"));
  if (text.find('\r') != std::string_view::npos)
    return malformed_signature("contains a carriage return: was it sent as text?");
  if (text.ends_with('\n'))
    text.remove_suffix(1);
  const std::vector<std::string_view> lines = split(text, '\n');
  if (lines.size() != 4)
    return malformed_signature(cat(lines.size(), " lines, wanted 4"));
  if (!lines[0].starts_with(k_untrusted) || !lines[2].starts_with(k_trusted))
    return malformed_signature("line 1 or 3 is not the expected comment");
  if (!is_printable(lines[0]) || !is_printable(lines[2]))
    return malformed_signature("unprintable character in a comment");
  const auto signature = unbase64(lines[1]);
  const auto global = unbase64(lines[3]);
  MinisignSignature out;
  if (!signature ||
      signature->size() != k_prehashed.size() + out.id.size() + out.m_signature.size())
    return malformed_signature("line 2 is not 74 bytes of base64");
  if (!global || global->size() != out.m_global_signature.size())
    return malformed_signature("line 4 is not 64 bytes of base64");
  const std::string_view algorithm = text_of(*signature).substr(0, 2);
  if (algorithm == k_legacy)
    return malformed_signature("legacy format (minisign -l): sign again without -l");
  if (algorithm != k_prehashed)
    return malformed_signature("unknown signature algorithm");
  const auto id_at = signature->begin() + static_cast<ptrdiff_t>(k_prehashed.size());
  const auto signature_at = id_at + static_cast<ptrdiff_t>(out.id.size());
  std::copy(id_at, signature_at, out.id.begin());
  std::copy(signature_at, signature->end(), out.m_signature.begin());
  std::copy(global->begin(), global->end(), out.m_global_signature.begin());
  out.m_trusted_comment = lines[2].substr(k_trusted.size());
  return out;
}

Result<std::string> MinisignSignature::verify(
    const MinisignPublicKey& key, const std::array<uint8_t, 64>& blake2b) const {
  if (id != key.id)
    return fail(
        Code::denied, cat("signed with key ", key_id_text(id), ", not with ", key_id_text(key.id)));
  if (crypto_sign_verify_detached(
          m_signature.data(), blake2b.data(), blake2b.size(), key.key.data()) != 0)
    return fail(
        Code::denied, cat("signature of key ", key_id_text(id), " does not match this file"));
  const Bytes covered = with_comment(m_signature, m_trusted_comment);
  if (crypto_sign_verify_detached(
          m_global_signature.data(), covered.data(), covered.size(), key.key.data()) != 0)
    return fail(
        Code::denied, cat("trusted comment was changed after key ", key_id_text(id), " signed it"));
  return m_trusted_comment;
}

} // namespace chillbox::crypto
