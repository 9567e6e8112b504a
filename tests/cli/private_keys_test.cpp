// What pack takes for a private key, and what it does not.
#include "catch.hpp"

#include "cli/pack/private_keys.hpp"

#include "base/encoding.hpp"
#include "base/text.hpp"

#include <string>

using namespace chillbox;
using namespace chillbox::cli;

namespace {

// Base64 of nothing: no text here is a key, and other scanners need not ask about them.
std::string body(size_t length) {
  std::string out;
  for (size_t i = 0; i < length; ++i)
    out += cat(i != 0 && i % 64 == 0 ? "\n" : "", static_cast<char>('A' + i % 26));
  return out;
}

std::string pem(std::string_view label, std::string_view headers = "") {
  return cat("-----BEGIN ", label, "-----\n", headers, body(300), "\n-----END ", label, "-----\n");
}

std::string_view found(std::string_view text) {
  return private_key_in(text.substr(0, k_key_bytes), text.size());
}

// A DER value.
std::string der(unsigned char tag, const std::string& value) {
  std::string out(1, static_cast<char>(tag));
  if (value.size() < 0x80)
    out += static_cast<char>(value.size());
  else
    out +=
        cat('\x82', static_cast<char>(value.size() >> 8), static_cast<char>(value.size() & 0xFF));
  return out + value;
}

std::string number(char value) {
  return der(2, std::string(1, value));
}

const std::string k_rsa_oid = der(6, "\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01");

} // namespace

TEST_CASE("private keys are known by what is in the file, whatever its name [fault-260]") {
  for (const std::string& text : {pem("PRIVATE KEY"), pem("RSA PRIVATE KEY"), pem("EC PRIVATE KEY"),
           pem("OPENSSH PRIVATE KEY"), pem("ENCRYPTED PRIVATE KEY"),
           pem("DSA PRIVATE KEY", "Proc-Type: 4,ENCRYPTED\nDEK-Info: AES-256-CBC,00AA\n\n"),
           pem("PGP PRIVATE KEY BLOCK", "Version: GnuPG v2\nComment: mine\n\n"),
           pem("CERTIFICATE") + pem("CERTIFICATE") + pem("PRIVATE KEY"),
           cat("Bag Attributes\n    friendlyName: me\nKey Attributes: <No Attributes>\r\n",
               pem("PRIVATE KEY")),
           cat("---- BEGIN SSH2 ENCRYPTED PRIVATE KEY ----\nComment: \"mine\"\n", body(200),
               "\n---- END SSH2 ENCRYPTED PRIVATE KEY ----\n"),
           cat(R"({"type": "service_account", "private_key": "-----BEGIN PRIVATE KEY-----\n)",
               body(64), R"(\n-----END PRIVATE KEY-----\n"})"),
           cat("KEY = \"-----BEGIN RSA PRIVATE KEY-----\\n\" +\n  \"", body(64), "\\n\""),
           cat("KEY = '''-----BEGIN PRIVATE KEY-----\r\n", body(64), "'''")}) {
    CAPTURE(text);
    CHECK(found(text) == "a private key (PEM)");
  }
  const std::pair<std::string, std::string_view> others[] = {
      {"# created: 2026\n# public key: age1x\nAGE-SECRET-KEY-1" + std::string(58, 'Q') + "\n",
          "an age identity"},
      {"whsec_" + body(44), "a webhook key"},
      {"PuTTY-User-Key-File-3: ssh-ed25519\nEncryption: none\n", "a private key (PuTTY)"},
      {"untrusted comment: minisign encrypted secret key\nRWRTY0Iy" + body(64) + body(60),
          "a secret key (minisign)"},
      {"untrusted comment: x\nRWQAAEIy" + body(64) + body(60), "a secret key (minisign)"},
      {"untrusted comment: signify secret key\nRWRCSwAA" + body(64) + body(60),
          "a secret key (signify)"},
      {"[default]\naws_access_key_id = AKIA\naws_secret_access_key = " + body(40),
          "AWS credentials"},
      {"users:\n- user:\n    client-key-data: " + body(60), "a kubeconfig with a key"},
      {"//registry.npmjs.org/:_authToken=npm_" + body(36), "a token (npm)"},
      {"TOKEN=ghp_" + body(36), "a token (GitHub)"},
      {der(0x30, number(0) + der(0x30, k_rsa_oid) + der(4, body(300))), "a private key (DER)"},
      {der(0x30, number(0) + der(2, body(128)) + number(3)), "a private key (DER)"},
      {der(0x30, number(1) + der(4, body(32))), "a private key (DER)"},
      {der(0x30, der(0x30, der(6, "\x2a\x86\x48\x86\xf7\x0d\x01\x05\x0d")) + der(4, body(300))),
          "a private key (DER)"},
      {der(0x30, number(3) + der(0x30, body(300))), "a key store (PKCS #12)"},
      {std::string("\x30\x80\x02\x01\x03\x30\x80\x06", 8) + body(300), "a key store (PKCS #12)"},
      {std::string("\xfe\xed\xfe\xed\0\0\0\2\0\0\0\1\0\0\0\1", 16) + body(99),
          "a key store (Java)"},
      {std::string("\x95\x05\x86\x04\x60\0\0\0\x01", 9) + body(99), "a secret key (OpenPGP)"},
      {std::string("\x94\x58\x04\x60\0\0\0\x16", 8) + body(99), "a secret key (OpenPGP)"},
  };
  for (const auto& [text, what] : others) {
    CAPTURE(text);
    CHECK(found(text) == what);
  }
}

TEST_CASE("public keys, certificates and text about keys are no private keys [fault-260]") {
  for (const std::string& text : {std::string(), std::string("0"), std::string("\x30\x82", 2),
           pem("CERTIFICATE"), pem("PUBLIC KEY"), pem("PGP PUBLIC KEY BLOCK"),
           pem("CERTIFICATE REQUEST"), cat("ssh-ed25519 ", body(68), " me@laptop\n"),
           std::string("untrusted comment: minisign public key 1\nRWQ") + body(53),
           std::string("untrusted comment: signature\nRUQ") + body(97),
           std::string("age1") + body(58),
           std::string("if '-----BEGIN RSA PRIVATE KEY-----' in text: raise ValueError"),
           std::string("-----BEGIN PRIVATE KEY-----\n...\n-----END PRIVATE KEY-----\n"),
           std::string("Paste it between BEGIN PRIVATE KEY and END PRIVATE KEY.\n") + body(64),
           std::string("aws_secret_access_key = os.environ['KEY']"),
           std::string("whsec_... is printed once"), std::string("//x/:_authToken=${NPM_TOKEN}"),
           std::string("client-key-data: REDACTED"),
           der(0x30, der(0x30, k_rsa_oid) + der(3, body(300))),                // a public key
           der(0x30, der(0x30, der(0xA0, number(2)) + number(1)) + body(300)), // a certificate
           der(0x30, number(0) + der(2, body(128))) + "and more", // not all of the file
           std::string("\xfe\xed\xfe\xed\0\0\0\2\0\0\0\1\0\0\0\2", 16) + body(99),
           std::string("\x89PNG\r\n\x1a\n\0\0", 10) + pem("PRIVATE KEY")}) {
    CAPTURE(text);
    CHECK(found(text).empty());
  }
}

TEST_CASE("databases and files that are named like secrets are worth a warning") {
  CHECK(
      likely_private("x", std::string_view("SQLite format 3\0\x10", 17)) == "a database (SQLite)");
  CHECK(likely_private("secrets.json", "{}") == "secrets, by its name");
  CHECK(likely_private("Credentials.yaml", "") == "secrets, by its name");
  CHECK(likely_private("prod.env", "") == "secrets, by its name");
  for (const std::string_view name : {"secretary.html", "environment.js", "app.py", "env"})
    CHECK(likely_private(name, "").empty());
}
