// What is sent next to an artifact, its .minisig, in one of two forms:
//   minisign's four lines, with the statement (verify.hpp) as the trusted comment;
//   the statement on a line, then the signature of that line by an Ed25519 key of ssh:
//     ssh-keygen -Y sign -n artifact@chillbox -f KEY <STATEMENT >SIG && cat STATEMENT SIG
// minisign covers the bytes of the artifact and the statement; ssh covers the statement, whose
// sha256= is that of the artifact.
#pragma once

#include "base/error.hpp"
#include "crypto/minisign.hpp"
#include "crypto/signing_key.hpp"
#include "crypto/ssh_signature.hpp"

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <variant>

namespace chillbox::artifact {

inline constexpr std::string_view k_ssh_namespace = "artifact@chillbox";

class Signature {
public:
  // invalid, too_large: neither of both forms.
  static Result<Signature> parse(std::string_view text);
  // Whether it says that this key made it, and the key as it is printed: proven only by verify().
  bool claims(const crypto::SigningKey& key) const;
  std::string key_id() const;
  // The statement, or denied with the reason.
  Result<std::string> verify(
      const crypto::SigningKey& key, const std::array<uint8_t, 64>& blake2b) const;

private:
  struct BySsh {
    std::string statement;
    crypto::SshSignature signature;
  };
  std::variant<crypto::MinisignSignature, BySsh> m_form;
};

// Of both forms: the statement as it is there, not verified. invalid: neither of both.
Result<std::string> claimed_statement(std::string_view signature);
// The file of the second form: statement, and what ssh-keygen printed.
std::string ssh_signature_file(std::string_view statement, std::string_view armored);
// Whether the lines so far are a whole signature: what comes next in a stream is the artifact.
bool is_whole_signature(std::string_view lines);

} // namespace chillbox::artifact
