// One request, from its first byte to the last of its answer. cpp-httplib parses and writes; it is
// shown only what request_head.hpp and route.hpp have found good, as a request of a few lines: the
// handlers take headers from the checked bytes, because 0.11 decodes %xx in them.
#pragma once

#include "edge/connection.hpp"
#include "edge/edge.hpp"
#include "edge/monitor_link.hpp"

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string_view>

namespace chillbox::edge {

// What is waited for between a webhook and its answer: no thread.
struct PendingRequest;
struct RequestContext;

class Server {
public:
  Server(const EdgeOptions& options, MonitorLink& monitor);
  ~Server();

  // asked: the monitor has a webhook, and `then` gets it back with its answer, in the thread that
  // brings that; it may come before this returns.
  enum class Next { another, close, asked };
  using Then = std::function<void(std::shared_ptr<PendingRequest>)>;

  // In any number of threads, each with a connection of its own. served: requests that it has had
  // before. `buffers` is left alone until the connection is given back. Without waiting, nor more
  // than a webhook: nullopt when not all of it is there, or it is something else; serve() goes on
  // from there.
  std::optional<Next> begin(int fd, Buffers& buffers, uint32_t served, Then then);
  // As long as it takes.
  Next serve(int fd, Buffers& buffers, uint32_t served, Then then);

  // What `then` got: sends what goes without waiting. nullopt: there is more to do, and finish()
  // may wait.
  std::optional<Next> send(PendingRequest& asked);
  Next finish(PendingRequest& asked);

private:
  class Http;
  void count_refused(const RequestContext& x);
  void ask(std::shared_ptr<PendingRequest> asked, std::string_view body, Then then);

  std::unique_ptr<Http> m_http;
  MonitorLink& m_monitor;
  const EdgeOptions& m_options;
};

} // namespace chillbox::edge
