// X25519 recipients and identities (C2SP age.md, "The X25519 recipient type"). libsodium only: the
// vault holds one of these.
#include "crypto/age_wrap.hpp"
#include "crypto/bech32.hpp"
#include "crypto/hkdf.hpp"

#include "base/text.hpp"

#include <sodium.h>

#include <algorithm>

namespace chillbox::crypto {
namespace {

constexpr std::string_view k_identity_hrp = "age-secret-key-";
constexpr std::string_view k_recipient_hrp = "age";
constexpr std::string_view k_wrap_info = "age-encryption.org/v1/X25519";
constexpr std::array<uint8_t, crypto_aead_chacha20poly1305_ietf_NPUBBYTES> k_zero_nonce{};

using Point = std::array<uint8_t, k_curve_point>;

Point public_half(const SecretBytes& scalar) {
  Point point{};
  crypto_scalarmult_base(point.data(), scalar.data());
  return point;
}

SecretBytes random_secret(size_t size) {
  SecretBytes out(size);
  randombytes_buf(out.data(), out.size());
  return out;
}

// nullopt when the shared secret is all zero: the other side's point is of low order.
std::optional<SecretBytes> wrap_key(
    const SecretBytes& scalar, const Point& theirs, const Point& share, const Point& recipient) {
  SecretBytes shared(crypto_scalarmult_BYTES);
  if (crypto_scalarmult(shared.data(), scalar.data(), theirs.data()) != 0)
    return std::nullopt;
  std::array<uint8_t, 2 * k_curve_point> salt{};
  std::copy(share.begin(), share.end(), salt.begin());
  std::copy(recipient.begin(), recipient.end(), salt.begin() + k_curve_point);
  return hkdf_sha256(shared.view(), salt, k_wrap_info);
}

Result<Point> share_of(const AgeStanza& stanza) {
  auto bad = [](std::string_view what) {
    return fail(Code::invalid, cat("age header: X25519 stanza: ", what));
  };
  if (stanza.args.size() != 2)
    return bad("not exactly one argument");
  auto bytes = unbase64_unpadded(stanza.args[1]);
  Point share{};
  if (!bytes || bytes->size() != share.size())
    return bad("share is not 32 bytes of canonical unpadded base64");
  if (stanza.body.size() != k_wrapped_key)
    return bad("body is not 32 bytes");
  std::copy(bytes->begin(), bytes->end(), share.begin());
  return share;
}

} // namespace

Bytes encrypt_file_key(const SecretBytes& file_key, const SecretBytes& wrap_key) {
  Bytes out(file_key.size() + k_age_tag);
  crypto_aead_chacha20poly1305_ietf_encrypt(out.data(), nullptr, file_key.data(), file_key.size(),
      nullptr, 0, nullptr, k_zero_nonce.data(), wrap_key.data());
  return out;
}

std::optional<SecretBytes> decrypt_file_key(ByteView body, const SecretBytes& wrap_key) {
  SecretBytes out(k_file_key);
  if (body.size() != k_wrapped_key ||
      crypto_aead_chacha20poly1305_ietf_decrypt(out.data(), nullptr, nullptr, body.data(),
          body.size(), nullptr, 0, k_zero_nonce.data(), wrap_key.data()) != 0)
    return std::nullopt;
  return out;
}

Result<AgeStanza> x25519_stanza(const Point& recipient, const SecretBytes& file_key) {
  const SecretBytes ephemeral = random_secret(k_curve_point);
  const Point share = public_half(ephemeral);
  const auto key = wrap_key(ephemeral, recipient, share, recipient);
  if (!key)
    return fail(Code::invalid, "recipient is a low-order point: not a real key");
  return AgeStanza{{"X25519", base64_unpadded(share)}, encrypt_file_key(file_key, *key)};
}

AgeIdentity AgeIdentity::generate() {
  return AgeIdentity(random_secret(k_curve_point));
}

Result<AgeIdentity> AgeIdentity::parse(std::string_view text) {
  if (text.starts_with("AGE-SECRET-KEY-PQ-") || text.starts_with("AGE-PLUGIN-"))
    return fail(Code::invalid,
        "identity is of a post-quantum or plugin type: only X25519 (AGE-SECRET-KEY-1...) works here");
  if (!text.starts_with("AGE-SECRET-KEY-1"))
    return fail(Code::invalid, "identity does not begin with AGE-SECRET-KEY-1");
  SecretBytes scalar = TRY_IN("identity", bech32_decode(k_identity_hrp, text));
  if (scalar.size() != k_curve_point)
    return fail(Code::invalid, "identity is not 32 bytes");
  return AgeIdentity(std::move(scalar));
}

SecretBytes AgeIdentity::to_text() const {
  SecretBytes text = bech32_encode(k_identity_hrp, m_scalar.view());
  for (uint8_t& c : text.span())
    c = static_cast<uint8_t>(c & ~((static_cast<unsigned>(c - 'a') < 26U ? 1U : 0U) << 5));
  return text;
}

std::string AgeIdentity::recipient() const {
  return std::string(bech32_encode(k_recipient_hrp, public_half(m_scalar)).text());
}

Result<SecretBytes> AgeIdentity::file_key(const AgeHeader& header) const {
  TRY(check_scrypt_alone(header));
  if (!header.stanzas.empty() && header.stanzas[0].args[0] == "scrypt")
    return fail(Code::not_found, "encrypted with a passphrase, not to a key");
  const Point recipient = public_half(m_scalar);
  std::optional<SecretBytes> found;
  // All stanzas, also after a match: a header with a malformed stanza is refused wherever that
  // stanza is.
  for (const AgeStanza& stanza : header.stanzas) {
    if (stanza.args[0] != "X25519")
      continue;
    const Point share = TRY(share_of(stanza));
    const auto key = wrap_key(m_scalar, share, share, recipient);
    if (!key)
      return fail(Code::invalid, "age header: X25519 stanza: share is a low-order point");
    if (auto file_key = decrypt_file_key(stanza.body, *key); file_key && !found)
      found = std::move(file_key);
  }
  if (!found)
    return fail(Code::not_found, cat("not encrypted to ", this->recipient()));
  return with_mac_checked(header, std::move(*found));
}

Result<AgeIdentity> parse_identity_file(std::string_view text) {
  size_t number = 0;
  for (std::string_view line : split(text, '\n')) {
    ++number;
    line = trim(line);
    if (line.empty() || line.starts_with('#'))
      continue;
    return TRY_IN(cat("line ", number), AgeIdentity::parse(line));
  }
  return fail(Code::invalid, "no identity (AGE-SECRET-KEY-1...) in it");
}

namespace {

// "age1NAME1...", where NAME may have a '1' itself as in bech32 and no recipient of X25519 has one
// behind its first; "": of none.
std::string_view plugin_of(std::string_view recipient) {
  constexpr std::string_view k_first = "age1";
  const auto last = recipient.rfind('1');
  return recipient.starts_with(k_first) && last != std::string_view::npos && last > k_first.size()
      ? recipient.substr(k_first.size(), last - k_first.size())
      : std::string_view();
}

} // namespace

Result<Point> parse_age_recipient(std::string_view text) {
  text = trim(without_byte_order_mark(trim(text)));
  const auto context = [&] { return cat("recipient '", printable(text, 70), "'"); };
  if (text.starts_with("AGE-SECRET-KEY-")) // never shown: somebody put the secret half where the
                                           // public one belongs
    return fail(Code::invalid, "recipient is a secret key: give its public half (age1...)");
  if (text.starts_with("age1pq1") || (text.starts_with("age1pq") && text.size() > 100))
    return fail(Code::invalid,
        cat(context(), ": post-quantum: only X25519 recipients (age1...) work here"));
  if (text.starts_with("AGE1"))
    return fail(Code::invalid, cat(context(), ": write it in lower case"));
  if (const auto plugin = plugin_of(text); !plugin.empty())
    return fail(Code::invalid,
        cat(context(), ": of the plugin age-plugin-", plugin,
            ": only X25519 recipients (age1...) work here"));
  if (text.starts_with("ssh-") || text.starts_with("ecdsa-") || text.starts_with("sk-"))
    return fail(
        Code::invalid, cat(context(), ": an SSH key: only X25519 recipients (age1...) work here"));
  if (!text.starts_with("age1"))
    return fail(Code::invalid, cat(context(), ": does not begin with age1"));
  const SecretBytes bytes = TRY_IN(context(), bech32_decode(k_recipient_hrp, text));
  Point point{};
  if (bytes.size() != point.size())
    return fail(Code::invalid, cat(context(), ": not 32 bytes"));
  std::copy_n(bytes.data(), point.size(), point.begin());
  return point;
}

} // namespace chillbox::crypto
