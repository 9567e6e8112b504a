// One request, from its first byte to the last of its answer: webhooks are passed on to the
// monitor, uploads are written into files that the monitor lends, jobs are followed as event
// streams.
#pragma once

#include "edge/connection.hpp"
#include "edge/edge.hpp"
#include "edge/monitor_link.hpp"
#include "edge/request_context.hpp"
#include "edge/response.hpp"

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string_view>

namespace chillbox::edge {

// A webhook that waits for the monitor's answer, without a thread.
struct PendingRequest;

class Server {
public:
  Server(const EdgeOptions& options, MonitorLink& monitor);

  // pending: the monitor has a webhook, and `then` gets it back with its answer, in the thread that
  // brings that; it may come before this returns.
  enum class Next { another, close, pending };
  using Then = std::function<void(std::shared_ptr<PendingRequest>)>;

  // In any number of threads, each with a connection of its own. served: requests that it has had
  // before. `buffers` is left alone until the connection is given back. begin() neither waits nor
  // reads more than a webhook: nullopt when not all of it has come, or it is something else;
  // serve() continues from there. What it asks is sent by MonitorLink::send_asked().
  std::optional<Next> begin(int fd, Buffers& buffers, uint32_t served, Then then);
  // As long as it takes.
  Next serve(int fd, Buffers& buffers, uint32_t served, Then then);

  // Sends what `then` got, as far as possible without waiting. nullopt: there is more to do, and
  // finish() may wait.
  std::optional<Next> send(PendingRequest& pending);
  Next finish(PendingRequest& pending);

private:
  struct EventStream;

  void count_refused(const RequestContext& x);
  void ask(std::shared_ptr<PendingRequest> pending, std::string_view body, Then then);
  void respond(PendingRequest& pending);
  std::optional<Response> answer(RequestContext& x);
  std::optional<Response> upload(RequestContext& x);
  std::optional<Response> receive_upload(RequestContext& x, uint64_t size, Answer begun);
  Response metrics(RequestContext& x);
  Response report(RequestContext& x);
  Response lent(RequestContext& x, const Result<Answer>& answer, std::string_view type);
  std::optional<Response> events(RequestContext& x);
  void stream_events(RequestContext& x, EventStream& stream);

  const EdgeOptions& m_options;
  MonitorLink& m_monitor;
  Semaphore m_streams;
  Shares m_job_streams, m_key_streams;
  Semaphore m_uploads;
  Semaphore m_scrapes;
};

} // namespace chillbox::edge
