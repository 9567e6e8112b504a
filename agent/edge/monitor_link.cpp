#include "edge/monitor_link.hpp"

#include "base/log.hpp"
#include "base/text.hpp"
#include "os/socket.hpp"

#include <chrono>
#include <vector>

namespace chillbox::edge {
namespace {

constexpr size_t k_gathered = 32 * 1024; // bytes: large bodies do not wait for each other

// nullopt: not an answer as it must be.
std::optional<Answer> read_answer(const control::PacketView& packet, Fd fd) {
  if (packet.verb != control::PacketVerb::answer || packet.fields.size() < 2)
    return std::nullopt;
  const auto status = parse_u64(packet.fields[0]);
  if (!status || *status < 200 || *status > 599)
    return std::nullopt;
  const auto field = [&](size_t i) {
    return std::string(i < packet.fields.size() ? packet.fields[i] : std::string_view());
  };
  Answer answer{.status = static_cast<int>(*status),
      .body = field(1),
      .ticket = field(2),
      .retry_after = {},
      .fd = std::move(fd)};
  if (parse_u64(field(3)))
    answer.retry_after = field(3);
  return answer;
}

} // namespace

uint64_t MonitorLink::enter(Asker* asker) {
  const std::scoped_lock lock(m_mutex);
  const uint64_t sequence = ++m_sequence;
  if (asker != nullptr)
    m_askers.emplace(sequence, asker);
  return sequence;
}

Result<Answer> MonitorLink::ask(
    control::PacketVerb verb, std::initializer_list<std::string_view> fields, os::Millis timeout) {
  Asker asker;
  const uint64_t sequence = enter(&asker);
  const auto until = std::chrono::steady_clock::now() + timeout;
  const auto sent = os::send_packet(m_fd, control::make_packet(verb, sequence, fields));
  std::unique_lock lock(m_mutex);
  const bool answered = sent && asker.answered.wait_until(lock, until, [&] { return asker.done; });
  m_askers.erase(sequence);
  if (!sent)
    return std::unexpected(sent.error());
  if (!answered)
    return fail(Code::timed_out, cat("the monitor gave no answer within ", timeout.count(), " ms"));
  return std::move(asker.answer);
}

void MonitorLink::ask_later(control::PacketVerb verb,
    std::initializer_list<std::string_view> fields, os::Millis timeout, Then then) {
  const uint64_t sequence = enter(nullptr);
  // First: without memory for it the connection ends, and no entry may be left that would answer
  // to it.
  auto packet = control::make_packet(verb, sequence, fields);
  if (packet.empty())
    return then(fail(Code::too_large, "a request is more than one packet takes"));
  std::unique_lock lock(m_mutex);
  m_asked_bytes += packet.size();
  const bool is_much = m_asked_bytes >= k_gathered;
  m_asked.push_back({sequence, std::move(packet)});
  m_later.emplace(sequence, Later{std::move(then), os::real_clock().mono() + timeout});
  lock.unlock();
  if (is_much)
    send_asked();
}

void MonitorLink::send_asked() {
  std::vector<Asked> asked;
  {
    const std::scoped_lock lock(m_mutex);
    asked.swap(m_asked);
    m_asked_bytes = 0;
  }
  std::vector<Bytes> packets;
  packets.reserve(asked.size());
  for (auto& one : asked)
    packets.push_back(std::move(one.packet));
  Result<void> sent;
  for (const auto& message : control::bundled(std::move(packets)))
    if (sent)
      sent = os::send_packet(m_fd, message);
  if (sent)
    return;
  for (const auto& one : asked) { // the monitor is gone or stuck: none will have its answer
    std::unique_lock lock(m_mutex);
    auto mine = m_later.extract(one.sequence);
    lock.unlock();
    if (mine)
      mine.mapped().then(std::unexpected(sent.error()));
  }
}

std::optional<os::Millis> MonitorLink::expire() {
  const auto now = os::real_clock().mono();
  std::vector<Then> over;
  std::optional<os::Millis> next;
  {
    const std::scoped_lock lock(m_mutex);
    for (auto first = m_later.begin(); first != m_later.end() && !next; first = m_later.begin()) {
      if (first->second.until > now) {
        next = first->second.until - now;
      } else {
        over.push_back(std::move(first->second.then));
        m_later.erase(first);
      }
    }
  }
  for (auto& then : over)
    then(fail(Code::timed_out, "the monitor gave no answer in time"));
  return next;
}

void MonitorLink::send(control::PacketVerb verb, std::initializer_list<std::string_view> fields) {
  (void)os::send_packet(m_fd, control::make_packet(verb, enter(nullptr), fields));
}

void MonitorLink::report_refused() {
  const uint64_t hooks = refused_hooks.exchange(0);
  const uint64_t uploads = refused_uploads.exchange(0);
  if (hooks + uploads > 0)
    send(control::PacketVerb::refused, {std::to_string(hooks), std::to_string(uploads)});
}

void MonitorLink::serve() {
  for (;;) {
    auto packet = os::receive_packet(m_fd, control::k_max_packet);
    if (packet && !*packet)
      return;
    if (!packet) {
      log::error(cat("monitor: ", packet.error().message));
      if (packet.error().code == Code::too_large || packet.error().code == Code::corrupt)
        continue;
      return;
    }
    const auto views = control::parse_packets((*packet)->bytes);
    if (!views)
      log::error(cat("monitor: ", views.error().message));
    else
      for (const auto& view : *views)
        take(view, std::move((*packet)->fd));
  }
}

void MonitorLink::take(const control::PacketView& packet, Fd fd) {
  if (packet.verb == control::PacketVerb::drain && on_drain)
    return on_drain();
  if (auto answer = read_answer(packet, std::move(fd)))
    give(packet.sequence, std::move(*answer));
  else
    log::error("monitor: a packet that is no answer");
}

void MonitorLink::give(uint64_t sequence, Answer answer) {
  std::unique_lock lock(m_mutex);
  if (const auto asker = m_askers.find(sequence); asker != m_askers.end()) {
    asker->second->answer = std::move(answer);
    asker->second->done = true;
    asker->second->answered
        .notify_one(); // within the lock: once it is let go the asker may be gone
    return;
  }
  auto later = m_later.extract(sequence);
  lock.unlock();
  if (later)
    later.mapped().then(std::move(answer));
}

} // namespace chillbox::edge
