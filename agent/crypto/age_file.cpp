// Small files whole, in memory: the host's identity, tests.
#include "crypto/age_wrap.hpp"

#include <algorithm>

namespace chillbox::crypto {
namespace {

// All of the plaintext, given only after its last chunk was verified. file_key_of:
// Result<SecretBytes> of an AgeHeader.
template <class FileKeyOf> Result<SecretBytes> decrypt(ByteView file, FileKeyOf file_key_of) {
  const Bytes binary = TRY(unarmor(file));
  const AgeHeader header = TRY(parse_age_header(binary));
  const SecretBytes file_key = TRY(file_key_of(header));
  PayloadReader reader(file_key, bytes_source(ByteView(binary).subspan(header.size)));
  SecretBytes out(binary.size() - header.size); // more than enough
  size_t size = 0;
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
  return decrypt(
      file, [&](const AgeHeader& header) { return scrypt_file_key(header, passphrase, cap); });
}

Result<SecretBytes> decrypt_with_identity(ByteView file, const AgeIdentity& identity) {
  return decrypt(file, [&](const AgeHeader& header) { return identity.file_key(header); });
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
