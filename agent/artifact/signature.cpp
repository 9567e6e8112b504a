#include "artifact/signature.hpp"

#include "base/text.hpp"

#include <algorithm>

namespace chillbox::artifact {
namespace {

constexpr std::string_view k_statement = "chillbox "; // minisign begins with "untrusted comment"
constexpr std::string_view k_trusted = "trusted comment: ";
constexpr size_t k_minisign_lines = 4;

} // namespace

Result<Signature> Signature::parse(std::string_view text) {
  Signature out;
  if (!text.starts_with(k_statement)) {
    out.m_form = TRY(crypto::MinisignSignature::parse(text));
    return out;
  }
  const size_t end = text.find('\n');
  if (end == std::string_view::npos)
    return fail(Code::invalid, "signature: a statement, and nothing below it");
  out.m_form = BySsh{
      std::string(text.substr(0, end)), TRY(crypto::SshSignature::parse(text.substr(end + 1)))};
  return out;
}

bool Signature::claims(const crypto::SigningKey& key) const {
  if (const auto* ssh = std::get_if<BySsh>(&m_form))
    return key.ssh() != nullptr && *key.ssh() == ssh->signature.key();
  return key.minisign() != nullptr &&
      key.minisign()->id == std::get<crypto::MinisignSignature>(m_form).id;
}

std::string Signature::key_id() const {
  if (const auto* ssh = std::get_if<BySsh>(&m_form))
    return ssh->signature.key().fingerprint();
  return crypto::key_id_text(std::get<crypto::MinisignSignature>(m_form).id);
}

Result<std::string> Signature::verify(
    const crypto::SigningKey& key, const std::array<uint8_t, 64>& blake2b) const {
  if (!claims(key))
    return fail(Code::denied, cat("signed with key ", key_id(), ", not with ", key.id()));
  if (const auto* minisign = std::get_if<crypto::MinisignSignature>(&m_form))
    return minisign->verify(*key.minisign(), blake2b);
  const auto& ssh = std::get<BySsh>(m_form);
  TRY(ssh.signature.verify(*key.ssh(), k_ssh_namespace, cat(ssh.statement, "\n")));
  return ssh.statement;
}

Result<std::string> claimed_statement(std::string_view signature) {
  const auto lines = split(signature, '\n');
  if (lines[0].starts_with(k_statement))
    return std::string(lines[0]);
  for (const auto line : lines)
    if (line.starts_with(k_trusted))
      return std::string(trim(line.substr(k_trusted.size())));
  return fail(Code::invalid, "no statement in it: a signature neither of minisign nor of ssh");
}

std::string ssh_signature_file(std::string_view statement, std::string_view armored) {
  return cat(statement, "\n", armored);
}

bool is_whole_signature(std::string_view lines) {
  if (!lines.ends_with('\n'))
    return false;
  if (lines.starts_with(k_statement))
    return lines.ends_with(cat("\n", crypto::k_ssh_signature_end, "\n"));
  return static_cast<size_t>(std::ranges::count(lines, '\n')) == k_minisign_lines;
}

} // namespace chillbox::artifact
