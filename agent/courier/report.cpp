#include "courier/report.hpp"

#include "base/text.hpp"
#include "control/packet.hpp"
#include "os/socket.hpp"

#include <unistd.h>

namespace chillbox::courier {

using control::make_packet;
using control::PacketVerb;

void Report::send(const std::vector<uint8_t>& packet) const {
  if (!os::send_packet(m_socket, packet))
    ::_exit(0);
}

void Report::done(uint64_t sequence, const Done& done) {
  const auto& error = done.error;
  send(make_packet(PacketVerb::engine_done, sequence,
      {error ? code_name(error->code) : "", error ? std::string_view(error->message) : "",
          done.change.made ? "made" : "", std::to_string(done.change.fence), done.change.found,
          std::to_string(done.revision), done.date ? std::to_string(*done.date) : ""}));
}

void Report::value(uint64_t sequence, const control::EngineValue& value) {
  send(make_packet(
      PacketVerb::engine_value, sequence, {value.key, value.text, std::to_string(value.fence)}));
}

void Report::changed(const std::string& prefix) {
  send(make_packet(PacketVerb::engine_changed, 0, {prefix}));
}

void Report::touch(const std::string& problem) {
  const bool there = problem.empty();
  bool lost = false;
  {
    const std::lock_guard lock(m_mutex);
    if (m_touch == there)
      return;
    lost = !there && m_touch.value_or(false);
    m_touch = there;
    send(make_packet(PacketVerb::engine_touch, 0, {problem}));
  }
  if (lost && on_loss)
    on_loss();
}

} // namespace chillbox::courier
