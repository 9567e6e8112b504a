#include "secrets/vault.hpp"

#include "artifact/secret_packet.hpp"
#include "base/text.hpp"
#include "os/socket.hpp"

#include <algorithm>

namespace chillbox::secrets {
namespace {

using control::PacketVerb;

constexpr os::Millis k_unlock_limit{120'000}; // scrypt with 2^20 on a small machine
constexpr os::Millis k_answer_limit{10'000};
constexpr os::Millis k_end_limit{2'000};
constexpr size_t k_max_answer = 4096;

std::unexpected<Error> sealed(std::string_view why) {
  return fail(Code::sealed, cat(why, ": chillboxctl unlock"));
}

// The one field of a vault_ok with this sequence, or the error that the vault sent.
Result<std::string_view> answer_in(const control::PacketView& packet, uint64_t sequence) {
  if (packet.verb == PacketVerb::vault_error && packet.fields.size() == 2)
    return fail(code_from_name(packet.fields[0]), printable(packet.fields[1], 500));
  if (packet.verb != PacketVerb::vault_ok || packet.sequence != sequence || packet.fields.size() != 1)
    return fail(Code::failure, "the vault gave an answer that is none");
  return packet.fields[0];
}

void end(os::Child child, int socket) {
  if (!child.running())
    return;
  // If it does not listen any more, the end of `child` kills it.
  if (os::send_packet(socket, control::make_packet(PacketVerb::lock, 0, {})))
    (void)child.wait(k_end_limit);
}

} // namespace

Result<Vault::Started> Vault::start(std::string_view identity_file, const SecretBytes& passphrase, int scrypt_cap) {
  auto [ours, theirs] = TRY(os::packet_pair());
  auto child = TRY(
      os::Child::start({.argv = {"chillboxd: vault", k_vault_role, m_user}, .env = {}, .fds = {{theirs.get(), 3}}}));
  Started started{std::move(child), std::move(ours), {}};
  theirs.reset(); // so that its death is seen
  const auto order = artifact::make_secret_packet(
      PacketVerb::unlock, 0, {identity_file, passphrase.text(), std::to_string(std::max(0, scrypt_cap))});
  if (order.empty())
    return fail(Code::too_large, cat("identity.age and passphrase: ", identity_file.size() + passphrase.size(),
                                     " bytes, the limit is ", control::k_max_packet));
  const auto sent = os::send_packet(started.socket.get(), order.view());
  if (!sent && sent.error().code != Code::unreachable) // one that has ended already tells by its answer or by how it ended
    return std::unexpected(sent.error());
  const auto packet = artifact::receive_secret_packet(started.socket.get(), k_max_answer, k_unlock_limit);
  if (!packet && packet.error().code == Code::not_found) {
    const auto code = started.child.wait(k_end_limit);
    return fail(Code::failure, cat("the vault ended without an answer", code ? cat(", exit ", os::end_text(*code)) : "",
                                   code && *code == 137 ? ": out of memory?" : ""));
  }
  if (!packet)
    return packet.error().code == Code::timed_out
               ? fail(Code::timed_out, cat("the vault did not open within ", k_unlock_limit.count() / 1000, " s"))
               : std::unexpected(packet.error());
  started.recipient = TRY(answer_in(TRY(control::parse_packet(packet->view())), 0));
  return started;
}

Result<std::string> Vault::unlock(std::string_view identity_file, const SecretBytes& passphrase, int scrypt_cap) {
  const std::scoped_lock one_at_a_time(m_unlocking);
  auto started = TRY_IN("unlock", start(identity_file, passphrase, scrypt_cap));
  const std::scoped_lock guard(m_mutex);
  end(std::move(m_child), m_socket.get());
  m_child = std::move(started.child);
  m_last_end.clear();
  m_socket = std::move(started.socket);
  return std::move(started.recipient);
}

void Vault::forget() {
  m_child = os::Child(); // killed and reaped if it still runs
  m_socket.reset();
}

bool Vault::alive() {
  if (!m_child.running())
    return false;
  const auto ended = os::wait_readable(m_child.pidfd(), os::Millis{0});
  if (ended && !*ended)
    return true;
  if (const auto code = m_child.wait(os::Millis{0}))
    m_last_end = os::end_text(*code);
  forget();
  return false;
}

void Vault::lock() {
  const std::scoped_lock guard(m_mutex);
  end(std::move(m_child), m_socket.get());
  forget();
}

bool Vault::unsealed() {
  const std::scoped_lock guard(m_mutex);
  return alive();
}

Vault::Handed Vault::hand_over() {
  const std::scoped_lock guard(m_mutex);
  if (!alive())
    return {};
  return {m_child.release(), std::move(m_socket)};
}

Result<void> Vault::take(Handed handed) {
  const std::scoped_lock guard(m_mutex);
  m_child = TRY(os::Child::adopt(handed.pid));
  m_socket = std::move(handed.socket);
  return {};
}

int Vault::pidfd() {
  const std::scoped_lock guard(m_mutex);
  return m_child.running() ? m_child.pidfd() : -1;
}

std::string Vault::last_end() {
  const std::scoped_lock guard(m_mutex);
  return m_last_end;
}

pid_t Vault::pid() {
  const std::scoped_lock guard(m_mutex);
  return m_child.running() ? m_child.pid() : -1;
}

Result<SecretBytes> Vault::file_key(std::string_view age_header) {
  const std::scoped_lock guard(m_mutex);
  if (!alive())
    return sealed("the host is sealed");
  const uint64_t sequence = ++m_sequence;
  const auto question = control::make_packet(PacketVerb::file_key, sequence, {age_header});
  if (question.empty())
    return fail(Code::corrupt, "artifact: the age header is too long");
  const auto sent = os::send_packet(m_socket.get(), question);
  const auto packet = sent ? artifact::receive_secret_packet(m_socket.get(), k_max_answer, k_answer_limit)
                           : Result<SecretBytes>(std::unexpected(sent.error()));
  if (!packet) {
    // One that does not answer may answer late, and then to another question.
    forget();
    return sealed(cat("the vault died (", packet.error().message, "), the host is sealed"));
  }
  const auto answer = TRY(control::parse_packet(packet->view()));
  return SecretBytes(bytes_of(TRY(answer_in(answer, sequence))));
}

int64_t unlock_delay_seconds(uint32_t failures) {
  constexpr int64_t k_most = 60;
  if (failures == 0)
    return 0;
  return failures > 6 ? k_most : std::min(k_most, int64_t{1} << (failures - 1));
}

} // namespace chillbox::secrets
