#include "sample.hpp"

#include "crypto/hash.hpp"
#include "crypto/minisign.hpp"

using namespace chillbox;
using namespace chillbox::crypto;

namespace {

// All made by minisign 0.11. The encrypted key under `ulimit -v 200000`, which makes it take 128
// MiB instead of 1 GiB.
constexpr std::string_view k_public = "untrusted comment: minisign public key 88B81EBA671663E5\n"
                                      "RWTlYxZnuh64iNQfY57Hh+Z6c87RDsSfNAauRvVK9hOU5MiyXMgYDyDP\n";
constexpr std::string_view k_encrypted =
    "untrusted comment: minisign encrypted secret key\n"
    "RWRTY0Iyun0v9VYBMYZkFVs4SjKvV/IukSasNrj1ma6L6L4SOUcAAEAAAAAAAAAAAAgAAAAA1bXp0lGQIggIUunZcMCQPiOjYiXaVi/"
    "hi4aymkurMCwTERzaxPOZ+UcQ"
    "p99//GRz1Ct/vvIxPJ9hwuJpzxRf+SUo0Jbd78kL7e8TS50J7YytZwxbJyIrlQOOCuZL+ZL+7d0W9DiCrfo=\n";
constexpr std::string_view k_signature =
    "untrusted comment: signature from minisign secret key\n"
    "RUTlYxZnuh64iBqIwkDMiAheBzVRO/Dhon7JCrvacwLqH3YH9XvW9KGcDhYopMAzvVbLIT4FPlrZ1YYHHiJZoWqp8TzSsFwWdwk=\n"
    "trusted comment: site=blog version=1.0.0 serial=7\n"
    "TYgiFfZguFnug8DtykAMY6ZYRSg4Rh06sldXLa8x66P1v/LFpNwz/6xwC+fWuCCBpGTN7sgLthKIpNb8PqA2Dg==\n";
constexpr std::string_view k_legacy =
    "untrusted comment: signature from minisign secret key\n"
    "RWRBwegEQhNUvkICoYJ8GGo6VuzLMZiOaeXZHBZftjT4c0RmNiKJy/ucY0tUBWcxJYdWxg6eJCn70fHXsqWv7XnruBiuPWh6/QI=\n"
    "trusted comment: timestamp:1795197365\tfile:m\n"
    "IBjKNIIyAPG1Y8IJt/Xjb2AFg8E5AzQuzKdBUw4FNJo14XB1cDORFDRgH/fr3qZVOMTeLDtYQgFSvOJeytO9Aw==\n";
constexpr std::string_view k_plain_public =
    "RWRBwegEQhNUvrVAomu1QGJPk201pF9JWlbIlARlF7o5bDfyHMbpt/yx";
constexpr std::string_view k_plain =
    "untrusted comment: minisign encrypted secret key\n"
    "RWQAAEIyAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAQcHoBEITVL4eDl8YM+"
    "JxpE4fnLCtLynn0KbIZxhBDn05HyLLpq9ry7VA"
    "omu1QGJPk201pF9JWlbIlARlF7o5bDfyHMbpt/yxAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n";

std::array<uint8_t, 64> hash_of(std::string_view text) {
  Blake2b512 hash;
  hash.update(bytes_of(text));
  return hash.finish();
}

std::array<uint8_t, 64> signed_file() {
  return hash_of(std::string(100, 'a'));
}

Result<std::string> verify(std::string_view signature) {
  const auto parsed = TRY(MinisignSignature::parse(signature));
  return parsed.verify(MinisignPublicKey::parse(k_public).value(), signed_file());
}

std::string replaced(std::string_view text, std::string_view from, std::string_view to) {
  std::string out(text);
  const size_t at = out.find(from);
  REQUIRE(at != std::string::npos);
  return out.replace(at, from.size(), to);
}

} // namespace

TEST_CASE("minisign's own signature verifies under its own key, and the trusted comment comes out") {
  CHECK(verify(k_signature).value() == "site=blog version=1.0.0 serial=7");
  CHECK(verify(k_signature.substr(0, k_signature.size() - 1)).value() ==
      "site=blog version=1.0.0 serial=7");
  CHECK(key_id_text(MinisignSignature::parse(k_signature).value().id) == "88B81EBA671663E5");
}

TEST_CASE("a public key is read from its file or from its line, and written as minisign writes it") {
  const MinisignPublicKey key = MinisignPublicKey::parse(k_public).value();
  CHECK(key.to_file() == k_public);
  CHECK(key_id_text(key.id) == "88B81EBA671663E5");
  CHECK(MinisignPublicKey::parse(key.to_line()).value().to_file() == k_public);
  CHECK(MinisignPublicKey::parse(cat(key.to_line(), "\r\n")).value().to_file() == k_public);
  for (const std::string& bad : {std::string(), std::string("untrusted comment: x\n"),
           std::string(k_plain), cat("comment\n", key.to_line()), cat(k_public, key.to_line()),
           replaced(key.to_line(), "RW", "RU"), key.to_line().substr(4)})
    CHECK(failed_with(Code::invalid, MinisignPublicKey::parse(bad)));
}

TEST_CASE("minisign's unencrypted key signs, and needs no passphrase") {
  CHECK_FALSE(MinisignSecretKey::is_encrypted(k_plain).value());
  const MinisignSecretKey key = MinisignSecretKey::parse(k_plain, SecretBytes()).value();
  CHECK(key.public_key().to_line() == k_plain_public);
  const auto signature = MinisignSignature::parse(key.sign(hash_of("x"), "serial=1")).value();
  CHECK(signature.verify(key.public_key(), hash_of("x")).value() == "serial=1");
}

TEST_CASE("minisign's encrypted key opens with its passphrase only") {
  CHECK(MinisignSecretKey::is_encrypted(k_encrypted).value());
  const MinisignSecretKey key = MinisignSecretKey::parse(k_encrypted, secret("pw")).value();
  CHECK(key.public_key().to_file() == k_public);
  CHECK(failed_with(Code::denied, MinisignSecretKey::parse(k_encrypted, secret("pW"))));
  CHECK(failed_with(Code::denied, MinisignSecretKey::parse(k_encrypted, SecretBytes())));
}

TEST_CASE("our own keys, encrypted or not, come back as they were") {
  const MinisignSecretKey key = MinisignSecretKey::generate();
  const SecretBytes plain = key.to_file(SecretBytes()).value();
  CHECK(MinisignSecretKey::parse(plain.text(), SecretBytes()).value().public_key().to_line() ==
      key.public_key().to_line());
  const SecretBytes locked = key.to_file(secret("pw"), {32768, 16 << 20}).value();
  CHECK(MinisignSecretKey::is_encrypted(locked.text()).value());
  CHECK(MinisignSecretKey::parse(locked.text(), secret("pw")).value().public_key().to_line() ==
      key.public_key().to_line());
  CHECK(failed_with(Code::denied, MinisignSecretKey::parse(locked.text(), secret("wp"))));
  CHECK(key_id_text(key.public_key().id) !=
      key_id_text(MinisignSecretKey::generate().public_key().id));
}

TEST_CASE("a damaged secret key is refused: no bit of it may change, but the comment") {
  const std::string line(trim(k_plain.substr(k_plain.find('\n'))));
  const Bytes raw = unbase64(line).value();
  for (size_t bit = 0; bit < raw.size() * 8; ++bit) {
    const size_t byte = bit / 8;
    if (byte >= 6 &&
        byte <
            62) // salt and limits mean nothing without a passphrase; the id is the name of the key
      continue;
    Bytes changed = raw;
    changed[byte] ^= static_cast<uint8_t>(1 << (bit % 8));
    REQUIRE_FALSE(MinisignSecretKey::parse(base64(changed), SecretBytes()));
  }
  CHECK(failed_with(Code::invalid, MinisignSecretKey::parse(k_public, SecretBytes())));
  CHECK(failed_with(Code::invalid, MinisignSecretKey::parse("", SecretBytes())));
}

TEST_CASE("scrypt limits over minisign's own are refused before the memory is taken") {
  const std::string line(trim(k_encrypted.substr(k_encrypted.find('\n'))));
  for (const size_t byte : {size_t{42}, size_t{50}}) {
    Bytes raw = unbase64(line).value();
    raw[byte] = 1; // the fifth byte of opslimit, of memlimit
    CHECK(failed_with(Code::too_large, MinisignSecretKey::parse(base64(raw), secret("pw"))));
  }
}

TEST_CASE("[fault-36] a wrong key id, a wrong signature and an edited comment have errors of their own") {
  const auto signature = MinisignSignature::parse(k_signature).value();
  const auto other =
      signature.verify(MinisignPublicKey::parse(k_plain_public).value(), signed_file());
  CHECK(failed_with(Code::denied, other));
  CHECK(contains(outcome(other), "signed with key 88B81EBA671663E5, not with BE54134204E8C141"));

  MinisignPublicKey same_id = MinisignPublicKey::parse(k_plain_public).value();
  same_id.id = signature.id;
  CHECK(failed_with(Code::denied, signature.verify(same_id, signed_file())));

  const auto other_file =
      signature.verify(MinisignPublicKey::parse(k_public).value(), hash_of("another file"));
  CHECK(failed_with(Code::denied, other_file));
  CHECK(contains(outcome(other_file), "does not match this file"));

  const auto edited = verify(replaced(k_signature, "serial=7", "serial=8"));
  CHECK(failed_with(Code::denied, edited));
  CHECK(contains(outcome(edited), "trusted comment was changed"));
}

TEST_CASE("[fault-36] the legacy format is refused with what to do") {
  const auto parsed = MinisignSignature::parse(k_legacy);
  CHECK(failed_with(Code::invalid, parsed));
  CHECK(contains(outcome(parsed), "without -l"));
}

TEST_CASE("[fault-36] every flipped bit of both signatures is found") {
  const std::vector<std::string_view> lines = split(k_signature, '\n');
  for (const size_t which : {size_t{1}, size_t{3}}) {
    const Bytes raw = unbase64(lines[which]).value();
    for (size_t bit = 0; bit < raw.size() * 8; ++bit) {
      Bytes changed = raw;
      changed[bit / 8] ^= static_cast<uint8_t>(1 << (bit % 8));
      REQUIRE_FALSE(verify(replaced(k_signature, lines[which], base64(changed))));
    }
  }
}

TEST_CASE("[fault-36] carriage returns, escapes and other unprintable characters in a comment are refused") {
  for (const char* bad : {"serial=7\r", "\x1b[2Jserial=7", "serial=7\x7f", "serial=7\xc2\x9b",
           "serial=7\xff", "serial=7\x01"})
    CHECK(failed_with(Code::invalid, verify(replaced(k_signature, "serial=7", bad))));
  CHECK(failed_with(Code::invalid, verify(replaced(k_signature, "from minisign", "\x1b[31m"))));
  std::string crlf;
  for (const char c : k_signature)
    crlf += c == '\n' ? std::string("\r\n") : std::string(1, c);
  CHECK(contains(outcome(MinisignSignature::parse(crlf)), "carriage return"));
}

TEST_CASE("a signature is four lines and nothing else") {
  for (const std::string& bad : {std::string(), std::string(k_signature.substr(0, 100)),
           cat(k_signature, "\n"), cat(k_signature, "more\n"), cat("\n", k_signature),
           replaced(k_signature, "untrusted comment: ", "comment: "),
           replaced(k_signature, "\ntrusted comment: ", "\nuntrusted comment: "),
           replaced(k_signature, "RUT", "R UT"), replaced(k_signature, "RU", "RV"),
           replaced(k_signature, "Dg==", "Dg=")})
    CHECK(failed_with(Code::invalid, MinisignSignature::parse(bad)));
  CHECK(failed_with(
      Code::too_large, MinisignSignature::parse(cat(k_signature, std::string(10 * 1024, 'x')))));
}

TEST_CASE("what sign() writes always verifies: a comment cannot break out of its line") {
  const MinisignSecretKey key = MinisignSecretKey::generate();
  const std::vector<std::pair<std::string, std::string>> comments{{"", ""}, {"plain", "plain"},
      {"tab\there", "tab\there"}, {"größe", "größe"}, {"cr\r", "cr\\x0d"},
      {"two\nlines", "two\\x0alines"}, {"esc\x1b[0m", "esc\\x1b[0m"}};
  for (const auto& [given, written] : comments) {
    const auto signature = MinisignSignature::parse(key.sign(hash_of("f"), given));
    REQUIRE(outcome(signature) == "ok");
    CHECK(signature->verify(key.public_key(), hash_of("f")).value() == written);
  }
}
