#include "crypto/bech32.hpp"
#include "crypto/hash.hpp"
#include "crypto/hkdf.hpp"
#include "crypto/preload_libcrypto.hpp"
#include "sample.hpp"

using namespace chillbox;
using namespace chillbox::crypto;

TEST_CASE("SHA-256 and BLAKE2b-512 give the values of their standards, in any pieces") {
  CHECK(sha256_of({}).str() == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  CHECK(sha256_of(bytes_of("abc")).str() ==
      "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  Sha256 pieces;
  for (const char* piece : {"a", "", "b", "c"})
    pieces.update(bytes_of(piece));
  CHECK(Digest::of(pieces.finish()) == sha256_of(bytes_of("abc")));

  Blake2b512 blake;
  for (const char* piece : {"ab", "", "c"})
    blake.update(bytes_of(piece));
  CHECK(hex(blake.finish()) ==
      "ba80a53f981c4d0d6a2797b69f12f6e94c212f14685ac4b74b12bb6fdbffa2d1"
      "7d87c5392aab792dc252d5de4533cc9518d38aa8dbf1925ab92386edd4009923");
}

TEST_CASE("HMAC-SHA256 gives the values of RFC 4231's cases 1, 2, 6 and 7, in any pieces") {
  CHECK(hex(hmac_sha256(Bytes(20, 0x0b), {"Hi ", "", "There"})) ==
      "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
  CHECK(hex(hmac_sha256(bytes_of("Jefe"), {"what do ya want ", "for nothing?"})) ==
      "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
  CHECK(hex(hmac_sha256(
            Bytes(131, 0xaa), {"Test Using Larger Than Block-Size Key - Hash Key First"})) ==
      "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
  CHECK(hex(hmac_sha256(Bytes(131, 0xaa),
            {"This is a test using a larger than block-size key and a larger than block-size data. "
             "The key needs to be hashed before being used by the HMAC algorithm."})) ==
      "9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a35e2");
  CHECK(hex(hmac_sha256({}, {})) ==
      "b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad");
}

TEST_CASE("HKDF gives the first 32 bytes of RFC 5869's cases 1 and 3") {
  const Bytes key(22, 0x0b);
  const Bytes salt = unhex("000102030405060708090a0b0c").value();
  CHECK(hex(hkdf_sha256(key, salt, "\xf0\xf1\xf2\xf3\xf4\xf5\xf6\xf7\xf8\xf9").view()) ==
      "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf");
  CHECK(hex(hkdf_sha256(key, {}, "").view()) ==
      "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d");
}

TEST_CASE("preloading libcrypto leaves every algorithm working, and twice is once") {
  preload_libcrypto();
  preload_libcrypto();
  CHECK(sha256_of(bytes_of("abc")).str().starts_with("ba7816bf"));
}

TEST_CASE("Bech32 reads BIP 173's valid strings and writes them again") {
  for (const auto& [hrp, text] :
      std::vector<std::pair<std::string, std::string>>{{"a", "A12UEL5L"}, {"a", "a12uel5l"},
          {"an83characterlonghumanreadablepartthatcontainsthenumber1andtheexcludedcharactersbio",
              "an83characterlonghumanreadablepartthatcontainsthenumber1andtheexcludedcharactersbio1tt5tgs"},
          {"abcdef", "abcdef1qpzry9x8gf2tvdw0s3jn54khce6mua7lmqqqxw"},
          {"split", "split1checkupstagehandshakeupstreamerranterredcaperred2y9e3w"},
          {"?", "?1ezyfcl"}}) {
    const auto decoded = bech32_decode(hrp, text);
    CHECK(outcome(decoded) == "ok");
    std::string lower = text;
    std::transform(lower.begin(), lower.end(), lower.begin(),
        [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
    if (decoded)
      CHECK(bech32_encode(hrp, decoded->view()).text() == lower);
  }
}

TEST_CASE("Bech32 refuses BIP 173's invalid strings, and each for its reason") {
  const auto why = [](std::string_view hrp, std::string_view text) {
    return outcome(bech32_decode(hrp, text));
  };
  CHECK(contains(why("a", "b12uel5l"), "does not begin with a1"));
  CHECK(contains(why("a", "a"), "does not begin"));
  CHECK(contains(why("a", ""), "does not begin"));
  CHECK(contains(why("a", "a12UEL5L"), "mixed"));
  CHECK(contains(why("a", "A12uEL5L"), "mixed"));
  CHECK(contains(why("li", "li1dgmt3"), "too short"));
  CHECK(contains(why("x", "x1b4n0q5v"), "alphabet"));
  CHECK(contains(why("a", "a12uel5\x80"), "alphabet"));
  CHECK(contains(why("a", "A1G7SGD8"), "checksum"));
  CHECK(contains(why("a", "a12uel5p"), "checksum"));
  CHECK(contains(why("a", "a1" + std::string(1100, 'q')), "1024"));
  CHECK(contains(why("x", "x1qm7ssx4"), "left over"));  // five bits are no byte
  CHECK(contains(why("x", "x1qpxqa3vz"), "left over")); // two padding bits, not zero
}

TEST_CASE("Bech32 finds every single wrong character") {
  const std::string good(bech32_encode("age", pattern(32)).text());
  REQUIRE(text_of(bech32_decode("age", good).value().view()) == text_of(pattern(32)));
  for (size_t i = 4; i < good.size(); ++i) {
    std::string wrong = good;
    wrong[i] = wrong[i] == 'q' ? 'p' : 'q';
    CHECK(failed_with(Code::invalid, bech32_decode("age", wrong)));
  }
}

TEST_CASE("Bech32 carries any number of bytes") {
  for (size_t size = 0; size < 70; ++size) {
    const Bytes data = pattern(size);
    CHECK(text_of(bech32_decode("x", bech32_encode("x", data).text()).value().view()) ==
        text_of(data));
  }
}
