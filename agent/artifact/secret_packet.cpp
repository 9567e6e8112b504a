#include "artifact/secret_packet.hpp"

#include "base/text.hpp"
#include "os/socket.hpp"

#include <sys/socket.h>

#include <algorithm>
#include <cerrno>

namespace chillbox::artifact {
namespace {

template <class T> uint8_t* put(uint8_t* at, T value) {
  for (size_t i = 0; i < sizeof(T); ++i)
    *at++ = static_cast<uint8_t>(static_cast<uint64_t>(value) >> (8 * i));
  return at;
}

} // namespace

SecretBytes make_secret_packet(
    control::PacketVerb verb, uint64_t sequence, std::initializer_list<std::string_view> fields) {
  size_t size = sizeof(uint16_t) + sizeof(uint16_t) + sizeof(uint64_t);
  for (auto field : fields)
    size += sizeof(uint32_t) + field.size();
  if (size > control::k_max_packet || fields.size() > control::k_max_fields)
    return {};
  SecretBytes packet(size);
  uint8_t* at = put(packet.data(), static_cast<uint16_t>(verb));
  at = put(at, static_cast<uint16_t>(fields.size()));
  at = put(at, sequence);
  for (auto field : fields) {
    at = put(at, static_cast<uint32_t>(field.size()));
    at = std::ranges::copy(field, at).out;
  }
  return packet;
}

Result<SecretBytes> receive_secret_packet(int socket, size_t limit, os::Millis timeout) {
  if (!TRY(os::wait_readable(socket, timeout)))
    return fail(
        Code::timed_out, cat("receive packet: nothing came within ", timeout.count(), " ms"));
  SecretBytes packet(limit);
  ssize_t n;
  // MSG_TRUNC: the true size also when it did not fit. Without room for control data the kernel
  // closes what was passed along.
  while ((n = recv(socket, packet.data(), packet.size(), MSG_TRUNC)) < 0 && errno == EINTR) {}
  if (n < 0 && errno != ECONNRESET)
    return fail_errno("receive packet", errno);
  if (n <= 0)
    return fail(Code::not_found, "receive packet: the other side closed");
  if (static_cast<size_t>(n) > limit)
    return fail(
        Code::too_large, cat("receive packet: ", n, " bytes are more than the limit of ", limit));
  packet.truncate(static_cast<size_t>(n));
  return packet;
}

} // namespace chillbox::artifact
