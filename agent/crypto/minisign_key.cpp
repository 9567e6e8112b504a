// minisign's key files. The secret one holds 158 bytes:
//   "Ed"  kdf "Sc" or 0 0  "B2"  salt 32  opslimit LE 8  memlimit LE 8  |  key id 8  secret key 64
//   checksum 32
// Behind the bar all is xored with scrypt(passphrase, salt, opslimit, memlimit) when kdf is "Sc".
// The checksum is BLAKE2b-256 over "Ed", key id and secret key; `minisign -G -W` leaves it zero,
// `minisign -C -W` keeps the true one, and neither is read back for an unencrypted key. The limits
// are libsodium's: minisign takes SENSITIVE (1 GiB) and halves both while memory is short.
#include "crypto/minisign.hpp"

#include "base/text.hpp"
#include "crypto/hkdf.hpp"

#include <sodium.h>

#include <algorithm>

namespace chillbox::crypto {
namespace {

constexpr std::string_view k_algorithm = "Ed";
constexpr std::string_view k_kdf_scrypt = "Sc";
constexpr std::string_view k_kdf_none{"\0\0", 2};
constexpr std::string_view k_checksum_algorithm = "B2";
constexpr std::string_view k_comment = "untrusted comment: ";
constexpr size_t k_seed = crypto_sign_SEEDBYTES;
constexpr size_t k_secret = crypto_sign_SECRETKEYBYTES;
constexpr size_t k_salt = crypto_pwhash_scryptsalsa208sha256_SALTBYTES;
constexpr size_t k_key_checksum = crypto_generichash_BYTES;

// Where things stand in the 158 bytes.
constexpr size_t k_salt_at = 6;
constexpr size_t k_ops_at = k_salt_at + k_salt;
constexpr size_t k_mem_at = k_ops_at + 8;
constexpr size_t k_id_at = k_mem_at + 8;
constexpr size_t k_secret_at = k_id_at + 8;
constexpr size_t k_checksum_at = k_secret_at + k_secret;
constexpr size_t k_key_size = k_checksum_at + k_key_checksum;
static_assert(k_key_size == 158);

uint64_t load_le64(const uint8_t* p) {
  uint64_t value = 0;
  for (unsigned i = 0; i < 8; ++i)
    value |= uint64_t{p[i]} << (8 * i);
  return value;
}

void store_le64(uint8_t* p, uint64_t value) {
  for (unsigned i = 0; i < 8; ++i)
    p[i] = static_cast<uint8_t>(value >> (8 * i));
}

// The base64 line of a key file: the second of two lines, or the only one.
Result<std::string_view> key_line(std::string_view text, std::string_view what) {
  text = trim(text);
  const size_t end = text.find('\n');
  if (end == std::string_view::npos)
    return text;
  if (!text.starts_with(k_comment))
    return fail(Code::invalid,
        cat("minisign ", what, ": first line does not begin with '", k_comment, "'"));
  return trim(text.substr(end + 1));
}

Result<SecretBytes> secret_struct(std::string_view file_text) {
  const std::string_view line = TRY(key_line(file_text, "secret key"));
  auto raw = unbase64_secret(line);
  if (!raw || raw->size() != k_key_size)
    return fail(Code::invalid,
        cat("minisign secret key: not ", k_key_size, " bytes of base64: is this a .key file?"));
  const std::string_view text = raw->text();
  if (text.substr(0, 2) != k_algorithm)
    return fail(Code::invalid, "minisign secret key: unknown signature algorithm");
  if (text.substr(2, 2) != k_kdf_scrypt && text.substr(2, 2) != k_kdf_none)
    return fail(
        Code::invalid, "minisign secret key: unknown key derivation, expected scrypt or none");
  if (text.substr(4, 2) != k_checksum_algorithm)
    return fail(Code::invalid, "minisign secret key: unknown checksum algorithm");
  return raw;
}

bool encrypted(const SecretBytes& raw) {
  return raw.text().substr(2, 2) == k_kdf_scrypt;
}

std::array<uint8_t, k_key_checksum> checksum_of(const SecretBytes& raw) {
  std::array<uint8_t, k_key_checksum> out{};
  crypto_generichash_state state;
  crypto_generichash_init(&state, nullptr, 0, out.size());
  crypto_generichash_update(&state, raw.data(), k_algorithm.size());
  crypto_generichash_update(&state, raw.data() + k_id_at, k_checksum_at - k_id_at);
  crypto_generichash_final(&state, out.data(), out.size());
  wipe(&state, sizeof state);
  return out;
}

// Encrypts or decrypts everything from the key id on. False without the memory for it.
bool apply_passphrase(SecretBytes& raw, const SecretBytes& passphrase) {
  SecretBytes stream(k_key_size - k_id_at);
  if (crypto_pwhash_scryptsalsa208sha256(stream.data(), stream.size(),
          reinterpret_cast<const char*>(passphrase.data()), passphrase.size(),
          raw.data() + k_salt_at, load_le64(raw.data() + k_ops_at),
          load_le64(raw.data() + k_mem_at)) != 0)
    return false;
  for (size_t i = 0; i < stream.size(); ++i)
    raw.data()[k_id_at + i] ^= stream.data()[i];
  return true;
}

Result<void> decrypt(SecretBytes& raw, const SecretBytes& passphrase) {
  if (passphrase.empty())
    return fail(Code::denied, "minisign secret key is encrypted and needs its passphrase");
  const uint64_t memory = load_le64(raw.data() + k_mem_at);
  if (load_le64(raw.data() + k_ops_at) > crypto_pwhash_scryptsalsa208sha256_OPSLIMIT_SENSITIVE ||
      memory > crypto_pwhash_scryptsalsa208sha256_MEMLIMIT_SENSITIVE)
    return fail(Code::too_large,
        "minisign secret key: scrypt limits over those that minisign writes (1 GiB)");
  if (!apply_passphrase(raw, passphrase))
    return fail(Code::no_space,
        cat("minisign secret key: its passphrase needs ", human_size(memory), " of memory"));
  if (!same(checksum_of(raw), raw.view().subspan(k_checksum_at)))
    return fail(Code::denied, "wrong passphrase for the minisign secret key");
  return {};
}

// A public half that does not belong to the seed would let a signature leak the seed; a damaged
// file looks the same.
Result<void> check_halves(const SecretBytes& raw) {
  std::array<uint8_t, crypto_sign_PUBLICKEYBYTES> derived{};
  SecretBytes secret(k_secret);
  crypto_sign_seed_keypair(derived.data(), secret.data(), raw.data() + k_secret_at);
  const ByteView checksum = raw.view().subspan(k_checksum_at);
  const bool absent =
      std::all_of(checksum.begin(), checksum.end(), [](uint8_t b) { return b == 0; });
  if (!same(derived, raw.view().subspan(k_secret_at + k_seed, derived.size())) ||
      (!absent && !same(checksum_of(raw), checksum)))
    return fail(Code::corrupt, "minisign secret key: damaged: its parts do not match");
  return {};
}

// Encoded within guarded memory: a std::string would leave copies as it grows.
SecretBytes as_file(std::string_view first_line, const SecretBytes& raw) {
  const size_t line =
      sodium_base64_encoded_len(raw.size(), sodium_base64_VARIANT_ORIGINAL); // with its NUL
  SecretBytes out(first_line.size() + line);
  std::copy(first_line.begin(), first_line.end(), out.data());
  sodium_bin2base64(reinterpret_cast<char*>(out.data() + first_line.size()), line, raw.data(),
      raw.size(), sodium_base64_VARIANT_ORIGINAL);
  out.data()[out.size() - 1] = '\n';
  return out;
}

} // namespace

std::string key_id_text(const KeyId& id) {
  std::string out;
  for (auto byte = id.rbegin(); byte != id.rend(); ++byte)
    for (const int digit : {*byte >> 4, *byte & 15})
      out += "0123456789ABCDEF"[digit];
  return out;
}

Result<MinisignPublicKey> MinisignPublicKey::parse(std::string_view text) {
  const auto bytes = unbase64(TRY(key_line(text, "public key")));
  MinisignPublicKey out{};
  if (!bytes || bytes->size() != k_algorithm.size() + out.id.size() + out.key.size())
    return fail(Code::invalid, "minisign public key: not 42 bytes of base64: is this a .pub file?");
  if (text_of(*bytes).substr(0, 2) != k_algorithm)
    return fail(Code::invalid, "minisign public key: unknown signature algorithm");
  const auto id_at = bytes->begin() + static_cast<ptrdiff_t>(k_algorithm.size());
  const auto key_at = id_at + static_cast<ptrdiff_t>(out.id.size());
  std::copy(id_at, key_at, out.id.begin());
  std::copy(key_at, bytes->end(), out.key.begin());
  return out;
}

std::string MinisignPublicKey::to_line() const {
  Bytes bytes(k_algorithm.begin(), k_algorithm.end());
  bytes.insert(bytes.end(), id.begin(), id.end());
  bytes.insert(bytes.end(), key.begin(), key.end());
  return base64(bytes);
}

std::string MinisignPublicKey::to_file() const {
  return cat(k_comment, "minisign public key ", key_id_text(id), "\n", to_line(), "\n");
}

MinisignSecretKey MinisignSecretKey::generate() {
  KeyId id{};
  randombytes_buf(id.data(), id.size());
  SecretBytes key(k_secret);
  std::array<uint8_t, crypto_sign_PUBLICKEYBYTES> public_half{};
  crypto_sign_keypair(public_half.data(), key.data());
  return {id, std::move(key)};
}

Result<bool> MinisignSecretKey::is_encrypted(std::string_view file_text) {
  return encrypted(TRY(secret_struct(file_text)));
}

Result<MinisignSecretKey> MinisignSecretKey::parse(
    std::string_view file_text, const SecretBytes& passphrase) {
  SecretBytes raw = TRY(secret_struct(file_text));
  if (encrypted(raw))
    TRY(decrypt(raw, passphrase));
  TRY(check_halves(raw));
  KeyId id{};
  std::copy_n(raw.data() + k_id_at, id.size(), id.begin());
  return MinisignSecretKey(id, SecretBytes(raw.view().subspan(k_secret_at, k_secret)));
}

Result<SecretBytes> MinisignSecretKey::to_file(
    const SecretBytes& passphrase, ScryptLimits limits) const {
  SecretBytes raw(k_key_size);
  std::copy(k_algorithm.begin(), k_algorithm.end(), raw.data());
  std::copy(k_checksum_algorithm.begin(), k_checksum_algorithm.end(), raw.data() + 4);
  std::copy(m_id.begin(), m_id.end(), raw.data() + k_id_at);
  std::copy_n(m_key.data(), k_secret, raw.data() + k_secret_at);
  if (!passphrase.empty()) {
    std::copy(k_kdf_scrypt.begin(), k_kdf_scrypt.end(), raw.data() + 2);
    randombytes_buf(raw.data() + k_salt_at, k_salt);
    store_le64(raw.data() + k_ops_at, limits.operations);
    store_le64(raw.data() + k_mem_at, limits.memory);
    const auto checksum = checksum_of(raw);
    std::copy(checksum.begin(), checksum.end(), raw.data() + k_checksum_at);
    if (!apply_passphrase(raw, passphrase))
      return fail(Code::no_space,
          cat("encrypting the minisign key needs ", human_size(limits.memory), " of memory"));
  }
  return as_file(
      cat(k_comment, passphrase.empty() ? "minisign secret key" : "minisign encrypted secret key",
          "\n"),
      raw);
}

MinisignPublicKey MinisignSecretKey::public_key() const {
  MinisignPublicKey out{m_id, {}};
  std::copy_n(m_key.data() + k_seed, out.key.size(), out.key.begin());
  return out;
}

SecretBytes MinisignSecretKey::derive(std::string_view info) const {
  return hkdf_sha256(m_key.view().first(k_seed), {}, info);
}

} // namespace chillbox::crypto
