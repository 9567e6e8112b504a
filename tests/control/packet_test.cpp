#include "catch.hpp"

#include "control/packet.hpp"

using namespace chillbox;
using namespace chillbox::control;

namespace {

Bytes sample() {
  return make_packet(
      PacketVerb::job_events, 0x0102030405060708, {"job-1", "", std::string_view("a\0b", 3)});
}

} // namespace

TEST_CASE("a packet comes back as it was made, in the documented layout") {
  const Bytes bytes = sample();
  const auto packet = parse_packet(bytes).value();
  CHECK(packet.verb == PacketVerb::job_events);
  CHECK(packet.sequence == 0x0102030405060708);
  CHECK(packet.fields == std::vector<std::string_view>{"job-1", "", std::string_view("a\0b", 3)});
  CHECK(hex(make_packet(PacketVerb::health, 1, {"ab"})) == "060001000100000000000000020000006162");
  CHECK(parse_packet(make_packet(PacketVerb::lock, 0, {})).value().fields.empty());
}

TEST_CASE("a packet cut at any byte, or with a byte left over, is invalid as a whole") {
  const Bytes whole = sample();
  for (size_t n = 0; n < whole.size(); ++n)
    CHECK(parse_packet(ByteView(whole).first(n)).error().code == Code::invalid);
  Bytes longer = whole;
  longer.push_back(0);
  CHECK(parse_packet(longer).error().message == "packet: 1 bytes are left over");
}

TEST_CASE("a packet with a verb outside the table is not looked at") {
  for (const int verb : {0, 10, 31, 34, 95, 130, 255, 0x0100, 0xffff}) {
    Bytes bytes = sample();
    bytes[0] = static_cast<uint8_t>(verb);
    bytes[1] = static_cast<uint8_t>(verb >> 8);
    CHECK(parse_packet(bytes).error().message == "packet: no verb " + std::to_string(verb));
  }
}

TEST_CASE("field counts and lengths that lie are invalid") {
  Bytes bytes = sample();
  bytes[2] = 13;
  CHECK(parse_packet(bytes).error().message == "packet: 13 fields, the limit is 12");
  bytes = sample();
  bytes[2] = 4; // one more than there are
  CHECK(parse_packet(bytes).error().code == Code::invalid);
  bytes = sample();
  bytes[2] = 2; // one less: the third is left over
  CHECK(parse_packet(bytes).error().code == Code::invalid);
  bytes = sample();
  bytes[12] = bytes[13] = bytes[14] = bytes[15] = 0xff; // 4 GiB
  CHECK(parse_packet(bytes).error().message == "packet: field 0 is cut short");
}

TEST_CASE("the maximum of a packet holds on both sides") {
  const std::string most(k_max_packet - 16, 'x');
  const Bytes bytes = make_packet(PacketVerb::hook, 1, {most});
  CHECK(bytes.size() == k_max_packet);
  CHECK(parse_packet(bytes).value().fields[0].size() == most.size());
  CHECK(make_packet(PacketVerb::hook, 1, {most + "x"}).empty());
  CHECK(make_packet(PacketVerb::hook, 1, {"", "", "", "", "", "", "", "", "", "", "", "", ""})
          .empty());
  CHECK(parse_packet(Bytes(k_max_packet + 1)).error().code == Code::too_large);
}

TEST_CASE("packets that are sent together come back in their order, one by one as it is") {
  const Bytes one = sample(), other = make_packet(PacketVerb::health, 7, {});
  CHECK(bundled({one}) == std::vector<Bytes>{one});
  CHECK(bundled({}).empty());
  const auto messages = bundled({one, other, one});
  REQUIRE(messages.size() == 1);
  const auto packets = parse_packets(messages[0]).value();
  REQUIRE(packets.size() == 3);
  CHECK(packets[0].fields == parse_packet(one).value().fields);
  CHECK(packets[1].verb == PacketVerb::health);
  CHECK(packets[1].sequence == 7);
  CHECK(packets[2].sequence == packets[0].sequence);
  CHECK(parse_packets(one).value().size() == 1);
}

TEST_CASE("a bundle keeps to the maxima of a message: what does not fit goes into the next") {
  const Bytes small = make_packet(PacketVerb::health, 1, {});
  const auto many = bundled(std::vector<Bytes>(k_max_bundle + 1, small));
  REQUIRE(many.size() == 2);
  CHECK(parse_packets(many[0]).value().size() == k_max_bundle);
  CHECK(many[1] == small);
  const Bytes half = make_packet(PacketVerb::hook, 1, {std::string(k_max_packet / 2 - 64, 'x')});
  const Bytes whole = make_packet(PacketVerb::hook, 1, {std::string(k_max_packet - 16, 'x')});
  const auto large = bundled({half, half, half, whole, small});
  REQUIRE(large.size() == 4);
  CHECK(parse_packets(large[0]).value().size() == 2);
  for (const auto& message : large)
    CHECK(message.size() <= k_max_packet);
}

TEST_CASE("a bundle with one packet that is none, or with a bundle, is invalid as a whole") {
  const Bytes good = make_packet(PacketVerb::health, 1, {});
  const auto in_bundle = [&](Bytes second) { return bundled({good, std::move(second)}).at(0); };
  CHECK(parse_packets(in_bundle(good)));
  Bytes cut = good;
  cut.pop_back();
  CHECK(parse_packets(in_bundle(cut)).error().message == "packet: shorter than its head");
  CHECK(parse_packets(in_bundle({})).error().code == Code::invalid);
  CHECK(
      parse_packets(in_bundle(in_bundle(good))).error().message == "packet: a bundle in a bundle");
  Bytes many = in_bundle(good);
  many[2] = k_max_bundle + 1;
  CHECK(parse_packets(many).error().message == "packet: 65 fields, the limit is 64");
}
