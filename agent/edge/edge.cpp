#include "edge/edge.hpp"

#include "base/guarded.hpp"
#include "base/log.hpp"
#include "edge/sessions.hpp"
#include "os/memory.hpp"

#include <pthread.h>
#include <unistd.h>

#include <csignal>
#include <thread>

namespace chillbox::edge {
namespace {

constexpr size_t k_stack = 256 * 1024;

// At once, from any thread: nothing has to be put in order, and nothing can be answered any more.
[[noreturn]] void fail_process(std::string_view why) {
  log::error(why);
  ::_exit(1);
}

void keep_threads_small() {
  pthread_attr_t attributes;
  ::pthread_attr_init(&attributes);
  ::pthread_attr_setstacksize(&attributes, k_stack);
  ::pthread_setattr_default_np(&attributes);
  ::pthread_attr_destroy(&attributes);
  os::keep_one_heap(); // a file that is opened ends a process that may open none
}

} // namespace

int edge_main(const EdgeOptions& options) {
  ::signal(SIGPIPE, SIG_IGN);
  keep_threads_small();
  MonitorLink monitor(options.monitor_fd);
  Server server(options, monitor);
  Sessions sessions(options, server, monitor);
  monitor.on_drain = [&sessions] { sessions.drain(); };
  const auto served = guarded("the edge", [&] {
    std::thread([&monitor] {
      const auto read = guarded("the monitor's answers", [&] { monitor.serve(); });
      fail_process(read ? "the monitor is gone" : read.error().message);
    }).detach();
    return sessions.run();
  });
  fail_process(served.error().message);
}

} // namespace chillbox::edge
