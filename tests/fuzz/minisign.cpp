// minisign's keys and signatures, and what is in a trusted comment and a trusted key's file.
#include "crypto/minisign.hpp"
#include "artifact/verify.hpp"
#include "base/text.hpp"
#include "crypto/ssh_key.hpp"
#include "fuzz.hpp"

using namespace chillbox;
using namespace chillbox::crypto;
using fuzz::claim;

namespace {

struct Signer {
  MinisignSecretKey key = MinisignSecretKey::generate();
  MinisignPublicKey pub = key.public_key();
};

const Signer& signer() {
  static const auto* one = [] {
    init_crypto();
    return new Signer;
  }();
  return *one;
}

constexpr std::array<uint8_t, 64> k_digest{1, 2, 3};

void try_signature(std::string_view text) {
  const auto signature = MinisignSignature::parse(text);
  if (!signature)
    return fuzz::claim_printable(signature.error());
  // The key is made afresh in every process: no input can hold a signature of it.
  claim(!signature->verify(signer().pub, k_digest), "no signature is right without the key");
}

void try_changed(fuzz::Input in) {
  const std::string comment(in.until('\n').substr(0, 200));
  const size_t at = static_cast<size_t>(in.number(2));
  const auto with = static_cast<char>(in.number(1));
  const std::string right = signer().key.sign(k_digest, comment);
  const auto parsed = MinisignSignature::parse(right);
  claim(parsed && parsed->verify(signer().pub, k_digest), "what is signed is right");
  std::string changed = right;
  changed[at % changed.size()] = with;
  const auto other = MinisignSignature::parse(changed);
  if (!other)
    return;
  // The first line is free: minisign calls it untrusted. The rest is covered, and has one spelling.
  const auto rest = [](const std::string& s) { return s.substr(s.find('\n')); };
  claim(!other->verify(signer().pub, k_digest) || rest(changed) == rest(right),
      "nothing signed can be changed");
}

void try_statement(std::string_view text) {
  const auto statement = artifact::parse_statement(text);
  if (!statement)
    return fuzz::claim_printable(statement.error());
  const auto again = artifact::parse_statement(artifact::statement_text(*statement));
  claim(again && artifact::statement_text(*again) == artifact::statement_text(*statement),
      "a statement can be written and read");
  claim(statement->serial > 0 && statement->secrets == statement->version.empty(),
      "a statement is of a release or of secrets");
}

void try_keys(std::string_view text) {
  if (const auto key = MinisignPublicKey::parse(text))
    claim(MinisignPublicKey::parse(key->to_file()).has_value(),
        "a public key can be written and read");
  if (const auto key = SshPublicKey::parse(text)) {
    const std::string line = key->to_line();
    const auto again = SshPublicKey::parse(line);
    claim(again && *again == *key && line.find_first_of("\n\"\\,") == std::string::npos,
        "an ssh key is one line that ends no option");
  }
  if (const auto trusted = artifact::parse_trusted_key(text, "name")) {
    const auto again = artifact::parse_trusted_key(artifact::trusted_key_text(*trusted), "name");
    claim(again && again->sites == trusted->sites, "a limit is kept");
  }
  const auto encrypted = MinisignSecretKey::is_encrypted(text);
  if (encrypted && !*encrypted)
    (void)MinisignSecretKey::parse(text, SecretBytes());
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  (void)signer();
  fuzz::Input in{data, size};
  switch (in.number(1) % 4) {
  case 0: try_signature(in.rest()); break;
  case 1: try_changed(in); break;
  case 2: try_statement(in.rest()); break;
  default: try_keys(in.rest());
  }
  return 0;
}
