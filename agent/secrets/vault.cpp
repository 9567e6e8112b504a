#include "secrets/vault.hpp"

#include "artifact/secret_packet.hpp"
#include "base/text.hpp"
#include "os/roles.hpp"
#include "os/socket.hpp"

#include <fcntl.h>

#include <algorithm>

namespace chillbox::secrets {
namespace {

using control::PacketVerb;

constexpr os::Millis k_unlock_limit{120'000}; // scrypt with 2^20 on a small machine
constexpr os::Millis k_answer_limit{
    30'000}; // how long a caller waits; the vault lives on: a machine that
             // swaps or was paused is no reason to lock it
constexpr os::Millis k_end_limit{2'000};
constexpr size_t k_max_answer = 4096;

std::unexpected<Error> sealed(std::string_view why) {
  return fail(Code::sealed, cat(why, ": chillboxctl unlock"));
}

// The one field of a vault_ok with this sequence, or the error that the vault sent.
Result<std::string_view> answer_in(const control::PacketView& packet, uint64_t sequence) {
  if (packet.verb == PacketVerb::vault_error && packet.fields.size() == 2)
    return fail(code_from_name(packet.fields[0]), printable(packet.fields[1], 500));
  if (packet.verb != PacketVerb::vault_ok || packet.sequence != sequence ||
      packet.fields.size() != 1)
    return fail(Code::failure, "the vault gave an answer that is none");
  return packet.fields[0];
}

void end(os::Child child, const std::shared_ptr<const Fd>& socket) {
  if (!child.running() || !socket)
    return;
  // If it does not listen any more, the end of `child` kills it.
  if (os::send_packet(socket->get(), control::make_packet(PacketVerb::lock, 0, {})))
    (void)child.wait(k_end_limit);
}

// The answer to this question; an earlier one's, whose asker gave up, is dropped. unreachable: the
// vault is gone.
Result<SecretBytes> answer_to(int socket, uint64_t sequence, os::Millis until) {
  for (;;) {
    const os::Millis left = std::max(os::Millis{0}, until - os::real_clock().mono());
    const auto packet = artifact::receive_secret_packet(socket, k_max_answer, left);
    if (!packet && packet.error().code == Code::not_found) // which is also what a vault may answer
      return fail(Code::unreachable, packet.error().message);
    if (!packet)
      return std::unexpected(packet.error());
    const auto answer = TRY(control::parse_packet(packet->view()));
    if (answer.sequence != sequence)
      continue;
    return SecretBytes(bytes_of(TRY(answer_in(answer, sequence))));
  }
}

std::unexpected<Error> late() {
  return fail(Code::throttled,
      cat("the vault gave no answer within ", k_answer_limit.count() / 1000,
          " s: the host is very slow, try again; `chillboxctl unlock` starts another vault"));
}

Result<SecretBytes> ask(const std::shared_ptr<const Fd>& socket, uint64_t sequence,
    std::string_view age_header, os::Millis until) {
  const auto packet = control::make_packet(PacketVerb::file_key, sequence, {age_header});
  if (packet.empty())
    return fail(Code::corrupt, "the age header is too long");
  TRY(os::send_packet(socket->get(), packet));
  return answer_to(socket->get(), sequence, until);
}

} // namespace

// Questions are numbered on from the clock: after an upgrade the same vault is asked by a program
// that knows nothing of the numbers before.
Vault::Vault(std::string user)
    : m_user(std::move(user)),
      m_sequence(static_cast<uint64_t>(os::real_clock().mono().count()) * 1'000'000) {}

Result<Vault::Started> Vault::start(
    std::string_view identity_file, const SecretBytes& passphrase, int scrypt_cap) {
  auto [ours, theirs] = TRY(os::packet_pair());
  os::RoleCommand command = os::role_command(os::k_vault_role, {m_user});
  command.fds = {{theirs.get(), 3}};
  auto child = TRY(os::Child::start(command));
  Started started{std::move(child), std::move(ours), {}};
  theirs.reset(); // so that its death is seen
  const auto order = artifact::make_secret_packet(PacketVerb::unlock, 0,
      {identity_file, passphrase.text(), std::to_string(std::max(0, scrypt_cap))});
  if (order.empty())
    return fail(Code::too_large,
        cat("identity.age and passphrase: ", identity_file.size() + passphrase.size(),
            " bytes, the limit is ", control::k_max_packet));
  const auto sent = os::send_packet(started.socket.get(), order.view());
  if (!sent &&
      sent.error().code !=
          Code::unreachable) // if it has ended already, its answer or its exit says why
    return std::unexpected(sent.error());
  const auto packet =
      artifact::receive_secret_packet(started.socket.get(), k_max_answer, k_unlock_limit);
  if (!packet && packet.error().code == Code::not_found) {
    const auto code = started.child.wait(k_end_limit);
    return fail(Code::failure,
        cat("the vault ended without an answer", code ? cat(", exit ", os::end_text(*code)) : "",
            code && *code == 137 ? ": out of memory?" : ""));
  }
  if (!packet)
    return packet.error().code == Code::timed_out
        ? fail(Code::timed_out,
              cat("the vault did not open within ", k_unlock_limit.count() / 1000, " s"))
        : std::unexpected(packet.error());
  started.recipient = TRY(answer_in(TRY(control::parse_packet(packet->view())), 0));
  return started;
}

Result<std::string> Vault::unlock(
    std::string_view identity_file, const SecretBytes& passphrase, int scrypt_cap) {
  const std::scoped_lock one_at_a_time(m_unlocking);
  auto started = TRY_IN("unlock", start(identity_file, passphrase, scrypt_cap));
  replace(std::move(started.child), std::make_shared<const Fd>(std::move(started.socket)));
  return std::move(started.recipient);
}

void Vault::replace(os::Child child, std::shared_ptr<const Fd> socket) {
  {
    const std::scoped_lock guard(m_mutex);
    std::swap(m_child, child);
    std::swap(m_socket, socket);
    m_last_end.clear();
  }
  end(std::move(child), socket);
}

bool Vault::alive() {
  if (!m_child.running())
    return false;
  const auto ended = os::wait_readable(m_child.pidfd(), os::Millis{0});
  if (ended && !*ended)
    return true;
  if (const auto code = m_child.wait(os::Millis{0}))
    m_last_end = os::end_text(*code);
  m_child = os::Child();
  m_socket.reset();
  return false;
}

void Vault::lock() {
  replace(os::Child(), nullptr);
}

bool Vault::unsealed() {
  const std::scoped_lock guard(m_mutex);
  return alive();
}

Vault::Handed Vault::hand_over() {
  const std::scoped_lock guard(m_mutex);
  if (!alive())
    return {};
  Fd socket(::fcntl(m_socket->get(), F_DUPFD_CLOEXEC, 3));
  if (!socket)
    return {};
  m_socket.reset();
  return {m_child.release(), std::move(socket)};
}

Result<void> Vault::take(Handed handed) {
  const std::scoped_lock guard(m_mutex);
  m_child = TRY(os::Child::adopt(handed.pid));
  m_socket = std::make_shared<const Fd>(std::move(handed.socket));
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

Result<Vault::Question> Vault::next_question() {
  const std::scoped_lock guard(m_mutex);
  if (!alive())
    return sealed("the host is locked");
  return Question{m_socket, ++m_sequence};
}

bool Vault::is_current(const std::shared_ptr<const Fd>& socket) {
  const std::scoped_lock guard(m_mutex);
  return m_socket == socket;
}

Result<SecretBytes> Vault::file_key(std::string_view age_header) {
  const os::Millis until = os::real_clock().mono() + k_answer_limit;
  const std::unique_lock asking(m_asking, k_answer_limit);
  if (!asking)
    return late();
  for (;;) {
    const auto question = TRY(next_question());
    auto answer = ask(question.socket, question.sequence, age_header, until);
    if (answer)
      return answer;
    if (answer.error().code == Code::timed_out)
      return late();
    if (!is_current(question.socket))
      continue; // another unlock, or a lock, came between
    // It closes before its end is known.
    return answer.error().code != Code::unreachable && unsealed()
        ? std::move(answer)
        : Result<SecretBytes>(
              sealed(cat("the vault died (", answer.error().message, "), the host is locked")));
  }
}

int64_t unlock_delay_seconds(uint32_t failures) {
  constexpr int64_t k_most = 60;
  if (failures == 0)
    return 0;
  return failures > 6 ? k_most : std::min(k_most, int64_t{1} << (failures - 1));
}

} // namespace chillbox::secrets
