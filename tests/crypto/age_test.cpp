#include "sample.hpp"

#include "crypto/bech32.hpp"

#include <chrono>

using namespace chillbox;
using namespace chillbox::crypto;

namespace {

// The example key of C2SP age.md: 32 bytes of 0x42.
constexpr std::string_view k_identity =
    "AGE-SECRET-KEY-1GFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPQ4EGAEX";
constexpr std::string_view k_recipient =
    "age1zvkyg2lqzraa2lnjvqej32nkuu0ues2s82hzrye869xeexvn73equnujwj";

constexpr std::string_view k_header = "age-encryption.org/v1\n"
                                      "-> X25519 XEl0dJ6y3C7KZkgmgWUicg63EyXJiwBJW8PdYJ/cYBE\n"
                                      "qRS0AMjdjPvZ/WT08U2KL4G+PIooA3hy38SvLpvaC1E\n"
                                      "--- HK2NmOBN9Dpq0Gw6xMCuhFcQlQLvZ/wQUi/2scLG75s\n";

AgeIdentity example() {
  return AgeIdentity::parse(k_identity).value();
}

// A header with its scrypt stanza changed, as an attacker would write it.
AgeHeader scrypt_header(std::string_view args) {
  const std::string text = cat("age-encryption.org/v1\n-> scrypt ", args,
      "\n8SHBz/ldWnjyGFQqfjat6uNBarWqqEMDS7W8X7+Xq5Q\n",
      "--- HK2NmOBN9Dpq0Gw6xMCuhFcQlQLvZ/wQUi/2scLG75s\n");
  return parse_age_header(bytes_of(text)).value();
}

} // namespace

TEST_CASE("age.md's example header is read: stanza, MAC, and where the payload begins") {
  const std::string file = cat(k_header, "payload follows");
  const AgeHeader header = parse_age_header(bytes_of(file)).value();
  REQUIRE(header.stanzas.size() == 1);
  CHECK(header.stanzas[0].args ==
      std::vector<std::string>{"X25519", "XEl0dJ6y3C7KZkgmgWUicg63EyXJiwBJW8PdYJ/cYBE"});
  CHECK(header.stanzas[0].body.size() == 32);
  CHECK(header.size == k_header.size());
  CHECK(header.text.ends_with("aC1E\n---"));
  CHECK(base64_unpadded(header.mac) == "HK2NmOBN9Dpq0Gw6xMCuhFcQlQLvZ/wQUi/2scLG75s");
}

TEST_CASE("what is no age file is refused with what it seems to be") {
  const auto why = [](std::string_view text) { return outcome(parse_age_header(bytes_of(text))); };
  CHECK(contains(why(""), "empty"));
  CHECK(contains(why("PK\x03\x04"), "not an age file"));
  CHECK(contains(why("-----BEGIN AGE ENCRYPTED FILE-----\n"), "not an age file"));
  CHECK(contains(why("age-encryption.org/v2\n"), "version 'v2'"));
  CHECK(contains(why("age-encryption.org/v1\x1b[2J\n"), "v1\\x1b[2J"));
  CHECK(contains(why("age-encryption.org/v1\n--- HK2NmOBN9Dpq0Gw6xMCuhFcQlQLvZ/wQUi/2scLG75s\n"),
      "no recipient"));
}

TEST_CASE("a MAC with a byte that libsodium would take for a digit is refused: the MAC does not cover itself") {
  std::string header(k_header);
  header[header.rfind('/')] = '\xaf';
  CHECK(failed_with(Code::invalid, parse_age_header(bytes_of(header))));
}

TEST_CASE("a stanza's body is read in lines of at most 64 columns") {
  const auto with_body = [](size_t columns) {
    return cat("age-encryption.org/v1\n-> a\n", std::string(columns, 'A'),
        columns == 64 ? "\n\n" : "\n", k_header.substr(k_header.find("---")));
  };
  for (const size_t columns : {size_t{0}, size_t{60}, size_t{64}})
    CHECK(outcome(parse_age_header(bytes_of(with_body(columns)))) == "ok");
  CHECK(contains(outcome(parse_age_header(bytes_of(with_body(68)))), "longer than 64 columns"));
}

TEST_CASE("[fault-45] a header cut anywhere is refused") {
  for (size_t size = 0; size < k_header.size(); ++size)
    CHECK(failed_with(Code::invalid, parse_age_header(bytes_of(k_header.substr(0, size)))));
}

TEST_CASE("a header that does not end within 64 KiB is too large, one that just does is read") {
  std::string text = "age-encryption.org/v1\n-> a\n";
  const std::string line = std::string(64, 'A') + "\n";
  while (text.size() + line.size() + 100 < k_max_age_header)
    text += line;
  const std::string mac = "--- HK2NmOBN9Dpq0Gw6xMCuhFcQlQLvZ/wQUi/2scLG75s\n";
  CHECK(parse_age_header(bytes_of(cat(text, "\n", mac, std::string(1 << 20, 'x')))).value().size ==
      text.size() + 1 + mac.size());
  CHECK(failed_with(Code::too_large, parse_age_header(bytes_of(cat(text, line, line, "\n", mac)))));
  CHECK(failed_with(Code::too_large,
      parse_age_header(bytes_of(cat("age-encryption.org/v1\n-> ", std::string(1 << 20, 'x'))))));
}

TEST_CASE("age.md's example identity has its example recipient, and both come out as they went in") {
  CHECK(example().recipient() == k_recipient);
  CHECK(example().to_text().text() == k_identity);
  CHECK(bech32_encode("age", parse_age_recipient(k_recipient).value()).text() == k_recipient);
  CHECK(
      parse_age_recipient(std::string("\xef\xbb\xbf") + std::string(k_recipient))); // [fault-1131]
}

TEST_CASE("a generated identity is another one each time and survives its own text") {
  const AgeIdentity identity = AgeIdentity::generate();
  CHECK(AgeIdentity::parse(identity.to_text().text()).value().recipient() == identity.recipient());
  CHECK(AgeIdentity::generate().recipient() != identity.recipient());
}

TEST_CASE("an identity in lower case, cut short or of another type is refused, and never shown") {
  std::string lower(k_identity);
  std::transform(lower.begin(), lower.end(), lower.begin(),
      [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
  for (const std::string& bad :
      {lower, std::string(k_identity.substr(0, 60)), std::string(k_recipient), std::string(),
          cat("AGE-SECRET-KEY-PQ-1", std::string(58, 'Q')),
          cat("AGE-PLUGIN-YUBIKEY-1", std::string(40, 'Q'))}) {
    const auto identity = AgeIdentity::parse(bad);
    CHECK(failed_with(Code::invalid, identity));
    CHECK_FALSE(contains(outcome(identity), "GFPYYSJZ"));
  }
}

TEST_CASE("an identity file is read to its first identity, past comments and empty lines") {
  const std::string text = cat(
      "# created: 2026-01-01T00:00:00Z\r\n# public key: ", k_recipient, "\n\n", k_identity, "\n");
  CHECK(parse_identity_file(text).value().recipient() == k_recipient);
  CHECK(contains(outcome(parse_identity_file("# nothing\n")), "no identity"));
  CHECK(contains(outcome(parse_identity_file("# a comment\nrubbish\n")), "line 2"));
}

TEST_CASE("a recipient is distinguished from a secret key, a plugin and a typing error") {
  CHECK(contains(outcome(parse_age_recipient(k_identity)), "secret key"));
  CHECK_FALSE(contains(outcome(parse_age_recipient(k_identity)), "GFPYYSJZ"));
  CHECK(contains(outcome(parse_age_recipient(
                     "age1zvkyg2lqzraa2lnjvqej32nkuu0ues2s82hzrye869xeexvn73equnujwk")),
      "checksum"));
  CHECK(contains(outcome(parse_age_recipient("ssh-ed25519 AAAA")), "age1"));
  CHECK(contains(
      outcome(parse_age_recipient(cat("age1pq1", std::string(200, 'q')))), "post-quantum"));
  CHECK(contains(outcome(parse_age_recipient("age1pq1qqqq")), "post-quantum"));
  CHECK(contains(outcome(parse_age_recipient("age1yubikey1qwt50d05nh5vutpdzmlg5wn80xq5negm")),
      "of the plugin age-plugin-yubikey: only X25519 recipients (age1...) work here"));
  CHECK(contains(outcome(parse_age_recipient("AGE1ZVKYG2LQZRAA2LNJVQEJ32NKUU0")), "lower case"));
  CHECK(parse_age_recipient(cat(" ", k_recipient, " \r\n")).value() ==
      parse_age_recipient(k_recipient).value());
  CHECK(failed_with(Code::invalid,
      AgeWriter::to_recipients({"age1nonsense"}, [](ByteView) { return Result<void>(); })));
  CHECK(failed_with(
      Code::invalid, AgeWriter::to_recipients({}, [](ByteView) { return Result<void>(); })));
}

TEST_CASE("every recipient of a file reads it, and nobody else: that is not_found, not damage") {
  const AgeIdentity first = AgeIdentity::generate();
  const AgeIdentity second = AgeIdentity::generate();
  const Bytes file = encrypted(bytes_of("hello"), {first.recipient(), second.recipient()});
  CHECK(decrypt_with_identity(file, first).value().text() == "hello");
  CHECK(decrypt_with_identity(file, second).value().text() == "hello");
  CHECK(failed_with(Code::not_found, decrypt_with_identity(file, AgeIdentity::generate())));
}

TEST_CASE("every flipped bit and every cut of a file is found") {
  const AgeIdentity identity = AgeIdentity::generate();
  const Bytes file = encrypted(bytes_of("x"), {identity.recipient()});
  for (size_t bit = 0; bit < file.size() * 8; ++bit) {
    Bytes changed = file;
    changed[bit / 8] ^= static_cast<uint8_t>(1 << (bit % 8));
    REQUIRE_FALSE(decrypt_with_identity(changed, identity));
  }
  for (size_t size = 0; size < file.size(); ++size)
    REQUIRE_FALSE(decrypt_with_identity(ByteView(file).first(size), identity));
}

TEST_CASE("a header that somebody else completed has a wrong MAC: that is damage, not another key") {
  const AgeIdentity identity = AgeIdentity::generate();
  const Bytes file = encrypted(bytes_of("x"), {identity.recipient()});
  AgeHeader header = parse_age_header(file).value();
  const SecretBytes file_key = identity.file_key(header).value();
  CHECK(header_mac_ok(header, file_key));
  header.text.insert(header.text.find("---"), "-> x\n\n");
  CHECK(failed_with(Code::corrupt, identity.file_key(header)));
  CHECK_FALSE(header_mac_ok(header, file_key));
  CHECK_FALSE(header_mac_ok(header, SecretBytes()));
}

TEST_CASE("a passphrase opens what it closed, a wrong one is denied, and for a key the error says that it is the wrong kind") {
  const Bytes file =
      encrypt_with_passphrase(bytes_of("secret"), secret("correct horse"), 4).value();
  CHECK(decrypt_with_passphrase(file, secret("correct horse")).value().text() == "secret");
  CHECK(failed_with(Code::denied, decrypt_with_passphrase(file, secret("correct horsf"))));
  CHECK(failed_with(Code::denied, decrypt_with_passphrase(file, SecretBytes())));
  CHECK(failed_with(Code::not_found, decrypt_with_identity(file, AgeIdentity::generate())));
  const AgeIdentity identity = AgeIdentity::generate();
  CHECK(failed_with(Code::not_found,
      decrypt_with_passphrase(encrypted({}, {identity.recipient()}), secret("x"))));
}

TEST_CASE("nothing is encrypted with an empty passphrase or a senseless work factor") {
  CHECK(failed_with(Code::invalid, encrypt_with_passphrase({}, SecretBytes(), 4)));
  for (const int factor : {-1, 0, 23, 64})
    CHECK(failed_with(Code::invalid, encrypt_with_passphrase({}, secret("x"), factor)));
}

TEST_CASE("[fault-46] a scrypt work factor over the cap is refused before any memory is taken") {
  const SecretBytes passphrase = secret("password");
  const auto before = std::chrono::steady_clock::now();
  for (const char* factor :
      {"19", "23", "30", "63", "64", "4294967297", "99999999999999999999999999"}) {
    const auto key =
        scrypt_file_key(scrypt_header(cat("ajMFur+EJLGaohv/dLRGnw ", factor)), passphrase);
    CHECK(failed_with(Code::too_large, key)); // and not no_space: nobody asked for the memory
    CHECK(contains(outcome(key), "limit 2^18"));
  }
  CHECK(std::chrono::steady_clock::now() - before <
      std::chrono::milliseconds(500)); // 2^19 alone takes a second
  CHECK(failed_with(
      Code::too_large, scrypt_file_key(scrypt_header("ajMFur+EJLGaohv/dLRGnw 10"), passphrase, 9)));
  CHECK(failed_with(
      Code::denied, scrypt_file_key(scrypt_header("ajMFur+EJLGaohv/dLRGnw 9"), passphrase, 9)));
  // A cap from a mistaken caller does not open what age itself never reads.
  CHECK(failed_with(Code::too_large,
      scrypt_file_key(scrypt_header("ajMFur+EJLGaohv/dLRGnw 23"), passphrase, 99)));
}

TEST_CASE("a scrypt stanza that is not alone is refused before any key work, by passphrase and by key") {
  const std::string text = cat(
      "age-encryption.org/v1\n-> scrypt ajMFur+EJLGaohv/dLRGnw 18\n8SHBz/ldWnjyGFQqfjat6uNBarWqqEMDS7W8X7+Xq5Q\n",
      k_header.substr(k_header.find("->")));
  const AgeHeader header = parse_age_header(bytes_of(text)).value();
  const auto before = std::chrono::steady_clock::now();
  CHECK(failed_with(Code::invalid, scrypt_file_key(header, secret("password"))));
  CHECK(failed_with(Code::invalid, example().file_key(header)));
  CHECK(std::chrono::steady_clock::now() - before < std::chrono::milliseconds(500));
}
