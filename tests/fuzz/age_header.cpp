// The header of an age file, its stanzas under an identity and a passphrase, and armor.
#include "base/text.hpp"
#include "crypto/age.hpp"
#include "fuzz.hpp"

#include <algorithm>
#include <optional>

using namespace chillbox;
using namespace chillbox::crypto;
using fuzz::claim;

namespace {

const AgeIdentity& identity() {
  static const auto* one = [] {
    init_crypto();
    return new AgeIdentity(fuzz::must(
        AgeIdentity::parse(
            "AGE-SECRET-KEY-1GFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPQ4EGAEX"),
        "an identity"));
  }();
  return *one;
}

void try_header(ByteView bytes) {
  const auto header = parse_age_header(bytes);
  if (!header)
    return fuzz::claim_printable(header.error());
  claim(
      !header->stanzas.empty() && header->size <= bytes.size() && header->size <= k_max_age_header,
      "a header has stanzas and an end");
  const std::string whole = cat(header->text, " ", base64_unpadded(header->mac), "\n");
  claim(whole == text_of(bytes.first(header->size)), "a header has one spelling");
  if (const auto key = identity().file_key(*header)) {
    claim(key->size() == 16 && header_mac_ok(*header, *key),
        "a file key is the one of the header's MAC");
  } else {
    fuzz::claim_printable(key.error());
  }
  const SecretBytes passphrase(bytes_of("correct horse"));
  if (const auto key = scrypt_file_key(*header, passphrase, 4))
    claim(header->stanzas.size() == 1, "scrypt is alone");
}

// In pieces, from pieces: nothing when it is malformed.
std::optional<Bytes> without_armor(ByteView text, size_t step) {
  const ReadBytes source =
      unarmored([text, step](std::span<uint8_t> into) mutable -> Result<size_t> {
        const size_t n = std::min({into.size(), text.size(), step});
        std::copy_n(text.begin(), n, into.begin());
        text = text.subspan(n);
        return n;
      });
  Bytes out, piece(step);
  for (;;) {
    const auto n = source(piece);
    if (!n)
      return std::nullopt;
    if (*n == 0)
      return out;
    out.insert(out.end(), piece.begin(), piece.begin() + static_cast<ptrdiff_t>(*n));
  }
}

void try_armor(ByteView bytes) {
  const auto binary = unarmor(bytes);
  const auto pieces = without_armor(bytes, 7);
  claim(binary.has_value() == pieces.has_value() && (!binary || *binary == *pieces),
      "armor is the same however it arrives");
  if (!binary)
    return fuzz::claim_printable(binary.error());
  claim(binary->size() <= bytes.size(), "armor only makes longer");
  (void)decrypt_with_identity(*binary, identity());
  Bytes text;
  ArmorWriter writer([&text](ByteView more) -> Result<void> {
    text.insert(text.end(), more.begin(), more.end());
    return {};
  });
  claim(writer.write(*binary) && writer.finish(), "armor can be put on");
  claim(without_armor(text, 100) == *binary, "and comes off again");
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const ByteView bytes(data, size);
  (void)identity();
  try_header(bytes);
  try_armor(bytes);
  (void)AgeIdentity::parse(text_of(bytes));
  if (const auto recipient = parse_age_recipient(text_of(bytes)))
    claim(size == 62, "a recipient has 62 characters");
  (void)parse_identity_file(text_of(bytes));
  return 0;
}
