// What processes say to each other: packets, control frames, and the JSON in them.
#include "control/packet.hpp"
#include "base/text.hpp"
#include "control/control.hpp"
#include "fuzz.hpp"
#include "os/socket.hpp"

#include <nlohmann/json.hpp>
#include <sys/socket.h>

#include <cstring>

using namespace chillbox;
using namespace chillbox::control;
using fuzz::claim;

namespace {

// No list of initialisers can be made at run time: the same bytes again, by hand.
std::string again(const PacketView& p) {
  std::string out;
  const auto put = [&](uint64_t n, size_t bytes) {
    for (size_t i = 0; i < bytes; ++i)
      out.push_back(static_cast<char>(n >> (8 * i)));
  };
  put(static_cast<uint16_t>(p.verb), 2);
  put(p.fields.size(), 2);
  put(p.sequence, 8);
  for (const auto field : p.fields) {
    put(field.size(), 4);
    out += field;
  }
  return out;
}

void try_packet(std::string_view bytes) {
  const auto packet = parse_packet(bytes_of(bytes));
  if (!packet)
    return fuzz::claim_printable(packet.error());
  claim(packet->fields.size() <= (packet->verb == PacketVerb::bundle ? k_max_bundle : k_max_fields),
      "no more fields than allowed");
  if (const auto all = parse_packets(bytes_of(bytes)))
    for (const auto& one : *all)
      claim(one.verb != PacketVerb::bundle, "no bundle in a bundle");
  claim(again(*packet) == bytes, "a packet has one spelling");
}

void try_frames(std::string_view bytes) {
  int ends[2];
  claim(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0, "a pair of sockets");
  Fd here(ends[0]);
  const Fd there(ends[1]);
  (void)::send(here.get(), bytes.data(), bytes.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
  here.reset();
  size_t total = 0;
  for (;;) {
    const auto frame = read_frame(there.get(), std::chrono::milliseconds{1000});
    if (!frame) {
      claim(frame.error().code != Code::timed_out, "a closed connection ends a frame");
      break;
    }
    total += 4 + frame->size();
    claim(total <= bytes.size(), "frames have no more bytes than came");
    (void)parse_request(*frame);
  }
}

void try_json(std::string_view bytes) {
  if (const auto request = parse_request(bytes))
    claim(parse_request(request_text(request->verb, request->args)).has_value(),
        "a request that was read can be sent");
  const auto json = parse_json(bytes, k_max_control_frame);
  if (!json)
    return fuzz::claim_printable(json.error());
  const std::string text = dump(*json);
  const auto back = parse_json(text, 16 * k_max_control_frame);
  claim(back.has_value() && dump(*back) == text, "what is written can be read");
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  fuzz::Input in{data, size};
  switch (in.number(1) % 3) {
  case 0: try_packet(in.rest()); break;
  case 1: try_frames(in.rest()); break;
  default: try_json(in.rest());
  }
  return 0;
}
