#include "box.hpp"

#include "edge/monitor_link.hpp"

using namespace chillbox;
using namespace chillbox::edge;

TEST_CASE("what is asked and not waited for goes out together, and each gets its own answer") {
  auto [ours, theirs] = os::packet_pair().value();
  MonitorLink link(ours.get());
  std::vector<int> got(3);
  for (size_t i = 0; i < got.size(); ++i)
    link.ask_later(PacketVerb::hook, {std::to_string(i)}, Millis{5'000},
        [&got, i](Result<Answer> answer) { got[i] = answer ? answer->status : -1; });
  CHECK(os::receive_packet(theirs.get(), control::k_max_packet, Millis{0}).error().code ==
      Code::timed_out);
  link.send_asked();
  const auto message =
      os::receive_packet(theirs.get(), control::k_max_packet, Millis{0}).value().value();
  const auto asked = control::parse_packets(message.bytes).value();
  REQUIRE(asked.size() == 3);
  std::vector<Bytes> answers;
  for (const auto& one : asked)
    answers.push_back(control::make_packet(
        PacketVerb::answer, one.sequence, {cat("20", one.fields[0]), "{}", ""}));
  for (const auto& bundle : control::bundled(std::move(answers)))
    CHECK(os::send_packet(theirs.get(), bundle));
  theirs.reset();
  link.serve();
  CHECK(got == std::vector{200, 201, 202});
}

TEST_CASE("when the monitor is gone, all that was gathered for it is told so at once") {
  std::signal(SIGPIPE, SIG_IGN);
  auto [ours, theirs] = os::packet_pair().value();
  MonitorLink link(ours.get());
  std::vector<Code> got;
  for (int i = 0; i < 2; ++i)
    link.ask_later(PacketVerb::hook, {"x"}, Millis{5'000}, [&](Result<Answer> answer) {
      got.push_back(answer ? Code::failure : answer.error().code);
    });
  theirs.reset();
  link.send_asked();
  CHECK(got == std::vector{Code::unreachable, Code::unreachable});
  CHECK(!link.expire());
}

TEST_CASE("what is large is not held until more has come") {
  auto [ours, theirs] = os::packet_pair().value();
  MonitorLink link(ours.get());
  link.ask_later(
      PacketVerb::hook, {std::string(60'000, 'x')}, Millis{5'000}, [](Result<Answer>) {});
  CHECK(os::receive_packet(theirs.get(), control::k_max_packet, Millis{0}).value().has_value());
}
