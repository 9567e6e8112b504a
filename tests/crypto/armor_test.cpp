#include "sample.hpp"

using namespace chillbox;
using namespace chillbox::crypto;

namespace {

std::string armored(ByteView binary, std::string_view eol = "\n") {
  const std::string text = base64(binary);
  std::string out = cat("-----BEGIN AGE ENCRYPTED FILE-----", eol);
  for (size_t at = 0; at < text.size(); at += 64)
    out += cat(std::string_view(text).substr(at, 64), eol);
  return cat(out, "-----END AGE ENCRYPTED FILE-----", eol);
}

std::string why(std::string_view text) {
  return outcome(unarmor(bytes_of(text)));
}

} // namespace

TEST_CASE("armor comes off for every length, with LF or CRLF, and with white space around it") {
  for (const size_t size : {size_t{0}, size_t{1}, size_t{46}, size_t{47}, size_t{48}, size_t{49},
           size_t{95}, size_t{96}, size_t{97}, size_t{1000}}) {
    const Bytes binary = pattern(size);
    CHECK(unarmor(bytes_of(armored(binary))).value() == binary);
    CHECK(unarmor(bytes_of(armored(binary, "\r\n"))).value() == binary);
    CHECK(unarmor(bytes_of(cat("\n \t\r\n", armored(binary), " \n\n"))).value() == binary);
  }
}

TEST_CASE("what is not armored comes back as it is") {
  for (const std::string_view text : {"", "age-encryption.org/v1\n", "\n\n \t", "----BEGIN"})
    CHECK(text_of(unarmor(bytes_of(text)).value()) == text);
}

TEST_CASE("what is written in any pieces is the armor of the whole, and comes off in any pieces") {
  for (const size_t size :
      {size_t{0}, size_t{1}, size_t{47}, size_t{48}, size_t{49}, size_t{100'000}}) {
    const Bytes binary = pattern(size);
    for (const size_t step : {size_t{1}, size_t{47}, size_t{48}, size_t{50}, size_t{100'000}}) {
      Bytes text;
      ArmorWriter writer(appending(text));
      for (size_t at = 0; at < size; at += step)
        REQUIRE(writer.write(ByteView(binary).subspan(at, std::min(step, size - at))));
      REQUIRE(writer.finish());
      REQUIRE(text_of(text) == armored(binary));
      const ReadBytes source = unarmored(reading(text, step));
      Bytes out, piece(step);
      for (size_t n = source(piece).value(); n > 0; n = source(piece).value())
        out.insert(out.end(), piece.begin(), piece.begin() + static_cast<ptrdiff_t>(n));
      REQUIRE(out == binary);
    }
  }
}

TEST_CASE("without finish() there is no end line, and no reader takes it") {
  Bytes text;
  ArmorWriter writer(appending(text));
  REQUIRE(writer.write(pattern(96)));
  CHECK(contains(why(text_of(text)), "cut short"));
}

TEST_CASE("a line without an end, and white space without an end, are not held in memory") {
  const std::string begin = "-----BEGIN AGE ENCRYPTED FILE-----\n";
  CHECK(contains(why(begin + std::string(1 << 20, 'A')), "64 columns"));
  CHECK(why(cat(begin, "-----END AGE ENCRYPTED FILE-----\n", std::string(1 << 20, '\n'))) == "ok");
  CHECK(contains(
      why(cat(begin, "-----END AGE ENCRYPTED FILE-----\n", std::string(1 << 20, '\n'), "x")),
      "after the end line"));
}

TEST_CASE("malformed armor is refused with its line") {
  const std::string good = armored(pattern(100));
  CHECK(contains(why("-----BEGIN AGE ENCRYPTED FILE-----"), "cut short"));
  CHECK(contains(why("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"), "line 1"));
  CHECK(contains(why(cat(good, "more")), "after the end line"));
  CHECK(contains(why(good.substr(0, good.find("-----END"))), "cut short"));
  CHECK(contains(
      why("-----BEGIN AGE ENCRYPTED FILE-----\nAAAA\nAAAA\n-----END AGE ENCRYPTED FILE-----\n"),
      "line 3"));
  CHECK(contains(why("-----BEGIN AGE ENCRYPTED FILE-----\nAAA\n-----END AGE ENCRYPTED FILE-----\n"),
      "base64"));
  CHECK(
      contains(why("-----BEGIN AGE ENCRYPTED FILE-----\nAAB=\n-----END AGE ENCRYPTED FILE-----\n"),
          "base64"));
  CHECK(contains(why("-----BEGIN AGE ENCRYPTED FILE-----\n\n-----END AGE ENCRYPTED FILE-----\n"),
      "64 columns"));
  CHECK(contains(why(cat("-----BEGIN AGE ENCRYPTED FILE-----\n", std::string(68, 'A'),
                     "\n-----END AGE ENCRYPTED FILE-----\n")),
      "64 columns"));
  // Padding ends the data, also when its line is full.
  CHECK(contains(why(cat("-----BEGIN AGE ENCRYPTED FILE-----\n", std::string(62, 'A'),
                     "==\nAAAA\n-----END AGE ENCRYPTED FILE-----\n")),
      "line 3"));
}

TEST_CASE("an armored file opens with a key and with a passphrase") {
  const AgeIdentity identity = AgeIdentity::generate();
  CHECK(decrypt_with_identity(
            bytes_of(armored(encrypted(bytes_of("hi"), {identity.recipient()}))), identity)
            .value()
            .text() == "hi");
  const Bytes file = encrypt_with_passphrase(bytes_of("hi"), secret("pw"), 4).value();
  CHECK(decrypt_with_passphrase(bytes_of(armored(file)), secret("pw")).value().text() == "hi");
}
