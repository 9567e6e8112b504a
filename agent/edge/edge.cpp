#include "edge/edge.hpp"

#include "base/guarded.hpp"
#include "base/log.hpp"
#include "edge/sessions.hpp"

#include <unistd.h>

#include <csignal>

namespace chillbox::edge {
namespace {

// At once, from whichever thread: there is nothing to put in order, and nothing can be answered any
// more.
[[noreturn]] void fail_process(std::string_view why) {
  log::error(why);
  ::_exit(1);
}

} // namespace

int edge_main(const EdgeOptions& options) {
  ::signal(SIGPIPE, SIG_IGN);
  MonitorLink monitor(options.monitor_fd);
  Server server(options, monitor);
  Sessions sessions(options, server, monitor);
  monitor.on_drain = [&sessions] { sessions.drain(); };
  auto reader = start_thread(
      [](void* link) {
        static_cast<MonitorLink*>(link)->serve();
        fail_process("the monitor is gone");
      },
      &monitor);
  if (reader)
    reader = guarded("the edge", [&] { return sessions.run(); });
  fail_process(reader.error().message);
}

} // namespace chillbox::edge
