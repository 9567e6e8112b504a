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
  if (count > k_max_fields)
    return fail(Code::invalid, cat("packet: ", count, " fields, the limit is ", k_max_fields));
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

Bytes make_packet(
    PacketVerb verb, uint64_t sequence, std::initializer_list<std::string_view> fields) {
  size_t size = 12;
  for (auto field : fields)
    size += 4 + field.size();
  if (size > k_max_packet || fields.size() > k_max_fields)
    return {};
  Bytes out;
  out.reserve(size); // exactly once: what it holds may be a passphrase, and a buffer that grew
                     // would leave copies behind
  put(out, static_cast<uint16_t>(verb));
  put(out, static_cast<uint16_t>(fields.size()));
  put(out, sequence);
  for (auto field : fields) {
    put(out, static_cast<uint32_t>(field.size()));
    out.insert(out.end(), field.begin(), field.end());
  }
  return out;
}

} // namespace chillbox::control
