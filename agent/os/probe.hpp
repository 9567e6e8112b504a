// One GET over a unix socket or a loopback port, HTTP/1.0: is a service well, and which generation
// does NGINX serve. At most 64 KiB are read, and the whole of it ends at its deadline, however
// slowly bytes drip in (faults 105).
//
// A client of our own for a request of three lines. cpp-httplib 0.11 has time-outs only for each
// read, and keeps a header line of any length: a hostile service could hold the monitor, or fill
// its memory. libcurl would cost the idle daemon megabytes.
#pragma once

#include "base/error.hpp"
#include "os/clock.hpp"

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace chillbox::os {

struct Probe {
  std::string socket; // path; "": the port
  uint16_t port = 0;
  std::string path = "/";
  std::string host = "localhost"; // the Host header
  // As NGINX passes a visitor's request on: the scheme by which he came, "http" or "https". "" :
  // not said.
  std::string scheme = "";
  Millis timeout{5'000};
  // Of a server that keeps connections, as NGINX does: probe_all asks all such questions of a port
  // on one connection, one after the other. What is not answered there within half the timeout is
  // asked alone, with the whole timeout.
  bool shared = false;
};
struct ProbeAnswer {
  int status = 0;
  std::string body;
  std::string location = ""; // of a redirect, printable
};
// Any status is an answer; no redirect is followed. timed_out; unreachable; invalid: not HTTP, or a
// path or host that cannot be sent.
Result<ProbeAnswer> probe(const Probe& request);
// All of them on this thread, at most k_probes_at_once side by side: so many take as long as the
// slowest of them, and the others follow as those end.
// The answers are in the order of the requests.
inline constexpr size_t k_probes_at_once = 64;
std::vector<Result<ProbeAnswer>> probe_all(std::span<const Probe> requests);

} // namespace chillbox::os
