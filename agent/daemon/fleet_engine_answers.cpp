// What the courier says, which may be anybody's.
#include "daemon/fleet_engine.hpp"

#include "base/text.hpp"

#include <algorithm>

namespace chillbox::daemon {
namespace {

using control::PacketVerb;

uint64_t number(std::string_view text) {
  return parse_u64(text).value_or(0);
}

} // namespace

Result<void> FleetEngine::keep(uint64_t fence) {
  if (fence <= m_fence)
    return {};
  TRY(m_host.disk.write(fence_file(), std::to_string(fence) + "\n", 0600));
  m_fence = fence;
  return {};
}

Result<void> FleetEngine::believe(uint64_t revision, uint64_t seen) {
  if (revision >= seen) {
    m_revision = std::max(m_revision, revision);
    if (m_state.reachable)
      m_state.problem.clear();
    return {};
  }
  m_state.problem =
      cat("the engine went back in time: it is at revision ", revision, ", and was at ", seen,
          ": restore it with `etcdutl snapshot restore --bump-revision "
          "1000000000 --mark-compacted`; if it is a new one, remove ",
          fence_file(), " on each host and restart chillboxd there");
  return fail(Code::conflict, m_state.problem);
}

Result<void> FleetEngine::take_done(const control::PacketView& packet, Waiting& waiting) {
  const auto& f = packet.fields;
  if (!f[0].empty()) {
    waiting.end = fail(code_from_name(f[0]), printable(f[1], 400));
    return {};
  }
  if (f[4].size() > control::k_max_engine_text)
    return fail(Code::invalid, "it sent a value that is too long");
  if (const auto date = parse_u64(f[6]))
    m_state.ahead_s = static_cast<int64_t>(*date) - m_host.clock.wall();
  waiting.change = {!f[2].empty(), number(f[3]), std::string(f[4])};
  waiting.end = believe(number(f[5]), waiting.seen);
  if (*waiting.end && waiting.change.made)
    waiting.end = keep(waiting.change.fence);
  return {};
}

Result<void> FleetEngine::take_value(const control::PacketView& packet, Waiting& waiting) {
  const auto& f = packet.fields;
  if (!control::is_engine_key(f[0]) || !f[0].starts_with(waiting.prefix) ||
      waiting.prefix.empty() || f[1].size() > control::k_max_engine_text ||
      waiting.values.size() >= control::k_max_engine_values)
    return fail(Code::invalid, "it sent a value that nobody asked for");
  waiting.bytes += f[0].size() + f[1].size();
  if (waiting.bytes > control::k_max_engine_answer)
    return fail(Code::too_large,
        cat("it sent more than ", control::k_max_engine_answer, " bytes of '", waiting.prefix,
            "'"));
  if (!waiting.nobody)
    waiting.values.push_back({std::string(f[0]), std::string(f[1]), number(f[2])});
  return {};
}

Result<void> FleetEngine::take(ByteView bytes) {
  const auto packet = TRY(control::parse_packet(bytes));
  const auto wants = [&](size_t fields) -> Result<void> {
    if (packet.fields.size() != fields)
      return fail(Code::invalid, "it sent a packet that is none of its own");
    return {};
  };
  switch (packet.verb) {
  case PacketVerb::engine_touch:
    TRY(wants(1));
    touch(packet.fields[0].empty(), printable(packet.fields[0], 400));
    return {};
  case PacketVerb::engine_changed: {
    TRY(wants(1));
    std::vector<std::function<void()>> told;
    {
      const std::lock_guard lock(m_mutex);
      for (const auto& [prefix, changed] : m_followed)
        if (prefix == packet.fields[0])
          told.push_back(changed);
    }
    for (const auto& one : told)
      one();
    if (packet.fields[0] == k_held_prefix)
      probe();
    return {};
  }
  case PacketVerb::engine_value:
  case PacketVerb::engine_done: {
    const bool value = packet.verb == PacketVerb::engine_value;
    TRY(wants(value ? 3 : 7));
    const std::lock_guard lock(m_mutex);
    const auto waiting = m_waiting.find(packet.sequence);
    if (waiting == m_waiting.end() || waiting->second.end)
      return {}; // who asked gave up
    TRY(value ? take_value(packet, waiting->second) : take_done(packet, waiting->second));
    if (waiting->second.nobody && waiting->second.end)
      m_waiting.erase(waiting);
    m_changed.notify_all();
    return {};
  }
  default: return fail(Code::invalid, "it sent a packet that is none of its own");
  }
}

} // namespace chillbox::daemon
