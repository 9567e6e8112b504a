#include "control/packet.hpp"

#include "base/text.hpp"

#include <algorithm>
#include <array>

namespace chillbox::control {
namespace {

constexpr std::array k_verbs{
    PacketVerb::hook,
    PacketVerb::upload_begin,
    PacketVerb::upload_done,
    PacketVerb::job_get,
    PacketVerb::job_events,
    PacketVerb::health,
    PacketVerb::bundle,
    PacketVerb::answer,
    PacketVerb::unlock,
    PacketVerb::file_key,
    PacketVerb::lock,
    PacketVerb::vault_ok,
    PacketVerb::vault_error,
    PacketVerb::stage_done,
    PacketVerb::stage_error,
    PacketVerb::drain,
    PacketVerb::metrics,
    PacketVerb::refused,
    PacketVerb::report,
    PacketVerb::engine_begin,
    PacketVerb::engine_if,
    PacketVerb::engine_write,
    PacketVerb::engine_change,
    PacketVerb::engine_read,
    PacketVerb::engine_follow,
    PacketVerb::engine_release,
    PacketVerb::engine_value,
    PacketVerb::engine_done,
    PacketVerb::engine_changed,
    PacketVerb::engine_touch,
};

template <class T> void put(Bytes& out, T value) {
  for (size_t i = 0; i < sizeof(T); ++i)
    out.push_back(static_cast<uint8_t>(static_cast<uint64_t>(value) >> (8 * i)));
}

// Takes a little-endian number off the front; false when too little is left.
template <class T> bool get(ByteView& in, T& value) {
  if (in.size() < sizeof(T))
    return false;
  uint64_t n = 0;
  for (size_t i = 0; i < sizeof(T); ++i)
    n |= static_cast<uint64_t>(in[i]) << (8 * i);
  value = static_cast<T>(n);
  in = in.subspan(sizeof(T));
  return true;
}

constexpr size_t k_packet_head = 12; // of a packet, bytes
constexpr size_t k_field_head = 4;   // of a field

Bytes make(PacketVerb verb, uint64_t sequence, std::span<const std::string_view> fields) {
  size_t size = k_packet_head;
  for (auto field : fields)
    size += k_field_head + field.size();
  if (size > k_max_packet)
    return {};
  Bytes out;
  out.reserve(size); // exactly once: what it holds may be a passphrase, and a buffer that grew
                     // would leave copies behind
  put(out, static_cast<uint16_t>(verb));
  put(out, static_cast<uint16_t>(fields.size()));
  put(out, sequence);
  for (auto field : fields) {
    put(out, static_cast<uint32_t>(field.size()));
    const auto bytes = bytes_of(field); // of chars, it would be copied one by one
    out.insert(out.end(), bytes.begin(), bytes.end());
  }
  return out;
}

} // namespace

Result<PacketView> parse_packet(ByteView bytes) {
  if (bytes.size() > k_max_packet)
    return fail(
        Code::too_large, cat("packet of ", bytes.size(), " bytes: the limit is ", k_max_packet));
  PacketView packet;
  uint16_t verb = 0;
  uint16_t count = 0;
  if (!get(bytes, verb) || !get(bytes, count) || !get(bytes, packet.sequence))
    return fail(Code::invalid, "packet: shorter than its head");
  packet.verb = static_cast<PacketVerb>(verb);
  if (std::ranges::find(k_verbs, packet.verb) == k_verbs.end())
    return fail(Code::invalid, cat("packet: no verb ", verb));
  const size_t most = packet.verb == PacketVerb::bundle ? k_max_bundle : k_max_fields;
  if (count > most)
    return fail(Code::invalid, cat("packet: ", count, " fields, the limit is ", most));
  packet.fields.reserve(count);
  for (uint16_t i = 0; i < count; ++i) {
    uint32_t length = 0;
    if (!get(bytes, length) || length > bytes.size())
      return fail(Code::invalid, cat("packet: field ", i, " is cut short"));
    packet.fields.push_back(text_of(bytes.first(length)));
    bytes = bytes.subspan(length);
  }
  if (!bytes.empty())
    return fail(Code::invalid, cat("packet: ", bytes.size(), " bytes are left over"));
  return packet;
}

Result<std::vector<PacketView>> parse_packets(ByteView bytes) {
  PacketView first = TRY(parse_packet(bytes));
  std::vector<PacketView> packets;
  if (first.verb != PacketVerb::bundle) {
    packets.push_back(std::move(first));
    return packets;
  }
  packets.reserve(first.fields.size());
  for (const std::string_view field : first.fields) {
    packets.push_back(TRY(parse_packet(bytes_of(field))));
    if (packets.back().verb == PacketVerb::bundle)
      return fail(Code::invalid, "packet: a bundle in a bundle");
  }
  return packets;
}

Bytes make_packet(
    PacketVerb verb, uint64_t sequence, std::initializer_list<std::string_view> fields) {
  return fields.size() > k_max_fields
      ? Bytes()
      : make(verb, sequence, std::span(fields.begin(), fields.size()));
}

std::vector<Bytes> bundled(std::vector<Bytes> packets) {
  std::vector<Bytes> messages;
  for (size_t from = 0, end = 0; from < packets.size(); from = end) {
    std::vector<std::string_view> fields;
    size_t size = k_packet_head;
    for (; end < packets.size() && fields.size() < k_max_bundle; ++end) {
      size += k_field_head + packets[end].size();
      if (size > k_max_packet && end > from)
        break;
      fields.push_back(text_of(packets[end]));
    }
    messages.push_back(
        fields.size() == 1 ? std::move(packets[from]) : make(PacketVerb::bundle, 0, fields));
  }
  return messages;
}

} // namespace chillbox::control
