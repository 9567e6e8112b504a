#include "cli/laptop/agent.hpp"

#include "artifact/verify.hpp"
#include "base/text.hpp"
#include "cli/core/terminal.hpp"
#include "cli/laptop/key_store.hpp"
#include "control/control.hpp"
#include "os/process.hpp"
#include "os/sandbox.hpp"
#include "os/socket.hpp"

#include <nlohmann/json.hpp>

#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <ctime>

namespace chillbox::cli {
namespace {

using namespace std::chrono_literals;

constexpr std::string_view k_role = "__agent";
constexpr int k_pair = 3;
constexpr size_t k_max_key_text = 4096;
constexpr size_t k_max_request = 128 * 1024;
constexpr os::Millis k_start_timeout{10'000}, k_agent_request_timeout{2'000}, k_agent_tick{10'000};
constexpr os::Millis k_slept{2'000}; // more than a busy machine takes between two reads of a clock

os::Millis clock_of(clockid_t id) {
  timespec now{};
  ::clock_gettime(id, &now);
  return os::Millis{now.tv_sec * 1000 + now.tv_nsec / 1'000'000};
}
os::Millis now_with_sleep() {
  return clock_of(CLOCK_BOOTTIME);
}
os::Millis slept() {
  return clock_of(CLOCK_BOOTTIME) - clock_of(CLOCK_MONOTONIC);
}

std::string error_json(const Error& error) {
  return dump(Json{{"error", {{"code", code_name(error.code)}, {"message", error.message}}}});
}

} // namespace

KeyAgent::KeyAgent(crypto::MinisignSecretKey key, std::string name, os::Millis idle, os::Millis now)
    : m_key(std::move(key)), m_identity(age_identity_of(m_key)), m_name(std::move(name)),
      m_id(crypto::key_id_text(m_key.public_key().id)), m_idle(idle), m_started(now), m_used(now) {}

bool KeyAgent::ended(os::Millis now) const {
  return m_locked || left(now) <= os::Millis::zero();
}

os::Millis KeyAgent::left(os::Millis now) const {
  return std::min(m_used + m_idle, m_started + os::Millis(k_agent_life)) - now;
}

Result<std::string> KeyAgent::sign(const Json& request) {
  const Bytes digest = TRY(unhex(TRY(control::string_at(request, "blake2b"))));
  std::array<uint8_t, 64> blake2b{};
  if (digest.size() != blake2b.size())
    return fail(Code::invalid, "blake2b: is not 64 bytes");
  std::ranges::copy(digest, blake2b.begin());
  const auto statement = TRY_IN(
      "not signed", artifact::parse_statement(TRY(control::string_at(request, "statement"))));
  return dump(Json{{"signature", m_key.sign(blake2b, artifact::statement_text(statement))}});
}

Result<SecretBytes> KeyAgent::open(const Json& request) {
  const Bytes bytes = TRY(unbase64(TRY(control::string_at(request, "header"))));
  return m_identity.file_key(TRY(crypto::parse_age_header(bytes)));
}

std::string KeyAgent::status(os::Millis now) const {
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(left(now)).count();
  return dump(Json{{"name", m_name}, {"id", m_id}, {"left_s", seconds}});
}

KeyAgent::Answer KeyAgent::answer(const std::string& text, os::Millis now) {
  const auto request = parse_json(text, k_max_request);
  if (!request || !request->is_object())
    return {fail(Code::invalid, "the request is no JSON object"), {}};
  if (ended(now))
    return {fail(Code::sealed, "the key is locked"), {}};
  const std::string verb = control::string_or(*request, "verb", "");
  if (verb == "lock") {
    m_locked = true;
    return {dump(Json::object()), {}};
  }
  if (verb == "status")
    return {status(now), {}};
  if (verb != "sign" && verb != "open")
    return {fail(Code::invalid, cat("no verb '", printable(verb, 40), "'")), {}};
  if (control::string_or(*request, "key", "") != m_id)
    return {fail(Code::conflict, "the agent has another key"), {}};
  m_used = now;
  if (verb == "sign")
    return {sign(*request), {}};
  auto opened = open(*request);
  if (!opened)
    return {std::unexpected(opened.error()), {}};
  return {dump(Json::object()), std::move(*opened)};
}

// --- where it listens

namespace {} // namespace

Result<std::string> agent_socket(const Places& places) {
  TRY(make_runtime_dir(places));
  return places.agent_socket();
}

Result<void> start_agent(
    const Places& places, const crypto::MinisignSecretKey& key, const std::string& name) {
  const std::string path = TRY(agent_socket(places));
  const auto idle = TRY(load_user_config(places)).agent_idle;
  auto [ours, theirs] = TRY(os::packet_pair());
  const Fd null(::open("/dev/null", O_RDWR | O_CLOEXEC));
  // A directory that ends with the session takes the socket with it.
  const bool ends_with_session = places.runtime == cat(environment("XDG_RUNTIME_DIR"), "/chillbox");
  os::RoleCommand command{
      .argv = {"chillbox-agent", std::string(k_role), path, name, std::to_string(idle.count()),
          ends_with_session ? "0" : std::to_string(::getsid(0))},
      .env = {},
      .fds = {{null.get(), 0}, {null.get(), 1}, {null.get(), 2}, {theirs.get(), k_pair}}};
  os::Child child = TRY(os::Child::start(command));
  theirs.reset();
  const SecretBytes text = TRY(key.to_file({}));
  TRY(os::send_packet(ours.get(), text.view()));
  const auto ready = TRY(os::receive_packet(ours.get(), 1024, k_start_timeout));
  if (!ready)
    return fail(Code::failure, "the agent ended before it listened");
  if (text_of(ready->bytes) != "ready")
    return fail(Code::failure, printable(text_of(ready->bytes), 300));
  (void)child.release();
  return {};
}

// --- the process

namespace {

Result<crypto::MinisignSecretKey> receive_key() {
  SecretBytes text(k_max_key_text); // not by receive_packet, whose bytes are in ordinary memory
  const ssize_t size = os::read_some(k_pair, text.data(), text.size());
  if (size <= 0)
    return fail(Code::unreachable, "no key came");
  text.truncate(static_cast<size_t>(size));
  return crypto::MinisignSecretKey::parse(text.text(), {});
}

struct Watch {
  std::string path;
  struct stat socket{};
  Fd session; // readable when it has ended
  os::Millis slept_before = slept();

  bool socket_is_there() const {
    struct stat now{};
    return ::lstat(path.c_str(), &now) == 0 && now.st_ino == socket.st_ino &&
        now.st_dev == socket.st_dev;
  }
  bool over() const { return !socket_is_there() || slept() - slept_before > k_slept; }
};

void serve_one(KeyAgent& agent, const Fd& listener) {
  const auto visitor = os::accept(listener.get());
  if (!visitor)
    return;
  const auto peer = os::peer_of(visitor->get());
  if (!peer || peer->uid != ::geteuid())
    return;
  const auto request = control::read_frame(visitor->get(), k_agent_request_timeout);
  if (!request)
    return;
  auto [text, secret] = agent.answer(*request, now_with_sleep());
  if (!control::write_frame(
          visitor->get(), text ? *text : error_json(text.error()), k_agent_request_timeout))
    return;
  if (!secret.empty())
    (void)control::write_secret_frame(visitor->get(), secret);
}

void serve(KeyAgent& agent, const Fd& listener, const Watch& watch) {
  while (!agent.ended(now_with_sleep()) && !watch.over()) {
    pollfd wanted[] = {{listener.get(), POLLIN, 0}, {watch.session.get(), POLLIN, 0}};
    const auto wait = std::clamp(agent.left(now_with_sleep()), os::Millis{1}, k_agent_tick);
    const int ready = ::poll(wanted, watch.session ? 2 : 1, static_cast<int>(wait.count()));
    if (wanted[1].revents != 0 && watch.session)
      return;
    if (ready > 0 && wanted[0].revents != 0 && !watch.over())
      serve_one(agent, listener);
  }
}

Result<void> run_in(const std::vector<std::string>& words) {
  if (words.size() != 4)
    return fail(Code::usage, "the agent is started by chillboxctl itself");
  TRY(os::deny_core_and_ptrace());
  ::prctl(PR_SET_PDEATHSIG, 0); // it outlives the one who started it
  ::umask(077);
  for (const int number : {SIGINT, SIGQUIT})
    std::signal(number, SIG_IGN);
  Watch watch{.path = words[0]};
  if (const auto leader = parse_u64(words[3]).value_or(0); leader != 0) {
    watch.session = Fd(static_cast<int>(::syscall(SYS_pidfd_open, leader, 0)));
    if (!watch.session)
      return fail(Code::failure, "the session that asked for it has ended");
  }
  const std::chrono::minutes idle(parse_u64(words[2]).value_or(0));
  KeyAgent agent(TRY(receive_key()), words[1], idle, now_with_sleep());
  const Fd listener = TRY(os::listen_unix(words[0], 0600, {::geteuid(), ::getegid()}, 16));
  if (::lstat(words[0].c_str(), &watch.socket) != 0)
    return fail_errno("look at the agent's socket", errno);
  TRY(os::send_packet(k_pair, bytes_of("ready")));
  ::close(k_pair);
  serve(agent, listener, watch);
  if (watch.socket_is_there())
    ::unlink(words[0].c_str());
  return {};
}

} // namespace

int run_agent(const std::vector<std::string>& words) {
  const auto done = run_in(words);
  if (!done)
    (void)os::send_packet(k_pair, bytes_of(cat("the agent: ", done.error().message)));
  return done ? 0 : exit_code(done.error().code);
}

} // namespace chillbox::cli
