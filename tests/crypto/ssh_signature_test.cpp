#include "sample.hpp"

#include "crypto/signing_key.hpp"
#include "crypto/ssh_signature.hpp"
#include "ssh_signing.hpp"

using namespace chillbox;
using namespace chillbox::crypto;
using test::SshSigner;

namespace {

// All made by ssh-keygen of OpenSSH 9.2, of this text.
constexpr std::string_view k_text =
    "chillbox site=blog version=1.0.0 serial=7 sha256=aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\n";
constexpr std::string_view k_ssh_public =
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOkzUgW9ZkZy2iA7/W2tDNlvTuL1FZEcD/kdMJU8kAKF kim@laptop\n";
constexpr std::string_view k_sshsig =
    "-----BEGIN SSH SIGNATURE-----\n"
    "U1NIU0lHAAAAAQAAADMAAAALc3NoLWVkMjU1MTkAAAAg6TNSBb1mRnLaIDv9ba0M2W9O4v\n"
    "UVkRwP+R0wlTyQAoUAAAARYXJ0aWZhY3RAY2hpbGxib3gAAAAAAAAABnNoYTUxMgAAAFMA\n"
    "AAALc3NoLWVkMjU1MTkAAABAJFfBUBKgUOFQ8YLcCk1SVRC4TZHc/09zoI1HOT6TSaWwYs\n"
    "eSOqpmZ850tob2vwQ35mHeBg8+zYvx9oTbwp7ODg==\n"
    "-----END SSH SIGNATURE-----\n";
constexpr std::string_view k_for_files =
    "-----BEGIN SSH SIGNATURE-----\n"
    "U1NIU0lHAAAAAQAAADMAAAALc3NoLWVkMjU1MTkAAAAg6TNSBb1mRnLaIDv9ba0M2W9O4v\n"
    "UVkRwP+R0wlTyQAoUAAAAEZmlsZQAAAAAAAAAGc2hhNTEyAAAAUwAAAAtzc2gtZWQyNTUx\n"
    "OQAAAECp6PNpiMudyGKsMPPVtr0Wu2uOzPiZoR9fTdVCBpFCPxFmjykYRZWgYnI0qPxGGz\n"
    "aUjuQqCz3ZcFJN8NCSGf4K\n"
    "-----END SSH SIGNATURE-----\n";
constexpr std::string_view k_sha256 =
    "-----BEGIN SSH SIGNATURE-----\n"
    "U1NIU0lHAAAAAQAAADMAAAALc3NoLWVkMjU1MTkAAAAg6TNSBb1mRnLaIDv9ba0M2W9O4v\n"
    "UVkRwP+R0wlTyQAoUAAAARYXJ0aWZhY3RAY2hpbGxib3gAAAAAAAAABnNoYTI1NgAAAFMA\n"
    "AAALc3NoLWVkMjU1MTkAAABAnss39W55/fLU7lwQ66FZHCGRhjSJ9HSJsEFl3N/6WafwQ3\n"
    "3eiIvMHyMrQwpPwsewuFkSQXTm14hBx4QiM0bjBQ==\n"
    "-----END SSH SIGNATURE-----\n";
constexpr std::string_view k_by_rsa =
    "-----BEGIN SSH SIGNATURE-----\n"
    "U1NIU0lHAAAAAQAAARcAAAAHc3NoLXJzYQAAAAMBAAEAAAEBAKAcwsiEEj0Fa3hdtmWm2b\n"
    "OBrHjUCmikGACUv83bpsbt9icT8cZ8PVw/bRqj3JYVRnLDyxhVI0NOrjvTkTCknt1D+s24\n"
    "7idj82GTIaljQy0vSe1d6MMtULyF2Cqgzu42x6F+yx/SuP4aERYpVaXJOh0MjY5FpLHciE\n"
    "0tRmcI4VXWWmnqYup3d9XaureFlSxDhwD8L8U7FeJ2Fl0DwNg5rjvNSKSsNU12J5ytqV68\n"
    "omPZ4SbuA25IUYL9pxXGb6SnrDf/FY0xuVy1/y/Jx78YPJxVJplLC8wFafF8InDIv2Tp1D\n"
    "Eelt+obuNe6fsTkIbnHyd0PQ0vjS2l4Yl6E5pTC88AAAARYXJ0aWZhY3RAY2hpbGxib3gA\n"
    "AAAAAAAABnNoYTUxMgAAARQAAAAMcnNhLXNoYTItNTEyAAABAANCuJchOOplwMDfEvJpUq\n"
    "TVWoAnbJKUkd9fhZSEB6Uj7yHJ0ZnsboZR2qSikPti4QdcovKpEbR6fkdhAhQCqoRY4I/S\n"
    "Vb84Eer/2ZUuQO3kwGY8Jlo62NtRsDuVUJAcUZn1CoXg2aZqShDg9br1iz2DAnXtZnypIZ\n"
    "7F3kR4DhY+jErkbGEoypokPKqRdOQVLhFQZCf8QkkeGW3XJY1WTMTjuQ5u3d1h7fvMBRUB\n"
    "YJfWFd7ztX1b0uxbEh6uSOr2/JoDh5lEJS8R3y3Bn9hOlpqdBJHWzkdugcCKblxbfxhcQx\n"
    "TQaTWC7bZfMbXgA6FELPn2LVpsiXyYw3Z9fv+5J6I=\n"
    "-----END SSH SIGNATURE-----\n";
constexpr std::string_view k_by_ecdsa =
    "-----BEGIN SSH SIGNATURE-----\n"
    "U1NIU0lHAAAAAQAAAGgAAAATZWNkc2Etc2hhMi1uaXN0cDI1NgAAAAhuaXN0cDI1NgAAAE\n"
    "EE2hiPSKONVZpgtqwruNmmksEn7/5jpwHdrr1VP7r5Y3JgD5jaUQVi2Wsa+eM297/Ku1WZ\n"
    "wkVamsBsG+jwPd4GfwAAABFhcnRpZmFjdEBjaGlsbGJveAAAAAAAAAAGc2hhNTEyAAAAZA\n"
    "AAABNlY2RzYS1zaGEyLW5pc3RwMjU2AAAASQAAACEAgJesHRn5d8xZY5sSHiwgSXRJ9sID\n"
    "5BmWWyE7MuFzNMoAAAAgL4lP4VZNt505euH1ob+JXvt8QzVgBe1mRTg4O8pkrzU=\n"
    "-----END SSH SIGNATURE-----\n";
constexpr std::string_view k_rsa =
    "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAABAQCgHMLIhBI9BWt4XbZlptmzgax41ApopBgAlL/N26bG7fYnE/HGfD1cP20ao9yWFUZyw8sYVSNDTq4705EwpJ7dQ/rNuO4nY/NhkyGpY0MtL0ntXejDLVC8hdgqoM7uNsehfssf0rj+GhEWKVWlyTodDI2ORaSx3IhNLUZnCOFV1lpp6mLqd3fV2rq3hZUsQ4cA/C/FOxXidhZdA8DYOa47zUikrDVNdiecralevKJj2eEm7gNuSFGC/acVxm+kp6w3/xWNMblctf8vyce/GDycVSaZSwvMBWnxfCJwyL9k6dQxHpbfqG7jXun7E5CG5x8ndD0NL40tpeGJehOaUwvP root@vm\n";
constexpr std::string_view k_ecdsa =
    "ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBNoYj0ijjVWaYLasK7jZppLBJ+/+Y6cB3a69VT+6+WNyYA+Y2lEFYtlrGvnjNve/yrtVmcJFWprAbBvo8D3eBn8= root@vm\n";
constexpr std::string_view k_name = "artifact@chillbox";

std::string verdict(std::string_view armored, std::string_view key = k_ssh_public,
    std::string_view text = k_text, std::string_view name = k_name) {
  const auto signature = SshSignature::parse(armored);
  if (!signature)
    return cat(code_name(signature.error().code), ": ", signature.error().message);
  const auto good = signature->verify(SshPublicKey::parse(key).value(), name, text);
  return good ? "good" : cat(code_name(good.error().code), ": ", good.error().message);
}

void check_says(const std::string& said, std::initializer_list<std::string_view> parts) {
  for (const auto part : parts) {
    INFO(said);
    CHECK(contains(said, part));
  }
}

std::string verdict(const SshSigner& signer) {
  return verdict(signer.sign(k_text), signer.line());
}

} // namespace

TEST_CASE("what ssh-keygen signed with an Ed25519 key is good for this text and key alone") {
  CHECK(verdict(k_sshsig) == "good");
  check_says(verdict(k_sshsig, k_ssh_public, "chillbox site=shop\n"),
      {"denied: signature of key SHA256:", "does not match"});
  check_says(
      verdict(k_sshsig, SshSigner().line()), {"denied: signed with key SHA256:", "not with"});
  CHECK(verdict(SshSigner()) == "good");
}

TEST_CASE("[attack-I1] what was signed for another purpose, or with another hash, is no signature of an artifact") {
  check_says(
      verdict(k_for_files), {"denied: ", "in the namespace 'file', not in 'artifact@chillbox'"});
  check_says(verdict(k_sha256), {"invalid: ", "over the hash 'sha256': only sha512"});
  SshSigner prefix;
  prefix.name_space = "artifact@chillbo";
  check_says(verdict(prefix), {"denied: ", "in the namespace"});
  SshSigner reserved;
  reserved.reserved = "x";
  check_says(verdict(reserved), {"invalid: ", "uses what is reserved"});
  SshSigner next;
  next.version = 2;
  check_says(verdict(next), {"invalid: ", "another version than 1"});
  SshSigner magic; // what is signed at a login has no such beginning
  magic.magic = "SSHSIH";
  check_says(verdict(magic), {"invalid: ", "does not begin with SSHSIG"});
  SshSigner more;
  more.after = "x";
  check_says(verdict(more), {"invalid: ", "there is more in it"});
}

TEST_CASE("[attack-I1] keys of other types sign nothing, and it is said which do") {
  check_says(
      verdict(k_by_rsa), {"invalid: ", "of the type 'ssh-rsa': only ssh-ed25519 signs artifacts"});
  check_says(verdict(k_by_ecdsa), {"invalid: ", "of the type 'ecdsa-sha2-nistp256'"});
  SshSigner other;
  other.signature_type = "rsa-sha2-512";
  check_says(verdict(other), {"invalid: ", "is not 64 bytes of ssh-ed25519"});
  SshSigner sk;
  sk.type = "sk-ssh-ed25519@openssh.com";
  check_says(verdict(sk.sign(k_text)), {"invalid: ", "of the type 'sk-ssh-ed25519@openssh.com'"});
  for (const auto key : {k_rsa, k_ecdsa}) {
    const auto signing = SigningKey::parse(key);
    REQUIRE(!signing);
    check_says(signing.error().message, {"signs no artifacts, only ssh-ed25519 does"});
  }
}

TEST_CASE("[fault-740] a signature of ssh that is cut, joined or reflowed is refused") {
  const std::string good(k_sshsig);
  for (size_t size = 0; size < good.size(); ++size)
    CHECK(verdict(good.substr(0, size)) != "good");
  for (const auto& bad : {good + "\n", good + good, " " + good, good + "x", "\n" + good})
    check_says(verdict(bad), {"invalid: ssh signature: "});
  std::string crlf = good;
  crlf.insert(crlf.find('\n'), "\r");
  check_says(verdict(crlf), {"carriage return"});
  check_says(verdict(std::string(5000, 'x')), {"too_large: "});
  std::string wide = good; // of the two first lines of base64 one
  const size_t first = wide.find('\n') + 1;
  wide.erase(wide.find('\n', first), 1);
  check_says(verdict(wide), {"longer than 76 characters"});
}

TEST_CASE("a signing key is one of minisign or an Ed25519 key of ssh, and is written as it was read") {
  const auto ssh = SigningKey::parse(k_ssh_public).value();
  CHECK(ssh.to_line() == std::string(k_ssh_public).substr(0, k_ssh_public.rfind(' ')));
  CHECK(ssh.id().starts_with("SHA256:"));
  CHECK(SigningKey::parse(ssh.to_file()).value() == ssh);
  const auto mine = MinisignSecretKey::generate().public_key();
  const auto minisign = SigningKey::parse(mine.to_file()).value();
  CHECK(minisign.to_line() == mine.to_line());
  CHECK(minisign.id() == key_id_text(mine.id));
  CHECK(!(minisign == ssh));
  for (const std::string bad :
      {"", "ssh-ed25519", "ssh-ed25519 AAAA", "RW", "sk-ssh-ed25519@openssh.com AAAA"})
    CHECK(!SigningKey::parse(bad));
}
