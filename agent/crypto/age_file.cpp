// Small files whole, in memory: the host's identity, tests.
#include "crypto/age_wrap.hpp"

#include <algorithm>

namespace chillbox::crypto {
namespace {

// All of the payload, released only when its last chunk was verified.
Result<SecretBytes> read_payload(
    ByteView file, const AgeHeader& header, const SecretBytes& file_key) {
  ByteView rest = file.subspan(header.size);
  SecretBytes out(rest.size()); // more than enough
  size_t size = 0;
  PayloadReader reader(file_key, [&rest](std::span<uint8_t> into) -> Result<size_t> {
    const size_t n = std::min(into.size(), rest.size());
    std::copy_n(rest.data(), n, into.data());
    rest = rest.subspan(n);
    return n;
  });
  for (;;) {
    const ByteView plain = TRY(reader.next());
    if (plain.empty())
      break;
    std::copy(plain.begin(), plain.end(), out.data() + size);
    size += plain.size();
  }
  out.truncate(size);
  return out;
}

} // namespace

Result<SecretBytes> decrypt_with_passphrase(ByteView file, const SecretBytes& passphrase, int cap) {
  const Bytes binary = TRY(unarmor(file));
  const AgeHeader header = TRY(parse_age_header(binary));
  const SecretBytes file_key = TRY(scrypt_file_key(header, passphrase, cap));
  return read_payload(binary, header, file_key);
}

Result<SecretBytes> decrypt_with_identity(ByteView file, const AgeIdentity& identity) {
  const Bytes binary = TRY(unarmor(file));
  const AgeHeader header = TRY(parse_age_header(binary));
  const SecretBytes file_key = TRY(identity.file_key(header));
  return read_payload(binary, header, file_key);
}

Result<Bytes> encrypt_with_passphrase(
    ByteView plaintext, const SecretBytes& passphrase, int log2_work_factor) {
  Bytes out;
  AgeWriter writer = TRY(AgeWriter::to_passphrase(
      passphrase, log2_work_factor, [&out](ByteView bytes) -> Result<void> {
        out.insert(out.end(), bytes.begin(), bytes.end());
        return {};
      }));
  TRY(writer.write(plaintext));
  TRY(writer.finish());
  return out;
}

} // namespace chillbox::crypto
