// The passphrase recipient (C2SP age.md, "The scrypt recipient type").
//
// scrypt by libcrypto, not by libsodium: both take 128 * 8 * 2^N bytes, but libcrypto wipes them
// before it gives them back (libsodium 1.0.18 only unmaps), takes an explicit memory limit, and is
// a fifth faster (0.62 s against 0.80 s for 2^18 here).
#include "crypto/age_wrap.hpp"
#include "crypto/libcrypto.hpp"

#include "base/text.hpp"

#include <openssl/err.h>
#include <sodium.h>

#include <algorithm>

namespace chillbox::crypto {
namespace {

constexpr std::string_view k_label = "age-encryption.org/v1/scrypt";
constexpr uint64_t k_block_size = 8;
constexpr int k_greatest_factor = 22; // what `age` itself reads at most

uint64_t memory_for(int factor) {
  return (128 * k_block_size) << factor;
}

Result<SecretBytes> derive(const SecretBytes& passphrase, ByteView salt, int factor) {
  std::array<uint8_t, k_label.size() + k_scrypt_salt> full_salt{};
  std::copy(k_label.begin(), k_label.end(), full_salt.begin());
  std::copy(salt.begin(), salt.end(), full_salt.begin() + k_label.size());
  SecretBytes key(32);
  const char* const text =
      passphrase.empty() ? "" : reinterpret_cast<const char*>(passphrase.data());
  const uint64_t limit =
      memory_for(factor) + (1 << 20); // the limit counts a few blocks more than the table
  if (EVP_PBE_scrypt(text, passphrase.size(), full_salt.data(), full_salt.size(),
          uint64_t{1} << factor, k_block_size, 1, limit, key.data(), key.size()) != 1) {
    ERR_clear_error();
    return fail(Code::no_space,
        cat("passphrase: scrypt 2^", factor, " needs ", human_size(memory_for(factor)),
            " of memory"));
  }
  return key;
}

std::unexpected<Error> malformed(std::string_view what) {
  return fail(Code::invalid, cat("age header: scrypt stanza: ", what));
}

// ^[1-9][0-9]*$ and at most the cap, also for numbers of any length.
Result<int> work_factor(std::string_view text, int cap) {
  const bool decimal = !text.empty() && text[0] != '0' &&
      text.find_first_not_of("0123456789") == std::string_view::npos;
  if (!decimal)
    return malformed("work factor is not a decimal number");
  const auto value = parse_u64(text);
  if (!value || *value > static_cast<uint64_t>(std::max(cap, 0)))
    return fail(Code::too_large,
        cat("age header: scrypt work factor 2^", printable(text, 20), " is over the limit 2^",
            cap));
  return static_cast<int>(*value);
}

} // namespace

Result<AgeStanza> scrypt_stanza(
    const SecretBytes& passphrase, int log2_work_factor, const SecretBytes& file_key) {
  if (passphrase.empty())
    return fail(Code::invalid, "empty passphrase");
  if (log2_work_factor < 1 || log2_work_factor > k_greatest_factor)
    return fail(Code::invalid,
        cat("scrypt work factor 2^", log2_work_factor, " is not within 2^1..2^",
            k_greatest_factor));
  std::array<uint8_t, k_scrypt_salt> salt{};
  randombytes_buf(salt.data(), salt.size());
  const SecretBytes key = TRY(derive(passphrase, salt, log2_work_factor));
  return AgeStanza{{"scrypt", base64_unpadded(salt), std::to_string(log2_work_factor)},
      encrypt_file_key(file_key, key)};
}

Result<SecretBytes> scrypt_file_key(
    const AgeHeader& header, const SecretBytes& passphrase, int cap) {
  TRY(check_scrypt_alone(header));
  if (header.stanzas.empty() || header.stanzas[0].args[0] != "scrypt")
    return fail(Code::not_found, "not encrypted with a passphrase");
  const AgeStanza& stanza = header.stanzas[0];
  if (stanza.args.size() != 3)
    return malformed("not exactly two arguments");
  auto salt = unbase64_unpadded(stanza.args[1]);
  if (!salt || salt->size() != k_scrypt_salt)
    return malformed("salt is not 16 bytes of canonical unpadded base64");
  if (stanza.body.size() != k_wrapped_key)
    return malformed("body is not 32 bytes");
  const int factor = TRY(work_factor(stanza.args[2], std::min(cap, k_greatest_factor)));
  const SecretBytes key = TRY(derive(passphrase, *salt, factor));
  auto file_key = decrypt_file_key(stanza.body, key);
  if (!file_key)
    return fail(Code::denied, "wrong passphrase");
  return with_mac_checked(header, std::move(*file_key));
}

} // namespace chillbox::crypto
