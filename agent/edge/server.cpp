#include "edge/server.hpp"

#include "base/log.hpp"
#include "base/text.hpp"
#include "control/exposition.hpp"
#include "edge/events.hpp"
#include "os/io.hpp"

#include <algorithm>
#include <stdexcept>

namespace chillbox::edge {
namespace {

using control::PacketVerb;

constexpr os::Millis k_least_wait{1'000};
constexpr uint64_t k_upload_least = 64 * 1024; // in m_options.upload_piece

Result<std::string> read_body(Connection& connection) {
  std::string body(static_cast<size_t>(connection.body_left()), '\0');
  for (size_t got = 0; got < body.size();)
    got += TRY(connection.read_body(body.data() + got, body.size() - got));
  return body;
}

} // namespace

struct PendingRequest {
  PendingRequest(int fd, Buffers& buffers, os::Millis deadline)
      : connection(fd, buffers, deadline), x{.connection = connection} {}
  Connection connection;
  RequestContext x;
  bool keep = false;
};

struct Server::EventStream {
  os::Millis until{};
  EventBatch batch;
};

Server::Server(const EdgeOptions& options, MonitorLink& monitor)
    : m_options(options), m_monitor(monitor), m_streams(options.streams),
      m_uploads(options.uploads), m_scrapes(options.scrapes) {}

std::optional<Server::Next> Server::begin(int fd, Buffers& buffers, uint32_t served, Then then) {
  auto pending = std::make_shared<PendingRequest>(fd, buffers, now() + m_options.request);
  if (!pending->connection.read_available())
    return Next::close;
  size_t size = 0;
  if (find_head(buffers.in, 0, size) || size == 0)
    return std::nullopt;
  RequestContext& x = pending->x;
  if (!read_request(x, m_options.artifact_max) || x.refusal || x.route.action != Action::hook)
    return std::nullopt;
  const auto body = pending->connection.whole_body();
  if (!body)
    return std::nullopt;
  pending->keep = x.head.keep_alive && served + 1 < m_options.requests;
  ask(std::move(pending), *body, std::move(then));
  return Next::pending;
}

Server::Next Server::serve(int fd, Buffers& buffers, uint32_t served, Then then) {
  auto pending = std::make_shared<PendingRequest>(fd, buffers, now() + m_options.request);
  RequestContext& x = pending->x;
  if (!read_request(x, m_options.artifact_max))
    return Next::close;
  pending->keep = x.head.keep_alive && !x.refusal && x.route.action != Action::job_events &&
      served + 1 < m_options.requests;
  if (x.refusal)
    count_refused(x);
  if (!x.refusal && x.route.action == Action::hook) {
    const auto body = read_body(pending->connection);
    if (!body)
      return Next::close; // cut off or too slow: no job comes of it (faults 31)
    ask(std::move(pending), *body, std::move(then));
    m_monitor.send_asked();
    return Next::pending;
  }
  respond(*pending);
  return finish(*pending);
}

// By what the path says, which is known for most of what is refused.
void Server::count_refused(const RequestContext& x) {
  if (x.head.path == "/v1/hooks")
    ++m_monitor.refused_hooks;
  else if (x.head.path.starts_with("/v1/artifacts/"))
    ++m_monitor.refused_uploads;
}

void Server::ask(std::shared_ptr<PendingRequest> pending, std::string_view body, Then then) {
  const RequestHead& h = pending->x.head;
  const auto answered = [this, pending, then = std::move(then)](Result<Answer> answer) {
    pending->x.answer = std::move(answer);
    try {
      respond(*pending);
    } catch (const std::exception& e) { // no memory, mostly
      log::error(cat("a request ended: ", printable(e.what())));
      pending->x.abandoned = true;
    }
    then(pending);
  };
  m_monitor.ask_later(PacketVerb::hook,
      {h.value("webhook-id"), h.value("webhook-timestamp"), h.value("webhook-signature"),
          h.value("x-hub-signature-256"), h.value("x-github-delivery"), body,
          h.value("content-type")},
      m_options.answer, answered);
}

// Writes the answer into the connection's buffer; without one the connection just ends.
void Server::respond(PendingRequest& pending) {
  RequestContext& x = pending.x;
  std::optional<Response> response;
  try {
    response = answer(x);
  } catch (const std::exception& e) {
    response = internal_error(e.what());
  }
  if (!response) {
    x.abandoned = true;
    return;
  }
  pending.keep = pending.keep && response->status < 400; // after an error the connection is closed
  pending.connection.write(to_bytes(*response, m_options, pending.keep, x.head.method == "HEAD"));
}

// nullopt: nobody waits for an answer any more, or it is sent already. Throws what must not happen.
std::optional<Response> Server::answer(RequestContext& x) {
  if (x.refusal)
    return refusal_response(*x.refusal);
  if (x.answer) {
    Response response = answer_response(*x.answer);
    if (*x.answer && response.status < 300)
      response.location = (*x.answer)->ticket;
    return response;
  }
  switch (x.route.action) {
  case Action::upload_artifact:
  case Action::upload_minisig: return upload(x);
  case Action::job_events: return events(x);
  case Action::metrics: return metrics(x);
  case Action::report: return report(x);
  case Action::job:
    return answer_response(
        m_monitor.ask(PacketVerb::job_get, {x.route.id, x.route.capability}, m_options.answer));
  default: return answer_response(m_monitor.ask(PacketVerb::health, {}, m_options.answer));
  }
}

// The reader's address is what NGINX says that it is.
Response Server::metrics(RequestContext& x) {
  const auto format = control::preferred_format(x.head.value("accept"));
  const bool open = format == control::MetricsFormat::openmetrics;
  const auto answer = m_monitor.ask(PacketVerb::metrics,
      {x.route.capability, x.head.value("x-forwarded-for"), open ? "openmetrics" : "text"},
      m_options.answer);
  return lent(x, answer, control::media_type(format));
}

Response Server::report(RequestContext& x) {
  return lent(x, m_monitor.ask(PacketVerb::report, {x.route.id}, m_options.answer),
      "text/html; charset=utf-8");
}

// A text that the monitor lends in a file.
Response Server::lent(RequestContext& x, const Result<Answer>& answer, std::string_view type) {
  constexpr uint64_t k_most = 64ULL << 20;
  const uint64_t size = answer ? parse_u64(answer->ticket).value_or(0) : 0;
  if (!answer || answer->status != 200 || !answer->fd || size > k_most)
    return answer_response(answer);
  x.place = m_scrapes.try_acquire(); // only of those who may
  if (!x.place)
    return error_response(
        503, "throttled", cat(m_options.scrapes, " are reading this: try again later"));
  Response response{.status = 200,
      .body = std::string(static_cast<size_t>(size), '\0'),
      .location = {},
      .retry_after = {}};
  response.type = type;
  if (os::read_fully(answer->fd.get(), response.body.data(), response.body.size()) !=
      static_cast<ssize_t>(size))
    throw std::runtime_error("the text is shorter than the monitor said");
  return response;
}

std::optional<Response> Server::upload(RequestContext& x) {
  const auto place = m_uploads.try_acquire();
  if (!place) {
    ++m_monitor.refused_uploads;
    return error_response(
        503, "throttled", cat(m_options.uploads, " uploads are running: try again later"));
  }
  const uint64_t size = x.route.from + *x.head.content_length;
  auto begun = m_monitor.ask(PacketVerb::upload_begin,
      {x.route.id, x.route.action == Action::upload_minisig ? "minisig" : "artifact",
          x.route.capability, std::to_string(size), std::to_string(x.route.from)},
      m_options.answer);
  if (!begun || begun->status != 200 || begun->ticket.empty()) // refused, or stored already
    return answer_response(begun);
  if (!begun->fd)
    throw std::runtime_error("upload_begin was answered without a file");
  return receive_upload(x, size, std::move(*begun));
}

std::optional<Response> Server::receive_upload(RequestContext& x, uint64_t size, Answer begun) {
  const os::Millis end = now() + m_options.upload;
  uint64_t extend_at = UINT64_MAX; // when no more than so much is left
  while (x.connection.body_left() > 0) {
    if (x.connection.body_left() <= extend_at) {
      extend_at = x.connection.body_left() - std::min(x.connection.body_left(), k_upload_least);
      x.connection.set_deadline(std::min(end, now() + m_options.upload_piece));
    }
    const auto moved = x.connection.move_body(begun.fd.get());
    if (!moved) {
      const uint64_t came = size - x.connection.body_left();
      m_monitor.send(PacketVerb::upload_done,
          {begun.ticket, cat(control::k_cut_off, " after ", came, " of ", size, " bytes")});
      return std::nullopt;
    }
    if (*moved != 0) {
      // It takes no more, and says why.
      begun.fd.reset();
      return answer_response(m_monitor.ask(PacketVerb::upload_done,
          {begun.ticket, fail_errno("write to the monitor", *moved).error().message},
          m_options.answer));
    }
  }
  begun.fd.reset();
  return answer_response(
      m_monitor.ask(PacketVerb::upload_done, {begun.ticket, "ok"}, m_options.stored));
}

std::optional<Response> Server::events(RequestContext& x) {
  const auto place = m_streams.try_acquire();
  if (!place)
    return error_response(
        503, "throttled", cat(m_options.streams, " event streams are open: try again later"));
  // The events so far, at once: the answer also says whether the reader may have them.
  const auto answer = m_monitor.ask(PacketVerb::job_events,
      {x.route.id, x.route.capability, std::to_string(x.route.after), ""}, m_options.answer);
  if (!answer || answer->status != 200)
    return answer_response(answer);
  // The monitor knows the capability, so that what it says is so: its second part is the key.
  const auto parts = split(x.route.capability, '.');
  const auto key = parts[parts.size() > 1 ? 1 : 0];
  const auto of_job = m_job_streams.try_acquire(std::string(x.route.id), m_options.job_streams);
  const auto of_key = m_key_streams.try_acquire(std::string(key), m_options.key_streams);
  if (!of_job || !of_key)
    return error_response(503, "throttled",
        cat(of_job ? m_options.key_streams : m_options.job_streams, " event streams of this ",
            of_job ? "webhook key" : "job", " are open: try again later"));
  EventStream stream{
      .until = now() + m_options.stream, .batch = event_batch(answer->body, x.route.after)};
  x.connection.write(event_stream_head());
  x.connection.write(k_reconnect);
  try {
    stream_events(x, stream);
  } catch (const std::exception& e) { // in the middle of an answer: it ends here
    log::error(cat("event stream: ", printable(e.what())));
  }
  return std::nullopt;
}

// Sends the events so far, then waits for more, until the job or the stream's time is over. When a
// stream ends before its job, its reader comes back.
void Server::stream_events(RequestContext& x, EventStream& stream) {
  for (;;) {
    x.connection.set_deadline(now() + m_options.request);
    x.connection.write(stream.batch.text);
    const auto began = now();
    if (!x.connection.flush() || stream.batch.ended || began >= stream.until)
      return;
    const auto answer = m_monitor.ask(PacketVerb::job_events,
        {x.route.id, x.route.capability, std::to_string(stream.batch.last), "wait"},
        m_options.poll + m_options.answer);
    if (!answer || answer->status != 200)
      return;
    stream.batch = event_batch(answer->body, stream.batch.last);
    if (stream.batch.text.empty() && !stream.batch.ended) {
      stream.batch.text = k_heartbeat;
      // A monitor that cannot hold the question must not be asked in circles.
      os::real_clock().sleep(k_least_wait - (now() - began));
    }
  }
}

std::optional<Server::Next> Server::send(PendingRequest& pending) {
  if (pending.x.abandoned)
    return Next::close;
  // Before the answer goes out: bytes that have come by now were not sent because of it
  // (faults 29).
  const bool more = pending.connection.body_left() > 0 || pending.connection.has_pending_input();
  pending.keep = pending.keep && !more;
  const auto sent = pending.connection.flush_available();
  if (!sent)
    return Next::close;
  if (!*sent || more)
    return std::nullopt;
  return pending.keep ? Next::another : Next::close;
}

Server::Next Server::finish(PendingRequest& pending) {
  pending.connection.set_deadline(now() + m_options.request);
  if (const auto done = send(pending))
    return *done;
  if (!pending.connection.flush())
    return Next::close;
  if (!pending.keep)
    pending.connection.linger();
  return pending.keep ? Next::another : Next::close;
}

} // namespace chillbox::edge
