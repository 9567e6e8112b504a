// The HTTP process: the only one that parses what strangers send. It holds no key, no database and
// no right; it checks the shape of what it reads, and passes it on to the monitor as packets
// (control/packet.hpp), whose answers it gives back.
//
// Started after confine(): from here on nothing is opened. Everything is bounded: connections,
// workers, streams, uploads, bytes, time. It waits without waking while nobody asks.
#pragma once

#include "os/clock.hpp"

#include <cstddef>
#include <cstdint>

namespace chillbox::edge {

struct EdgeOptions {
  int listener_fd = -1;
  int monitor_fd = -1;                // a packet socket
  uint64_t artifact_max = 1ULL << 30; // bytes of one upload
  size_t connections = 256;           // more wait in the listener's backlog
  // Threads, started when they are needed: more than streams and uploads together can hold.
  size_t workers = 48;
  size_t streams = 16;      // event streams at once
  size_t job_streams = 4;   // of them, of one job
  size_t key_streams = 12;  // of all jobs of one webhook key
  size_t uploads = 16;      // at once
  size_t scrapes = 4;       // of metrics, at once
  uint32_t requests = 1000; // on one connection
  os::Millis idle{10'000};  // a connection on which nothing comes
  // From the first byte of a request to the last of its body.
  os::Millis request{20'000};
  os::Millis answer{10'000}; // of the monitor
  // An upload may take long while its bytes come: each time as long as this for the next 64 KiB.
  os::Millis upload_piece{60'000};
  os::Millis upload{24 * 60 * 60'000}; // from the first byte to the last
  os::Millis stored{110'000};          // the monitor's answer after an upload: it syncs it
  os::Millis poll{15'000}; // as long as the monitor holds a wait for events; then a heartbeat
  os::Millis stream{60 * 60'000}; // one event stream; its reader comes back with Last-Event-ID
};

// Serves until the monitor is gone, then ends the process with 1: it is started again with new
// descriptors.
int edge_main(const EdgeOptions& options);

} // namespace chillbox::edge
