#include "artifact/secret_packet.hpp"
#include "base/text.hpp"
#include "crypto/age.hpp"
#include "crypto/preload_libcrypto.hpp"
#include "os/memory.hpp"
#include "os/roles.hpp"
#include "os/sandbox.hpp"
#include "os/socket.hpp"
#include "secrets/vault.hpp"

#include <unistd.h>

namespace chillbox::secrets {
namespace {

using control::PacketVerb;

constexpr int k_socket = 3;
constexpr os::Millis k_first_packet{10'000};

// A stored or sent file that is malformed anywhere is `corrupt` to the caller.
Error damaged(Error error) {
  if (error.code == Code::invalid)
    error.code = Code::corrupt;
  return error;
}

Result<crypto::AgeIdentity> open_identity(const control::PacketView& order) {
  const auto cap = order.fields.size() == 3 ? parse_u64(order.fields[2]) : std::nullopt;
  if (order.verb != PacketVerb::unlock || !cap || *cap > 30)
    return fail(Code::failure, "vault: the first packet is not an unlock");
  const SecretBytes passphrase(bytes_of(order.fields[1]));
  auto text = crypto::decrypt_with_passphrase(
      bytes_of(order.fields[0]), passphrase, static_cast<int>(*cap));
  if (!text && text.error().code == Code::denied)
    return std::unexpected(std::move(text.error()));
  if (!text)
    return within("identity.age", damaged(std::move(text.error())));
  auto identity = crypto::parse_identity_file(text->text());
  if (!identity)
    return within("identity.age", damaged(std::move(identity.error())));
  return identity;
}

// After scrypt, because its 256 MiB need not be locked; while still root, because nobody else may
// lock so much.
Result<void> give_up_rights(const std::string& user) {
  // Tests by users who may not lock memory run without it.
  os::Confinement c = os::confinement_of(os::k_vault_role);
  c.locks_memory = ::geteuid() == 0;
  if (user != "-")
    c.user = TRY_IN("vault", os::find_user(user));
  return os::confine(c);
}

// The packet with the passphrase is wiped when this returns.
Result<crypto::AgeIdentity> receive_identity() {
  const auto packet =
      TRY(artifact::receive_secret_packet(k_socket, control::k_max_packet, k_first_packet));
  return open_identity(TRY(control::parse_packet(packet.view())));
}

Result<crypto::AgeIdentity> unlock(const std::string& user) {
  TRY(os::deny_core_and_ptrace());
  crypto::preload_libcrypto();
  auto identity = TRY(receive_identity());
  // Only a wrong passphrase is `denied` to who asked: it counts against the operator.
  if (auto given_up = give_up_rights(user); !given_up)
    return fail(Code::failure, given_up.error().message);
  return identity;
}

Result<void> send_error(uint64_t sequence, const Error& error) {
  return os::send_packet(k_socket,
      control::make_packet(
          PacketVerb::vault_error, sequence, {code_name(error.code), error.message}));
}

Result<SecretBytes> file_key(const crypto::AgeIdentity& identity, std::string_view header_text) {
  const auto header = crypto::parse_age_header(bytes_of(header_text));
  if (!header)
    return std::unexpected(damaged(header.error()));
  auto key = identity.file_key(*header);
  if (!key)
    return std::unexpected(damaged(std::move(key.error())));
  return key;
}

// An exception is mostly that there is no memory; it is not logged, since no file may be opened any
// more.
Result<SecretBytes> try_file_key(const crypto::AgeIdentity& identity, std::string_view header) {
  try {
    return file_key(identity, header);
  } catch (...) {
    return fail(Code::failure, "the vault could not look at it: internal error");
  }
}

Result<void> answer(const crypto::AgeIdentity& identity, const control::PacketView& question) {
  if (question.verb != PacketVerb::file_key || question.fields.size() != 1)
    return send_error(question.sequence, {Code::invalid, "vault: not a question"});
  const auto key = try_file_key(identity, question.fields[0]);
  if (!key)
    return send_error(question.sequence, key.error());
  return os::send_packet(k_socket,
      artifact::make_secret_packet(PacketVerb::vault_ok, question.sequence, {key->text()}).view());
}

// One question, one answer. False: it is over, because the monitor says so or is gone. Nothing else
// ends it, since that would lock the host.
bool serve(const crypto::AgeIdentity& identity) {
  const auto packet = os::receive_packet(k_socket, control::k_max_packet);
  if (!packet)
    return packet.error().code == Code::too_large || packet.error().code == Code::corrupt;
  if (!*packet)
    return false;
  const auto question = control::parse_packet((*packet)->bytes);
  if (!question)
    return true;
  if (question->verb == PacketVerb::lock)
    return false;
  const auto answered = answer(identity, *question);
  return answered || answered.error().code == Code::timed_out;
}

} // namespace

int vault_main(const std::string& user) {
  const auto identity = unlock(user);
  if (!identity) {
    (void)send_error(0, identity.error()); // if nobody reads it, nothing else can be done
    return 1;
  }
  if (!os::send_packet(
          k_socket, control::make_packet(PacketVerb::vault_ok, 0, {identity->recipient()})))
    return 1;
  while (serve(*identity)) {}
  return 0;
}

} // namespace chillbox::secrets
