#include "crypto/ssh_key.hpp"

#include "catch.hpp"

#include "base/text.hpp"

using namespace chillbox;
using namespace chillbox::crypto;

namespace {

// Of ssh-keygen -t ed25519, with its fingerprint as ssh-keygen -l prints it.
const std::string k_key =
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIM5R9M8XhIw1PlzBafHuI4uqnbmApgjULfMr/qqND/0k";

std::string field(std::string_view text) {
  std::string out(3, '\0');
  return cat(out, std::string(1, static_cast<char>(text.size())), text);
}

std::string line_of(std::string_view type, const std::string& blob) {
  return cat(type, " ", base64(bytes_of(blob)));
}

} // namespace

TEST_CASE("a public key of ssh is read as ssh-keygen writes it, and its comment is left out") {
  for (const auto& line : {k_key, k_key + " kim@laptop", k_key + " with many words\n"}) {
    const auto key = SshPublicKey::parse(line);
    REQUIRE(key);
    CHECK(key->to_line() == k_key);
    CHECK(key->fingerprint().starts_with("SHA256:"));
  }
}

TEST_CASE("what sshd would take for more than a key is refused [fault-530]") {
  for (const std::string& line : {cat("command=\"id\" ", k_key), cat("no-pty ", k_key),
           cat(" , ", k_key), cat(k_key, "\n", k_key), cat(k_key, " x\nssh-rsa AAAA"),
           cat(k_key, "\r x"), cat(k_key, std::string(1, '\0')), cat("#", k_key), std::string(),
           std::string("ssh-ed25519"), std::string("ssh-ed25519 "), std::string("ssh-ed25519 !!"),
           cat(k_key, std::string(20'000, 'a'))}) {
    INFO(printable(line, 60));
    CHECK_FALSE(SshPublicKey::parse(line));
  }
}

TEST_CASE("a blob of another type, of another length, or with something after it is refused [fault-530]") {
  const std::string kind = field("ssh-ed25519"), good = field(std::string(32, 'k'));
  CHECK(SshPublicKey::parse(line_of("ssh-ed25519", kind + good)));
  CHECK_FALSE(SshPublicKey::parse(line_of("ssh-rsa", kind + good)));
  CHECK_FALSE(SshPublicKey::parse(line_of("ssh-ed25519", kind + field(std::string(31, 'k')))));
  CHECK_FALSE(SshPublicKey::parse(line_of("ssh-ed25519", kind + good + "x")));
  CHECK_FALSE(SshPublicKey::parse(line_of("ssh-ed25519", kind)));
  CHECK_FALSE(SshPublicKey::parse(line_of("ssh-ed25519", kind + "\xff\xff\xff\xff" + "k")));
  CHECK_FALSE(SshPublicKey::parse(
      line_of("ssh-rsa", field("ssh-rsa") + field("\x03") + field(std::string(128, 'n')))));
  CHECK_FALSE(SshPublicKey::parse(line_of("ssh-dss", field("ssh-dss") + good)));
  for (size_t cut = 0; cut < (kind + good).size(); ++cut)
    CHECK_FALSE(SshPublicKey::parse(line_of("ssh-ed25519", (kind + good).substr(0, cut))));
}
