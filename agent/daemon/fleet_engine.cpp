#include "daemon/fleet_engine.hpp"

#include "base/log.hpp"
#include "base/text.hpp"
#include "daemon/startup.hpp"
#include "os/roles.hpp"
#include "os/socket.hpp"

#include <sys/socket.h>
#include <sys/stat.h>

#include <algorithm>

namespace chillbox::daemon {
namespace {

using control::EngineChange;
using control::EngineCondition;
using control::EngineValue;
using control::EngineWrite;
using control::make_packet;
using control::PacketVerb;

constexpr const char* k_courier_program = "/usr/bin/chillboxctl";
constexpr size_t k_max_pem = 64 * 1024, k_max_password = 1024;
constexpr os::Millis k_courier_life{1'000}; // one that lived so long is started again at once
constexpr os::Millis k_courier_pause{1'000}, k_courier_pause_most{60'000};
constexpr os::Millis k_courier_reap{2'000};
constexpr std::chrono::milliseconds k_margin{3'000}; // a member's second, and the courier's own

// A file that opens the engine is root's alone.
Result<std::string> read_private(
    const FleetEngine::Host& host, std::string_view what, const std::string& path, size_t limit) {
  struct stat st{};
  if (host.as_root &&
      (::lstat(path.c_str(), &st) != 0 || st.st_uid != 0 || !S_ISREG(st.st_mode) ||
          (st.st_mode & 077) != 0))
    return fail(Code::denied,
        cat("fleet.", what, ": ", path, " must be a file of root's alone: chown root, chmod 0600"));
  return TRY_IN(cat("fleet.", what), host.disk.read(path, limit));
}

Result<void> check_key(std::string_view key) {
  if (!control::is_engine_key(key))
    return fail(Code::invalid, cat("'", printable(key, 80), "' is no key of the engine"));
  return {};
}

Result<void> check_change(
    const std::vector<EngineCondition>& conditions, const std::vector<EngineWrite>& writes) {
  if (writes.empty() || conditions.size() + writes.size() > control::k_max_engine_items)
    return fail(Code::invalid, "a change of the engine has 1 to 64 writes and conditions");
  for (const auto& condition : conditions)
    TRY(check_key(condition.key));
  for (const auto& write : writes) {
    TRY(check_key(write.key));
    if (write.text.size() > control::k_max_engine_text)
      return fail(Code::too_large,
          cat("'", write.key, "': ", write.text.size(), " bytes are more than the engine takes, ",
              control::k_max_engine_text));
  }
  return {};
}

std::unexpected<Error> no_courier(const std::string& why) {
  return fail(Code::unreachable, cat("the courier to the fleet's engine does not run: ", why));
}

} // namespace

config::HostFleet read_fleet_settings(os::Disk& disk, const os::Paths& paths) {
  constexpr size_t k_max_config = 256 * 1024;
  const auto text = disk.read(paths.config_file(), k_max_config);
  if (!text)
    return {};
  return config::parse_host_fleet(*text, paths.config_file()).value_or(config::HostFleet{});
}

FleetEngine::FleetEngine(Host host) : m_host(std::move(host)) {
  m_fence = parse_u64(trim(m_host.disk.read(fence_file(), 64).value_or(""))).value_or(0);
  m_revision = m_fence;
  m_state = {.since_ms = m_host.clock.wall_ms(), .problem = "it was not reached yet"};
  m_followed.emplace_back(k_held_prefix, [] {});
}

FleetEngine::~FleetEngine() {
  {
    const std::lock_guard lock(m_mutex);
    m_stop = true;
    if (m_socket)
      ::shutdown(m_socket->get(), SHUT_RDWR);
  }
  m_changed.notify_all();
  m_thread.wait();
}

Result<void> FleetEngine::begin() {
  return m_thread.start("courier", [this] { run(); });
}

void FleetEngine::run() {
  for (os::Millis pause{0};;) {
    const os::Millis begun = m_host.clock.mono();
    const auto served = serve();
    Lock lock(m_mutex);
    if (m_stop)
      return;
    pause = m_host.clock.mono() - begun < k_courier_life
        ? std::clamp(2 * pause, k_courier_pause, k_courier_pause_most)
        : os::Millis{0};
    log::error(
        cat("the courier to the fleet's engine: ", served.error().message, ": it is started again",
            pause.count() == 0 ? "" : cat(" in ", pause.count() / 1000, " s")));
    m_changed.wait_for(lock, pause, [this] { return m_stop; });
    if (m_stop)
      return;
  }
}

Result<Bytes> FleetEngine::first_packet() const {
  const auto& s = m_host.settings;
  auto& disk = m_host.disk;
  const auto authority = TRY_IN("fleet.ca_file", disk.read(s.ca_file, k_max_pem));
  const auto certificate =
      TRY_IN("fleet.certificate_file", disk.read(s.certificate_file, k_max_pem));
  std::string key = TRY(read_private(m_host, "key_file", s.key_file, k_max_pem));
  std::string password =
      TRY(read_private(m_host, "password_file", s.password_file, k_max_password));
  const auto word = trim(password);
  if (word.empty() ||
      word.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789") !=
          std::string_view::npos)
    return fail(Code::invalid,
        cat("fleet.password_file: ", s.password_file, ": must be letters and digits"));
  auto packet = make_packet(PacketVerb::engine_begin, 0,
      {std::to_string(control::k_engine_packets), join(s.endpoints, " "), authority, certificate,
          key, s.user, word});
  wipe(key.data(), key.size());
  wipe(password.data(), password.size());
  if (packet.empty())
    return fail(Code::too_large, "fleet: certificates and key have more than 128 KiB");
  return packet;
}

Result<void> FleetEngine::serve() {
  auto first = first_packet();
  if (!first) {
    touch(false, first.error().message);
    return std::unexpected(first.error());
  }
  auto [ours, theirs] = TRY(os::packet_pair());
  os::RoleCommand command =
      os::role_command(os::k_courier_role, {service_user(os::k_courier_user)});
  command.program = k_courier_program;
  command.fds = {{theirs.get(), 3}};
  auto child = TRY(os::Child::start(command));
  theirs.reset();
  TRY(os::send_packet(ours.get(), *first));
  wipe(first->data(), first->size());
  m_pid = child.pid();
  const auto sound = talk(std::move(ours));
  const auto code = child.wait(k_courier_reap);
  child = os::Child();
  const std::string why =
      !sound ? sound.error().message : cat("it ended with ", os::end_text(code.value_or(-1)));
  ended(why);
  return fail(Code::failure, why);
}

Result<void> FleetEngine::talk(Fd socket) {
  const auto ours = std::make_shared<const Fd>(std::move(socket));
  Result<void> sound;
  {
    Lock lock(m_mutex);
    m_socket = ours;
    std::vector<Bytes> follows;
    for (const auto& [prefix, _] : m_followed)
      follows.push_back(make_packet(PacketVerb::engine_follow, 0, {prefix}));
    if (m_stop)
      ::shutdown(ours->get(), SHUT_RDWR);
    m_changed.notify_all();
    sound = send(lock, follows);
  }
  while (sound) {
    const auto packet = os::receive_packet(ours->get(), control::k_max_packet);
    if (!packet || !*packet)
      break;
    sound = take((*packet)->bytes);
  }
  ::shutdown(ours->get(), SHUT_RDWR);
  return sound;
}

// Of what was asked nobody knows now whether it was done.
void FleetEngine::ended(const std::string& why) {
  {
    const std::lock_guard lock(m_mutex);
    m_socket.reset();
    m_pid = -1;
    std::erase_if(m_waiting, [](const auto& one) { return one.second.nobody; });
    for (auto& [_, waiting] : m_waiting)
      if (!waiting.end)
        waiting.end = no_courier(why);
  }
  m_changed.notify_all();
  touch(false, cat("the courier: ", why));
}

void FleetEngine::touch(bool reachable, std::string problem) {
  {
    const std::lock_guard lock(m_mutex);
    if (m_state.reachable != reachable)
      m_state.since_ms = m_host.clock.wall_ms();
    m_state.reachable = reachable;
    m_state.missed = m_state.missed && !reachable;
    m_state.problem = std::move(problem);
  }
  if (m_host.changed)
    m_host.changed();
}

void FleetEngine::missed() {
  {
    const std::lock_guard lock(m_mutex);
    m_state.missed = !m_state.reachable;
  }
  if (m_host.changed)
    m_host.changed();
}

// Nobody waits for the answer: status() tells of the clock, and whether the engine is believed. One
// at a time, whatever the courier says and does not answer.
void FleetEngine::probe() {
  Lock lock(m_mutex);
  if (std::ranges::any_of(m_waiting, [](const auto& one) { return one.second.nobody; }))
    return;
  const uint64_t sequence = ++m_sequence;
  m_waiting.emplace(
      sequence, Waiting{.prefix = std::string(k_held_prefix), .seen = m_revision, .nobody = true});
  if (!send(lock,
          {make_packet(PacketVerb::engine_read, sequence,
              {k_held_prefix, std::to_string(k_margin.count())})}))
    m_waiting.erase(sequence);
}

control::EngineStatus FleetEngine::status() const {
  const std::lock_guard lock(m_mutex);
  return m_state;
}

// A courier that takes nothing holds up those who send, and nobody else; then it is ended.
Result<void> FleetEngine::send(Lock& lock, const std::vector<Bytes>& packets) {
  const auto socket = m_socket;
  if (!socket)
    return no_courier(m_state.problem);
  lock.unlock();
  Result<void> sent;
  {
    const std::lock_guard sending(m_sending); // the packets of a change follow each other
    for (size_t i = 0; i < packets.size() && sent; ++i)
      sent = os::send_packet(socket->get(), packets[i]);
  }
  if (!sent && sent.error().code == Code::timed_out)
    ::shutdown(socket->get(), SHUT_RDWR);
  lock.lock();
  return sent;
}

Result<FleetEngine::Waiting> FleetEngine::ask(Lock& lock, Waiting waiting,
    std::chrono::milliseconds deadline,
    const std::function<std::vector<Bytes>(uint64_t sequence)>& packets) {
  // At a start it is there in a moment.
  if (!m_changed.wait_for(lock, deadline, [this] { return m_stop || m_socket; }) || m_stop)
    return no_courier(m_state.problem);
  const uint64_t sequence = ++m_sequence;
  waiting.seen = m_revision;
  m_waiting.emplace(sequence, std::move(waiting));
  const auto sent = send(lock, packets(sequence));
  auto& mine = m_waiting.at(sequence);
  const bool answered = sent &&
      m_changed.wait_for(lock, deadline + k_margin, [&] { return m_stop || mine.end.has_value(); });
  Waiting out = std::move(mine);
  m_waiting.erase(sequence);
  if (!sent)
    return no_courier(sent.error().message);
  if (!answered || !out.end)
    return fail(Code::unreachable, "the courier to the fleet's engine gives no answer");
  TRY(*out.end);
  return out;
}

Result<EngineChange> FleetEngine::change(const std::vector<EngineCondition>& conditions,
    const std::vector<EngineWrite>& writes, std::chrono::milliseconds deadline) {
  TRY(check_change(conditions, writes));
  Lock lock(m_mutex);
  const auto done = TRY(ask(lock, {}, deadline, [&](uint64_t sequence) {
    std::vector<Bytes> all;
    for (const auto& one : conditions)
      all.push_back(make_packet(PacketVerb::engine_if, sequence,
          {std::to_string(static_cast<int>(one.kind)), one.key, one.text,
              std::to_string(one.fence)}));
    for (const auto& one : writes)
      all.push_back(make_packet(PacketVerb::engine_write, sequence,
          {one.key, one.text, cat(one.leased ? "l" : "", one.removes ? "r" : ""),
              std::to_string(one.kept.count())}));
    all.push_back(
        make_packet(PacketVerb::engine_change, sequence, {std::to_string(deadline.count())}));
    return all;
  }));
  return done.change;
}

Result<std::vector<EngineValue>> FleetEngine::read(
    std::string_view prefix, std::chrono::milliseconds deadline) {
  TRY(check_key(prefix));
  Lock lock(m_mutex);
  auto done = TRY(ask(lock, {.prefix = std::string(prefix)}, deadline, [&](uint64_t sequence) {
    return std::vector<Bytes>{
        make_packet(PacketVerb::engine_read, sequence, {prefix, std::to_string(deadline.count())})};
  }));
  std::ranges::sort(done.values, {}, &EngineValue::key);
  return std::move(done.values);
}

void FleetEngine::follow(std::string prefix, std::function<void()> changed) {
  Lock lock(m_mutex);
  if (m_followed.size() >= control::k_max_followed || !control::is_engine_key(prefix))
    return log::error(cat("fleet: '", prefix, "' is not followed: too many are"));
  const Bytes packet = make_packet(PacketVerb::engine_follow, 0, {prefix});
  m_followed.emplace_back(std::move(prefix), std::move(changed));
  (void)send(lock, {packet}); // if there is no courier now, the next one gets it
}

void FleetEngine::release() {
  Lock lock(m_mutex);
  (void)send(lock, {make_packet(PacketVerb::engine_release, 0, {})});
}

} // namespace chillbox::daemon
