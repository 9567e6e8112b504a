#include "edge/edge.hpp"

#include "base/guarded.hpp"
#include "base/log.hpp"
#include "edge/pool.hpp"

#include <unistd.h>

#include <csignal>

namespace chillbox::edge {
namespace {

// At once, from whichever thread: there is nothing to put in order, and nothing can be answered any
// more.
[[noreturn]] void give_up(std::string_view why) {
  log::error(why);
  ::_exit(1);
}

} // namespace

int edge_main(const EdgeOptions& options) {
  ::signal(SIGPIPE, SIG_IGN);
  MonitorLink monitor(options.monitor_fd);
  Server server(options, monitor);
  Pool pool(options, server, monitor);
  monitor.on_drain = [&pool] { pool.drain(); };
  auto reader = start_thread(
      [](void* link) {
        static_cast<MonitorLink*>(link)->serve();
        give_up("the monitor is gone");
      },
      &monitor);
  if (reader)
    reader = guarded("the edge", [&] { return pool.run(); });
  give_up(reader.error().message);
}

} // namespace chillbox::edge
