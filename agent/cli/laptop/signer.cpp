#include "cli/laptop/signer.hpp"

#include "base/encoding.hpp"
#include "base/json.hpp"
#include "base/text.hpp"
#include "cli/core/terminal.hpp"
#include "cli/laptop/agent.hpp"
#include "control/control.hpp"
#include "os/socket.hpp"

#include <nlohmann/json.hpp>

#include <unistd.h>

#include <algorithm>

namespace chillbox::cli {
namespace {

constexpr os::Millis k_agent_connect{1'000}, k_agent_answer{5'000};
constexpr size_t k_max_signed = 64 * 1024;

// The connection to this user's own agent; none when nobody answers, or there may be none:
// start_agent() says why.
Result<Fd> connect(const Places& places) {
  const auto path = agent_socket(places);
  if (!path)
    return Fd();
  auto fd = os::connect_unix(*path, k_agent_connect);
  if (!fd)
    return Fd();
  if (const auto peer = TRY(os::peer_of(fd->get())); peer.uid != ::geteuid())
    return fail(Code::denied,
        cat(*path, ": ", peer.name(), " answers there, and not a process of yours: remove it"));
  return fd;
}

Result<Json> ask_agent(const Fd& agent, const Json& request) {
  TRY(control::write_frame(agent.get(), dump(request), k_agent_answer));
  const auto answer =
      TRY(parse_json(TRY(control::read_frame(agent.get(), k_agent_answer)), k_max_signed));
  if (answer.contains("error") && answer["error"].is_object())
    return fail(code_from_name(control::string_or(answer["error"], "code", "")),
        printable(control::string_or(answer["error"], "message", ""), 300));
  return answer;
}

std::string id_of(const PersonKey& key) {
  return crypto::key_id_text(key.half.key.id);
}

// Whether the one who asked can do without: no agent, one with another key, one that just ended.
bool is_absent(const Error& error) {
  return error.code == Code::conflict || error.code == Code::sealed ||
      error.code == Code::unreachable || error.code == Code::timed_out;
}

// The key, by its passphrase; an agent has it from then on.
Result<crypto::MinisignSecretKey> key_by_passphrase(
    Call& call, const Places& places, const PersonKey& key) {
  auto secret = TRY(unlock_key(call, key));
  (void)lock_agent(places); // one with another key
  if (const auto started = start_agent(places, secret, key.half.name); !started)
    call.terminal.print_status(cat("the key is not kept in memory: ", started.error().message));
  return secret;
}

Result<std::string> sign_by_agent(const Places& places, const PersonKey& key,
    const std::array<uint8_t, 64>& blake2b, const std::string& statement) {
  const Fd agent = TRY(connect(places));
  if (!agent)
    return fail(Code::unreachable, "no agent");
  const Json answer = TRY(ask_agent(agent,
      Json{{"verb", "sign"}, {"key", id_of(key)}, {"blake2b", hex(blake2b)},
          {"statement", statement}}));
  auto text = TRY(control::string_at(answer, "signature"));
  const auto signature = TRY(crypto::MinisignSignature::parse(text));
  const auto comment = signature.verify(key.half.key, blake2b);
  if (!comment || *comment != statement)
    return fail(Code::denied,
        "the agent's answer is not what was to be signed with this key: `chillboxctl agent lock`, and try again");
  return text;
}

Result<SecretBytes> file_key_by_agent(const Places& places, const PersonKey& key, ByteView header) {
  const Fd agent = TRY(connect(places));
  if (!agent)
    return fail(Code::unreachable, "no agent");
  TRY(ask_agent(agent, Json{{"verb", "open"}, {"key", id_of(key)}, {"header", base64(header)}}));
  return control::read_secret_frame(agent.get(), k_agent_answer);
}

Result<SecretBytes> payload(
    const crypto::AgeHeader& header, ByteView file, const SecretBytes& key) {
  if (!crypto::header_mac_ok(header, key))
    return fail(Code::corrupt, "age: the header was changed");
  crypto::PayloadReader reader(key, crypto::bytes_source(file.subspan(header.size)));
  SecretBytes out(file.size());
  for (size_t size = 0;;) {
    const ByteView part = TRY(reader.next());
    if (part.empty()) {
      out.truncate(size);
      return out;
    }
    std::ranges::copy(part, out.data() + size);
    size += part.size();
  }
}

} // namespace

Result<std::optional<AgentState>> agent_state(const Places& places) {
  const Fd agent = TRY(connect(places));
  if (!agent)
    return std::optional<AgentState>();
  const auto answer = ask_agent(agent, Json{{"verb", "status"}});
  if (!answer)
    return std::optional<AgentState>();
  return std::optional(AgentState{printable(control::string_or(*answer, "name", ""), 80),
      printable(control::string_or(*answer, "id", ""), 40), control::u64_or(*answer, "left_s", 0)});
}

Result<bool> lock_agent(const Places& places) {
  const Fd agent = TRY(connect(places));
  if (!agent)
    return false;
  (void)ask_agent(agent, Json{{"verb", "lock"}});
  (void)os::wait_readable(agent.get(), k_agent_connect); // it has closed: the socket is about to go
  return true;
}

Result<std::string> sign_artifact(Call& call, const Places& places, const PersonKey& key,
    const std::array<uint8_t, 64>& blake2b, const artifact::Statement& statement) {
  const std::string text = artifact::statement_text(statement);
  auto by_agent = sign_by_agent(places, key, blake2b, text);
  if (by_agent || !is_absent(by_agent.error()))
    return by_agent;
  return TRY(key_by_passphrase(call, places, key)).sign(blake2b, text);
}

Result<SecretBytes> open_age_file(
    Call& call, const Places& places, const PersonKey& key, ByteView file) {
  const Bytes plain = TRY(crypto::unarmor(file));
  const auto header = TRY(crypto::parse_age_header(plain));
  auto file_key = file_key_by_agent(places, key, ByteView(plain).first(header.size));
  if (!file_key && is_absent(file_key.error()))
    file_key = age_identity_of(TRY(key_by_passphrase(call, places, key))).file_key(header);
  if (!file_key)
    return std::unexpected(file_key.error());
  return payload(header, plain, *file_key);
}

} // namespace chillbox::cli
