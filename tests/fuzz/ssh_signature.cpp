// Signatures of ssh: the armor, what is in it, and the file of statement and signature.
#include "crypto/ssh_signature.hpp"
#include "../crypto/ssh_signing.hpp"
#include "artifact/signature.hpp"
#include "artifact/verify.hpp"
#include "base/secret.hpp"
#include "base/text.hpp"
#include "fuzz.hpp"

using namespace chillbox;
using fuzz::claim;

namespace {

const test::SshSigner& signer() {
  static const auto* one = new test::SshSigner;
  return *one;
}

void try_armored(std::string_view text) {
  const auto signature = crypto::SshSignature::parse(text);
  if (!signature)
    return fuzz::claim_printable(signature.error());
  // The key is made afresh in every process: no input can hold a signature of it.
  claim(!signature->verify(*signer().key().ssh(), artifact::k_ssh_namespace, "x"),
      "no signature is right without the key");
}

void try_file(std::string_view text) {
  const auto signature = artifact::Signature::parse(text);
  if (!signature)
    return fuzz::claim_printable(signature.error());
  claim(!signature->verify(signer().key(), {}), "no signature is right without the key");
  claim(artifact::claimed_statement(text).has_value(), "a signature has a statement");
}

void try_changed(fuzz::Input in) {
  const size_t at = static_cast<size_t>(in.number(2));
  const auto with = static_cast<char>(in.number(1));
  const std::string statement = "chillbox site=blog version=1.0.0 serial=7";
  const std::string right =
      artifact::ssh_signature_file(statement, signer().sign(statement + "\n"));
  const auto parsed = artifact::Signature::parse(right);
  claim(parsed && parsed->verify(signer().key(), {}), "what is signed is right");
  std::string changed = right;
  changed[at % changed.size()] = with;
  const auto other = artifact::Signature::parse(changed);
  claim(!other || changed == right || !other->verify(signer().key(), {}),
      "nothing signed can be changed");
}

// What is in the armor, without the armor in the way.
void try_blob(std::string_view bytes) {
  try_armored(test::SshSigner::armored(base64(bytes_of(bytes))));
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  (void)signer();
  fuzz::Input in{data, size};
  switch (in.number(1) % 4) {
  case 0: try_armored(in.rest()); break;
  case 1: try_changed(in); break;
  case 2: try_file(in.rest()); break;
  default: try_blob(in.rest());
  }
  return 0;
}
