#include "catch.hpp"

#include "artifact/scratch.hpp"
#include "artifact/signature.hpp"
#include "artifact/verify.hpp"
#include "crypto/hash.hpp"
#include "crypto/ssh_signing.hpp"

#include <unistd.h>

using namespace chillbox;
using namespace chillbox::test;
using namespace chillbox::artifact;

namespace {

const Digest k_digest = Digest::parse(std::string(64, 'a')).value();
const Digest k_other = Digest::parse(std::string(64, 'b')).value();

struct Deployer {
  crypto::MinisignSecretKey secret = crypto::MinisignSecretKey::generate();
  std::array<uint8_t, 64> blake2b{1, 2, 3};
  Expected wanted{.site = SiteName::parse("blog").value(),
      .version = "1.2.3",
      .sha256 = k_digest,
      .now_unix = 1'000'000};

  std::vector<TrustedKey> trusted(std::vector<std::string> sites = {}) const {
    return {{"alice", secret.public_key(), std::move(sites)}};
  }
  Result<Verified> check(const std::string& comment, std::vector<std::string> sites = {}) const {
    return check_file(secret.sign(blake2b, comment), std::move(sites));
  }
  Result<Verified> check_file(
      const std::string& minisig, std::vector<std::string> sites = {}) const {
    return verify(trusted(std::move(sites)), minisig, blake2b, k_digest, wanted);
  }
};

std::string comment(
    const std::string& site = "blog", const std::string& version = "1.2.3", uint64_t serial = 43) {
  return cat(
      "chillbox site=", site, " version=", version, " serial=", serial, " sha256=", k_digest.str());
}

std::string says(const Result<Verified>& result) {
  return result ? "taken" : cat(code_name(result.error().code), ": ", result.error().message);
}

std::string replace(std::string text, const std::string& what, const std::string& by) {
  return text.replace(text.find(what), what.size(), by);
}

} // namespace

TEST_CASE("a release that a trusted key signed for this site, version and digest is taken") {
  const Deployer d;
  const auto verified = d.check(comment());
  REQUIRE(says(verified) == "taken");
  CHECK(verified->signer == "alice");
  CHECK(verified->statement.serial == 43);
  CHECK(verified->statement.version == "1.2.3");
  CHECK(says(d.check(cat(
            "sha256=", k_digest.str(), " serial=43 chillbox version=1.2.3 site=blog"))) == "taken");
  CHECK(says(d.check(comment(), {"shop", "blog"})) == "taken");
}

TEST_CASE("a secret set is taken as one only") {
  Deployer d;
  d.wanted.secrets = true;
  d.wanted.version = "";
  const std::string set = cat("chillbox site=blog secrets serial=7 sha256=", k_digest.str());
  CHECK(says(d.check(set)) == "taken");
  CHECK_SAYS(says(d.check(comment())), "denied: signed as a release, wanted a secret set");
  d.wanted.secrets = false;
  CHECK_SAYS(says(d.check(set)), "denied: signed as a secret set, wanted a release");
}

TEST_CASE("[fault-36] each way in which a signature can be wrong has its own message") {
  const Deployer d;
  const std::string good = d.secret.sign(d.blake2b, comment());
  CHECK_SAYS(says(Deployer().check_file(good)), "denied: no trusted key ");
  CHECK_SAYS(says(d.check_file(replace(good, "serial=43", "serial=44"))), "denied: key 'alice': ");

  auto flipped = d.blake2b;
  flipped[0] ^= 1;
  const auto changed = verify(d.trusted(), good, flipped, k_digest, d.wanted);
  CHECK_SAYS(says(changed), "denied: key 'alice': ");
  CHECK(says(changed) != says(d.check_file(replace(good, "serial=43", "serial=44"))));

  CHECK_SAYS(says(d.check_file("")), "denied: ");
  CHECK_SAYS(says(d.check_file(replace(good, "serial=43", "serial=43\r"))), "denied: ");
  CHECK_SAYS(says(d.check_file(replace(good, "serial=43", "serial=\x1b[31m"))), "denied: ");
  // The algorithm's two bytes, "ED", begin the second line: "RU..." in base64; "RW..." is the
  // legacy "Ed".
  const auto line = good.find('\n') + 1;
  REQUIRE(good.substr(line, 2) == "RU");
  std::string legacy = good;
  legacy[line + 1] = 'W';
  CHECK_SAYS(says(d.check_file(legacy)), "denied: ");
  CHECK_SAYS(says(d.check_file(legacy)), "legacy");
}

TEST_CASE("[fault-37] what was signed for something else is refused and says for what") {
  Deployer d;
  CHECK(says(d.check(comment("shop"))) == "denied: signed for site 'shop', wanted 'blog'");
  CHECK(
      says(d.check(comment("blog", "1.2.4"))) == "denied: signed for version 1.2.4, wanted 1.2.3");
  CHECK(says(d.check(comment(), {"shop", "news"})) ==
      "denied: key 'alice' may sign for shop, news, not for 'blog'");
  d.wanted.version = "";
  CHECK(says(d.check(comment("blog", "9.9.9"))) == "taken");
}

TEST_CASE("[fault-38] a serial that is not newer is refused, unless the host's administrator says so") {
  Deployer d;
  d.wanted.installed_serial = 42;
  CHECK(says(d.check(comment())) == "taken");
  CHECK_SAYS(
      says(d.check(comment("blog", "1.2.3", 41))), "denied: serial 41 is older than installed 42");
  CHECK_SAYS(says(d.check(comment("blog", "1.2.3", 42))),
      "denied: serial 42 is not newer than installed 42");
  d.wanted.allow_downgrade = true;
  CHECK(says(d.check(comment("blog", "1.2.3", 41))) == "taken");
}

TEST_CASE("[fault-39] a jump of the serial is held, because every later release would be older") {
  Deployer d;
  d.wanted.installed_serial = 42;
  CHECK(says(d.check(comment("blog", "1.2.3", 1'000'042))) == "taken");
  CHECK_SAYS(says(d.check(comment("blog", "1.2.3", 1'000'043))),
      "busy: held: serial 1000043 is 1000001 above installed 42");
  d.wanted.allow_jump = true;
  CHECK(says(d.check(comment("blog", "1.2.3", 1'000'043))) == "taken");
  d = Deployer();
  CHECK(says(d.check(comment("blog", "1.2.3", 1'700'000'000))) ==
      "taken"); // the first one starts where it likes
}

TEST_CASE("[fault-40] what has expired is refused from that second on") {
  const Deployer d;
  CHECK(says(d.check(comment() + " expires=1000001")) == "taken");
  CHECK_SAYS(says(d.check(comment() + " expires=1000000")), "denied: expired 1970-01-12T13:46:40Z");
}

TEST_CASE("[fault-41] a digest that differs from the announced or the signed one is refused") {
  Deployer d;
  const std::string minisig = d.secret.sign(d.blake2b, comment());
  CHECK_SAYS(says(verify(d.trusted(), minisig, d.blake2b, k_other, d.wanted)),
      cat("denied: sha256 is ", k_other.str(), ", announced was ", k_digest.str()));
  d.wanted.sha256 = k_other;
  CHECK_SAYS(says(verify(d.trusted(), minisig, d.blake2b, k_other, d.wanted)),
      cat("denied: signed for sha256 ", k_digest.str()));
}

TEST_CASE("a statement is exactly its words, and is written as it is read") {
  const std::string good = comment() + " expires=5";
  CHECK(statement_text(parse_statement(good).value()) == good);
  const std::string set = cat("chillbox site=blog secrets serial=7 sha256=", k_digest.str());
  CHECK(statement_text(parse_statement(set).value()) == set);
  const std::string roster = cat("chillbox fleet=shop serial=7 sha256=", k_digest.str());
  CHECK(statement_text(parse_statement(roster).value()) == roster);
  const auto bad = [](const std::string& text) {
    const auto s = parse_statement(text);
    return s ? std::string("taken") : s.error().message;
  };
  CHECK_SAYS(bad(""), "is not one of");
  CHECK_SAYS(bad("timestamp:1 file:x"), "'timestamp:1' is not one of");
  CHECK_SAYS(bad(comment() + " "), "'' is not one of");
  CHECK_SAYS(bad(comment() + " extra=1"), "'extra=1' is not one of");
  CHECK_SAYS(bad(comment() + " serial=44"), "'serial=' twice");
  CHECK_SAYS(bad(comment() + " chillbox"), "'chillbox' twice");
  CHECK_SAYS(bad(comment() + " secrets"), "a secret set has no version");
  CHECK_SAYS(bad(roster + " site=blog"), "a roster has no site=");
  CHECK_SAYS(bad(roster + " secrets"), "a roster has no site=");
  CHECK_SAYS(bad(comment().substr(9)), "does not say 'chillbox'");
  CHECK_SAYS(bad(replace(comment(), "serial=43 ", "")), "no 'serial='");
  CHECK_SAYS(bad(replace(comment(), "version=1.2.3 ", "")), "no 'version='");
  CHECK_SAYS(bad(replace(comment(), "site=blog ", "")), "no 'site='");
  for (const char* serial : {"0", "-1", "01", "1e3", "", "9223372036854775808"})
    CHECK_SAYS(
        bad(replace(comment(), "serial=43", cat("serial=", serial))), "is not a number from 1 to");
  CHECK(bad(replace(comment(), "site=blog", "site=../x")) != "taken");
  CHECK(bad(replace(comment(), "version=1.2.3", "version=1/2")) != "taken");
  CHECK_SAYS(bad(std::string(2000, 'x')), "2000 bytes, the limit is 1024");
}

TEST_CASE("trusted keys are minisign's files, followed by our lines") {
  const auto key = crypto::MinisignSecretKey::generate().public_key();
  CHECK(parse_trusted_key(key.to_file(), "a")->sites.empty());
  CHECK(parse_trusted_key(key.to_line() + "\n", "a")->key.minisign()->key == key.key);
  const auto limited = parse_trusted_key(key.to_file() + "\n# for two\nsites: blog, shop\n", "a");
  REQUIRE(limited);
  CHECK(limited->sites == std::vector<std::string>{"blog", "shop"});
  CHECK(parse_trusted_key(trusted_key_text(*limited), "a")->sites == limited->sites);
  for (const char* bad : {"site: blog\n", "sites=blog\n", "sites:\n", "sites: Blog\n",
           "sites: a\nsites: b\n", "junk\n"})
    CHECK_FALSE(parse_trusted_key(key.to_file() + bad, "a"));
  CHECK_FALSE(limited->only_releases);
  const auto releases = parse_trusted_key(key.to_file() + "only: releases\nsites: blog\n", "a");
  CHECK(releases->only_releases);
  CHECK(parse_trusted_key(trusted_key_text(*releases), "a")->only_releases);
  for (const std::string bad : {"only: secrets\n", "only:\n", "only: releases\nonly: releases\n"})
    CHECK_FALSE(parse_trusted_key(key.to_file() + bad, "a"));
  CHECK_FALSE(parse_trusted_key("", "a"));
  CHECK_FALSE(parse_trusted_key("untrusted comment: x", "a"));
  CHECK_FALSE(parse_trusted_key("untrusted comment: x\nAAAA\n", "a"));
}

TEST_CASE("the trusted directory is read whole or not at all, and only what root alone can write") {
  const Scratch scratch;
  CHECK(load_trusted_keys(scratch / "none")->empty());
  const auto a = crypto::MinisignSecretKey::generate().public_key(),
             b = crypto::MinisignSecretKey::generate().public_key();
  write_file(scratch / "bob.pub", b.to_file() + "sites: shop\n");
  write_file(scratch / "alice.pub", a.to_file());
  write_file(scratch / "notes.txt", "not a key");
  write_file(scratch / ".alice.pub.tmp.pub", "half");
  const auto keys = load_trusted_keys(scratch.path);
  REQUIRE(keys);
  REQUIRE(keys->size() == 2);
  CHECK((*keys)[0].name == "alice");
  CHECK((*keys)[1].sites == std::vector<std::string>{"shop"});

  const auto says_now = [&] { return load_trusted_keys(scratch.path).error().message; };
  ::chmod((scratch / "bob.pub").c_str(), 0666);
  CHECK_SAYS(says_now(), "bob.pub: writable by others than root");
  ::chmod((scratch / "bob.pub").c_str(), 0644);
  write_file(scratch / "eve.pub", "junk");
  CHECK_SAYS(says_now(), "eve.pub: ");
  write_file(scratch / "eve.pub", std::string(9000, 'x'));
  CHECK_SAYS(says_now(), "eve.pub: over 8192 bytes");
  ::unlink((scratch / "eve.pub").c_str());
  REQUIRE(::symlink("bob.pub", (scratch / "eve.pub").c_str()) == 0);
  CHECK_SAYS(says_now(), "eve.pub: is a symlink");
}

namespace {

// One of ssh, of which a person signs the statement alone.
struct SshDeployer {
  SshSigner secret;
  Expected wanted = Deployer().wanted;
  std::vector<TrustedKey> trusted(std::vector<std::string> sites = {}) const {
    return {{"kim", secret.key(), std::move(sites)}};
  }
  std::string file(const std::string& statement) const {
    return ssh_signature_file(statement, secret.sign(statement + "\n"));
  }
  Result<Verified> check_file(const std::string& text, std::vector<std::string> sites = {}) const {
    return verify(trusted(std::move(sites)), text, {1, 2, 3}, k_digest, wanted);
  }
  Result<Verified> check(const std::string& statement, std::vector<std::string> sites = {}) const {
    return check_file(file(statement), std::move(sites));
  }
};

} // namespace

TEST_CASE("what an Ed25519 key of ssh signed is taken with the same facts, and named by the person") {
  SshDeployer d;
  const auto verified = d.check(comment(), {"blog"});
  REQUIRE(says(verified) == "taken");
  CHECK(verified->signer == "kim");
  CHECK(verified->signer_key == fingerprint(d.secret.key()));
  CHECK(verified->statement.serial == 43);
  d.wanted.installed_serial = 43;
  CHECK_SAYS(says(d.check(comment())), "denied: serial 43 is not newer than installed 43");
  d.wanted.installed_serial = 0;
  CHECK_SAYS(says(d.check(comment() + " expires=999999")), "denied: expired ");
  CHECK_SAYS(says(d.check(comment("blog", "1.2.4"))), "denied: signed for version 1.2.4");
  d.wanted.secrets = true;
  d.wanted.version = "";
  CHECK(
      says(d.check(cat("chillbox site=blog secrets serial=7 sha256=", k_digest.str()))) == "taken");
}

TEST_CASE("[attack-I2] a key of ssh of another site, or of nobody, and a statement that was changed are refused") {
  const SshDeployer d;
  CHECK_SAYS(says(d.check(comment(), {"shop"})), "denied: key 'kim' may sign for shop, not for");
  CHECK_SAYS(says(SshDeployer().check_file(d.file(comment()))), "denied: no trusted key SHA256:");
  const std::string good = d.file(comment());
  CHECK_SAYS(says(d.check_file(replace(good, "serial=43", "serial=44"))), "does not match");
  CHECK_SAYS(says(d.check_file(replace(good, k_digest.str(), k_other.str()))), "does not match");
  CHECK_SAYS(says(d.check(replace(comment(), k_digest.str(), k_other.str()))),
      "denied: signed for sha256 ");
  SshDeployer other;
  other.secret.name_space = "git";
  CHECK_SAYS(says(other.check(comment())), "in the namespace 'git'");
  CHECK_SAYS(says(d.check_file(comment() + "\n")), "denied: ssh signature: ");
  CHECK_SAYS(says(d.check_file(comment())), "denied: signature: a statement, and nothing below");
  // One form is not taken for the other.
  const Deployer minisign;
  CHECK_SAYS(says(verify(minisign.trusted(), good, minisign.blake2b, k_digest, minisign.wanted)),
      "denied: no trusted key SHA256:");
  CHECK_SAYS(says(d.check_file(minisign.secret.sign(minisign.blake2b, comment()))),
      "denied: no trusted key ");
}

TEST_CASE("a trusted key of ssh is one line, and its limits are below") {
  const SshSigner signer;
  const auto key = parse_trusted_key(signer.line() + " kim@laptop\nsites: blog,shop\n", "kim");
  REQUIRE(key);
  CHECK(key->sites == std::vector<std::string>{"blog", "shop"});
  CHECK(key->key == signer.key());
  const auto again = parse_trusted_key(trusted_key_text(*key), "kim");
  REQUIRE(again);
  CHECK(again->sites == key->sites);
  CHECK(!parse_trusted_key(signer.line() + "\nsite: blog\n", "kim"));
  CHECK(!parse_trusted_key(signer.line() + "\n" + signer.line() + "\n", "kim"));
}

TEST_CASE("where a signature ends before the artifact is seen in both forms") {
  const SshDeployer d;
  for (const std::string& text :
      {d.file(comment()), Deployer().secret.sign(std::array<uint8_t, 64>{}, comment())}) {
    for (size_t size = 0; size < text.size(); ++size)
      CHECK(!is_whole_signature(text.substr(0, size)));
    CHECK(is_whole_signature(text));
    CHECK(claimed_statement(text).value() == comment());
  }
}
