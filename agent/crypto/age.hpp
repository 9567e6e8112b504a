// age v1 (C2SP age.md): reading and writing, X25519 and scrypt recipients. Pure: bytes come and go
// through the callbacks.
//
// Reading is in three parts, because three processes do them: parse_header() (monitor, vault,
// stager), unwrap (vault only: it alone has the identity) and PayloadReader (stager: it has the
// file key and nothing else).
//
// Refused: non-canonical base64, a scrypt stanza together with others (before any KDF work), a work
// factor over the cap, low-order points, a wrong header MAC, an empty last chunk that is not chunk
// 0, anything after the last chunk.
//
// Codes: invalid, the header (or the nonce after it) is malformed; too_large, over a limit of
// ours; not_found, "no identity matches"; denied, a wrong passphrase; corrupt, a wrong MAC or a
// damaged payload; no_space, not the memory for scrypt. Keys are wiped on every path. A process in
// a sandbox calls preload_libcrypto() (preload_libcrypto.hpp) first.
#pragma once

#include "base/encoding.hpp"
#include "base/error.hpp"
#include "base/secret.hpp"

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace chillbox::crypto {

inline constexpr size_t k_max_age_header = 64 * 1024; // ours; age itself has no limit
inline constexpr size_t k_age_chunk = 64 * 1024;
inline constexpr size_t k_age_tag = 16;
inline constexpr size_t k_age_nonce = 16;
inline constexpr int k_default_scrypt_cap = 18; // 2^18: 256 MiB
inline constexpr int k_most_work_factor = 22;   // that an identity of ours may have

struct AgeStanza {
  std::vector<std::string> args; // args[0] is the type
  Bytes body;
};

struct AgeHeader {
  std::vector<AgeStanza> stanzas;
  std::string text;            // the header as it came, through the "---" that the MAC covers
  std::array<uint8_t, 32> mac; // as it came
  size_t size = 0;             // bytes of the file up to the payload nonce
};

// From the beginning of a file (more bytes may follow). too_large when no header ends within
// k_max_age_header.
Result<AgeHeader> parse_age_header(ByteView file_start);

// An X25519 identity, "AGE-SECRET-KEY-1..." (bech32, upper case).
class AgeIdentity {
public:
  static AgeIdentity generate();
  static Result<AgeIdentity> parse(std::string_view text);
  static AgeIdentity from_scalar(SecretBytes scalar) { return AgeIdentity(std::move(scalar)); }
  SecretBytes to_text() const;
  SecretBytes scalar() const { return m_scalar.copy(); }
  std::string recipient() const; // "age1..."
  // The file key, header MAC verified. not_found: no stanza of this header is for us.
  Result<SecretBytes> file_key(const AgeHeader& header) const;

private:
  explicit AgeIdentity(SecretBytes scalar) : m_scalar(std::move(scalar)) {}
  SecretBytes m_scalar;
};

// The first identity in the text of an age-keygen file: comments and empty lines are skipped.
Result<AgeIdentity> parse_identity_file(std::string_view text);
// "age1..." checked: its 32 bytes.
Result<std::array<uint8_t, 32>> parse_age_recipient(std::string_view text);

// The file key under a passphrase. cap: greatest accepted log2 of the work factor. Takes 128 * 8 *
// 2^N bytes of memory while it runs.
Result<SecretBytes> scrypt_file_key(
    const AgeHeader& header, const SecretBytes& passphrase, int cap = k_default_scrypt_cap);

// True when the MAC of the header is right under this file key (what a stager checks before it
// reads on).
bool header_mac_ok(const AgeHeader& header, const SecretBytes& file_key);

// Pull: fills the buffer, returns how many bytes came, 0 at the end.
using ReadBytes = std::function<Result<size_t>(std::span<uint8_t>)>;
ReadBytes bytes_source(ByteView bytes); // which must outlive it
// Pulls until `into` is full or nothing more comes; how many bytes came.
Result<size_t> read_full(const ReadBytes& source, std::span<uint8_t> into);
// Push: takes all of the bytes or fails.
using WriteBytes = std::function<Result<void>(ByteView)>;

// Decrypts the payload chunk by chunk (STREAM, ChaCha20-Poly1305 by libcrypto). `source` begins
// with the nonce, after the header.
class PayloadReader {
public:
  PayloadReader(const SecretBytes& file_key, ReadBytes source);
  ~PayloadReader();
  PayloadReader(PayloadReader&&) noexcept;
  // The next plaintext, at most 64 KiB, valid until the next call; empty exactly once the last
  // chunk was verified and nothing follows.
  Result<ByteView> next();
  // The same into `out`, which has room for k_age_chunk bytes; 0 at the end. What did not verify is
  // wiped there.
  Result<size_t> next_into(std::span<uint8_t> out);

private:
  struct State;
  std::unique_ptr<State> m_state;
};

// Encrypts to X25519 recipients ("age1...") or to one passphrase. The result is a file any age
// implementation reads.
class AgeWriter {
public:
  static Result<AgeWriter> to_recipients(
      const std::vector<std::string>& recipients, WriteBytes sink);
  static Result<AgeWriter> to_passphrase(
      const SecretBytes& passphrase, int log2_work_factor, WriteBytes sink);
  AgeWriter(AgeWriter&&) noexcept;
  ~AgeWriter(); // abandons: without finish() the file has no last chunk and no reader accepts it
  Result<void> write(ByteView plaintext);
  Result<void> finish();

private:
  struct State;
  explicit AgeWriter(std::unique_ptr<State> state);
  std::unique_ptr<State> m_state;
};

// Armor (C2SP age.md, "ASCII armor"): text around an age file, which makes it a third longer.
//
// What `source` gives without its armor, or, when it has none, as it is. invalid, with the line:
// malformed armor.
ReadBytes unarmored(ReadBytes source);
// Puts it on: the same bytes as `age -a` makes of the same file.
class ArmorWriter {
public:
  explicit ArmorWriter(WriteBytes sink) : m_sink(std::move(sink)) {}
  Result<void> write(ByteView binary);
  Result<void> finish(); // without it the text has no end line, and no reader accepts it

private:
  Result<void> put(size_t size, std::string_view more);
  WriteBytes m_sink;
  Bytes m_held; // not a whole line yet
  bool m_begun = false;
};

// Whole small files in memory (identity.age, tests). Armored input (RFC 7468 "AGE ENCRYPTED FILE")
// is accepted by decrypt_*.
Result<SecretBytes> decrypt_with_passphrase(
    ByteView file, const SecretBytes& passphrase, int cap = k_default_scrypt_cap);
Result<SecretBytes> decrypt_with_identity(ByteView file, const AgeIdentity& identity);
Result<Bytes> encrypt_with_passphrase(
    ByteView plaintext, const SecretBytes& passphrase, int log2_work_factor);
// The same as unarmored().
Result<Bytes> unarmor(ByteView file);

} // namespace chillbox::crypto
