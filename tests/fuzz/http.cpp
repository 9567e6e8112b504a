// A connection from its first byte to its end: the edge's server; the monitor is played here.
#include "base/text.hpp"
#include "control/packet.hpp"
#include "edge/server.hpp"
#include "fuzz.hpp"
#include "os/socket.hpp"

#include <sys/mman.h>
#include <sys/socket.h>

#include <algorithm>
#include <atomic>
#include <semaphore>
#include <thread>

using namespace chillbox;
using control::PacketVerb;
using fuzz::claim;
using fuzz::must;

namespace {

Bytes reply_to(const control::PacketView& asked, int& fd) {
  switch (asked.verb) {
  case PacketVerb::hook:
    claim(asked.fields.size() == 7, "a hook has its fields");
    claim(!asked.fields[3].empty() ||
            (!asked.fields[0].empty() && !asked.fields[1].empty() && !asked.fields[2].empty()),
        "what nobody signed is not passed on");
    return control::make_packet(PacketVerb::answer, asked.sequence,
        {"202", R"({"job":"0123456789abcdef"})", "/v1/jobs/0123456789abcdef?cap=x"});
  case PacketVerb::upload_begin:
    claim(asked.fields.size() == 5 && asked.fields[0].size() == 64 && !asked.fields[2].empty(),
        "an upload names a digest and has a capability");
    fd = ::memfd_create("upload", MFD_CLOEXEC);
    return control::make_packet(PacketVerb::answer, asked.sequence, {"200", "{}", "ticket"});
  case PacketVerb::job_events:
    return control::make_packet(PacketVerb::answer, asked.sequence,
        {"200", R"({"events":[{"number":1,"kind":"step"}],"ended":true})", ""});
  case PacketVerb::upload_done:
  case PacketVerb::job_get:
  case PacketVerb::health:
    return control::make_packet(PacketVerb::answer, asked.sequence, {"200", "{}", ""});
  case PacketVerb::metrics:
    claim(asked.fields.size() == 3, "who reads the metrics says how");
    return control::make_packet(PacketVerb::answer, asked.sequence, {"404", "{}", ""});
  case PacketVerb::report:
    claim(asked.fields.size() == 1 && !asked.fields[0].empty() && asked.fields[0].size() <= 128,
        "a report is asked for by its link");
    return control::make_packet(PacketVerb::answer, asked.sequence, {"404", "{}", ""});
  default: claim(false, "the edge says only what is its to say"); return {};
  }
}

void play_monitor(int socket) {
  for (;;) {
    const auto packet = os::receive_packet(socket, control::k_max_packet);
    if (!packet || !*packet)
      return;
    for (const auto& asked :
        must(control::parse_packets((*packet)->bytes), "the edge's packets are packets")) {
      int fd = -1;
      const Bytes reply = reply_to(asked, fd);
      (void)os::send_packet(socket, reply, fd);
      if (fd >= 0)
        ::close(fd);
    }
  }
}

struct Edge {
  std::pair<Fd, Fd> pair = must(os::packet_pair(), "a pair");
  edge::EdgeOptions options{.listener_fd = 0, .artifact_max = 4096};
  edge::MonitorLink link{pair.first.get()};
  edge::Server server{options, link};
  Edge() {
    std::thread([this] { play_monitor(pair.second.get()); }).detach();
    std::thread([this] { link.serve(); }).detach();
  }
};

Edge& the_edge() {
  static auto* edge = [] {
    init_crypto();
    log::init("fuzz", log::Level::error);
    return new Edge;
  }();
  return *edge;
}

// As the pool does it: without waiting as long as that goes, with the buffers of one connection.
void serve_connection(int fd) {
  using Next = edge::Server::Next;
  Edge& e = the_edge();
  edge::Buffers buffers;
  std::binary_semaphore came{0};
  std::shared_ptr<edge::PendingRequest> asked;
  const auto then = [&](std::shared_ptr<edge::PendingRequest> a) {
    asked = std::move(a);
    came.release();
  };
  for (uint32_t served = 0; served < 50; ++served) {
    auto next = e.server.begin(fd, buffers, served, then);
    e.link.send_asked();
    if (!next)
      next = e.server.serve(fd, buffers, served, then);
    if (*next == Next::pending) {
      came.acquire();
      next = e.server.send(*asked);
      if (!next)
        next = e.server.finish(*asked);
      asked.reset();
    }
    if (*next != Next::another)
      return;
    buffers.reset();
  }
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  int ends[2];
  claim(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0, "a pair of sockets");
  Fd client(ends[0]);
  Fd server(ends[1]);
  if (::send(client.get(), data, size, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 && size > 0)
    return 0;
  ::shutdown(client.get(), SHUT_WR);
  serve_connection(server.get());
  server.reset();
  std::string answer;
  char piece[4096];
  for (ssize_t n = 0; (n = ::recv(client.get(), piece, sizeof piece, 0)) > 0;)
    answer.append(piece, static_cast<size_t>(n));
  if (answer.empty())
    return 0;
  claim(answer.starts_with("HTTP/1.1 ") && answer.size() > 12, "an answer is HTTP");
  claim(!answer.starts_with("HTTP/1.1 500"), "no exception on the way");
  return 0;
}
