#include "edge/server.hpp"

#include "base/encoding.hpp"
#include "base/log.hpp"
#include "base/text.hpp"
#include "edge/events.hpp"
#include "edge/request_context.hpp"

#include <httplib.h>
#include <nlohmann/json.hpp>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <stdexcept>

namespace chillbox::edge {
namespace {

using control::PacketVerb;
using Json = nlohmann::json;

constexpr const char* k_json = "application/json";
constexpr const char* k_retry_after = "5"; // seconds
constexpr os::Millis k_least_wait{1'000};
constexpr os::Millis k_upload_start{60'000};
constexpr uint64_t k_slow_line = 64; // bytes a millisecond: half a megabit a second

// Handlers of cpp-httplib get a Request and a Response only; what belongs to the request is in the
// worker's thread.
thread_local RequestContext* t_exchange = nullptr;

os::Millis now() {
  return os::real_clock().mono();
}

// The request as cpp-httplib may see it: a head of ours, then the body's bytes and no others. It
// writes into the connection's buffer. Newer versions have more virtual functions: without
// `override` they are there for all.
class RequestStream final : public httplib::Stream {
public:
  RequestStream(Connection& connection, std::string head)
      : m_connection(connection), m_head(std::move(head)) {}

  ssize_t read(char* data, size_t size) override {
    if (m_at < m_head.size()) {
      const size_t n = std::min(size, m_head.size() - m_at);
      std::copy_n(m_head.data() + m_at, n, data);
      m_at += n;
      return static_cast<ssize_t>(n);
    }
    const auto got = m_connection.read_body(data, size);
    return got ? static_cast<ssize_t>(*got) : -1;
  }
  ssize_t write(const char* data, size_t size) override {
    m_connection.write({data, size});
    return static_cast<ssize_t>(size);
  }
  using httplib::Stream::write;
  bool is_readable() const override { return m_at < m_head.size() || m_connection.body_left() > 0; }
  bool is_writable() const { return true; }            // up to 0.19
  bool wait_readable() const { return is_readable(); } // since 0.20
  bool wait_writable() const { return true; }
  bool is_peer_alive() const { return true; }
  time_t duration() const { return 0; }
  // Who is at the other end decides nothing here (faults 33).
  void get_remote_ip_and_port(std::string&, int&) const override {}
  void get_local_ip_and_port(std::string&, int&) const override {}
  socket_t socket() const override { return -1; }

private:
  Connection& m_connection;
  std::string m_head;
  size_t m_at = 0;
};

void set_error(
    httplib::Response& response, int status, std::string_view code, std::string_view message) {
  response.status = status;
  response.set_content(Json{{"error", {{"code", code}, {"message", message}}}}.dump(), k_json);
  if (status == 503)
    response.set_header("Retry-After", k_retry_after);
}

void set_refusal(httplib::Response& response, const Refusal& refusal) {
  set_error(response, refusal.status, refusal.code, refusal.message);
  if (!refusal.allow.empty())
    response.set_header("Allow", std::string(refusal.allow));
}

void set_answer(httplib::Response& response, const Result<Answer>& answer) {
  if (!answer) {
    log::warn(answer.error().message);
    return set_error(response, 503, "throttled", "the host gives no answer now: try again");
  }
  response.status = answer->status;
  response.set_content(answer->body, k_json);
  if (answer->status == 503)
    response.set_header(
        "Retry-After", answer->retry_after.empty() ? k_retry_after : answer->retry_after);
}

void set_hook_answer(httplib::Response& response, const Result<Answer>& answer) {
  set_answer(response, answer);
  if (answer && answer->status < 300 && !answer->ticket.empty())
    response.set_header("Location", answer->ticket);
}

Result<void> write_file(int fd, const char* data, size_t size) {
  while (size > 0) {
    const ssize_t n = ::write(fd, data, size);
    if (n < 0 && errno != EINTR)
      return fail_errno("write to the inbox", errno);
    if (n > 0) {
      data += n;
      size -= static_cast<size_t>(n);
    }
  }
  return {};
}

struct EventStream {
  std::shared_ptr<void> place;
  os::Millis until{};
  EventBatch batch;
};

} // namespace

class Server::Http final : public httplib::Server {
public:
  Http(const EdgeOptions& options, MonitorLink& monitor);
  bool run(RequestContext& x, bool keep);

private:
  void upload(RequestContext& x, httplib::Response& response, const httplib::ContentReader& read);
  void events(RequestContext& x, httplib::Response& response);
  bool stream_on(RequestContext& x, EventStream& stream, httplib::DataSink& sink);
  void get(RequestContext& x, httplib::Response& response);
  Result<EventBatch> wait_for_events(const RequestContext& x, uint64_t after);

  const EdgeOptions& m_options;
  MonitorLink& m_monitor;
  Semaphore m_streams;
  Semaphore m_uploads;
};

Server::Http::Http(const EdgeOptions& options, MonitorLink& monitor)
    : m_options(options), m_monitor(monitor), m_streams(options.streams),
      m_uploads(options.uploads) {
  svr_sock_ = options.listener_fd; // without one it thinks that it shuts down, and ends streams
  set_keep_alive_max_count(options.requests);
  set_keep_alive_timeout(options.idle.count() / 1000);
  set_payload_max_length(std::max(options.artifact_max, k_max_hook));
  set_default_headers({{"Cache-Control", "no-store"}, {"X-Content-Type-Options", "nosniff"}});
  set_pre_routing_handler([](const httplib::Request&, httplib::Response& response) {
    if (t_exchange->refusal)
      set_refusal(response, *t_exchange->refusal);
    else if (t_exchange->answer)
      set_hook_answer(response, *t_exchange->answer);
    else
      return HandlerResponse::Unhandled;
    return HandlerResponse::Handled;
  });
  // Routed already: one handler a method.
  Put(".*",
      [this](const httplib::Request&, httplib::Response& r, const httplib::ContentReader& read) {
        upload(*t_exchange, r, read);
      });
  Get(".*", [this](const httplib::Request&, httplib::Response& r) { get(*t_exchange, r); });
  set_exception_handler(
      [](const httplib::Request&, httplib::Response& response, std::exception_ptr cause) {
        const std::string id = random_token(6);
        try {
          std::rethrow_exception(cause);
        } catch (const std::exception& e) {
          log::error(cat("request ", id, ": ", printable(e.what())));
        } catch (...) {
          log::error(cat("request ", id, ": unknown exception"));
        }
        response.status = 500;
        response.set_content(
            Json{{"error", {{"code", "failure"}, {"message", "internal error"}, {"request", id}}}}
                .dump(),
            k_json);
      });
  set_post_routing_handler([](const httplib::Request&, httplib::Response& response) {
    t_exchange->status = response.status;
    if (response.status < 400)
      return;
    response.headers.erase("Keep-Alive"); // after an error the connection is closed
    response.headers.erase("Connection");
    response.set_header("Connection", "close");
  });
}

bool Server::Http::run(RequestContext& x, bool keep) {
  const bool decided = x.refusal || x.answer;
  std::string head = decided ? cat(x.head.method == "HEAD" ? "HEAD" : "GET", " / HTTP/1.1\r\n")
                             : cat(x.head.method, " ", x.head.path, " HTTP/1.1\r\n");
  if (!decided && x.head.content_length)
    head += cat("Content-Length: ", *x.head.content_length, "\r\n");
  RequestStream stream(x.connection, head + "\r\n");
  t_exchange = &x;
  bool closed = false;
  // Since 0.17 the addresses of both ends are among its parameters.
  const auto call = [&](auto& self) {
    if constexpr (requires { self.process_request(stream, !keep, closed, nullptr); })
      return self.process_request(stream, !keep, closed, nullptr);
    else
      return self.process_request(stream, "", 0, "", 0, !keep, closed, nullptr);
  };
  const bool written = call(*this);
  t_exchange = nullptr;
  return written;
}

void Server::Http::upload(
    RequestContext& x, httplib::Response& response, const httplib::ContentReader& read) {
  const auto place = m_uploads.take();
  if (!place) {
    ++m_monitor.refused_uploads;
    return set_error(response, 503, "throttled",
        cat(m_options.uploads, " uploads are under way: try again later"));
  }
  const uint64_t size = *x.head.content_length;
  auto begun = m_monitor.ask(PacketVerb::upload_begin,
      {x.route.id, x.route.action == Action::upload_minisig ? "minisig" : "artifact",
          x.route.capability, std::to_string(size)},
      m_options.answer);
  if (!begun || begun->status != 200 || begun->ticket.empty()) // refused, or stored already
    return set_answer(response, begun);
  if (!begun->fd)
    throw std::runtime_error(
        "upload_begin was answered without a file"); // as cpp-httplib wants it said: 500
  x.connection.set_deadline(
      now() + std::min(m_options.upload, k_upload_start + os::Millis{size / k_slow_line}));
  uint64_t total = 0;
  Result<void> written{};
  read([&](const char* data, size_t n) {
    total += n;
    written = write_file(begun->fd.get(), data, n);
    return written.has_value();
  });
  begun->fd.reset();
  if (!written) {
    log::error(written.error().message);
    m_monitor.tell(PacketVerb::upload_done, {begun->ticket, written.error().message});
    return set_error(
        response, 503, code_name(written.error().code), "the host has no room for the upload");
  }
  if (total != size) {
    m_monitor.tell(PacketVerb::upload_done,
        {begun->ticket, cat("cut off after ", total, " of ", size, " bytes")});
    x.abandoned = true;
    return;
  }
  set_answer(
      response, m_monitor.ask(PacketVerb::upload_done, {begun->ticket, "ok"}, m_options.stored));
}

void Server::Http::get(RequestContext& x, httplib::Response& response) {
  if (x.route.action == Action::job_events)
    return events(x, response);
  if (x.route.action == Action::job)
    return set_answer(response,
        m_monitor.ask(PacketVerb::job_get, {x.route.id, x.route.capability}, m_options.answer));
  set_answer(response, m_monitor.ask(PacketVerb::health, {}, m_options.answer));
}

void Server::Http::events(RequestContext& x, httplib::Response& response) {
  auto stream = std::make_shared<EventStream>();
  stream->place = m_streams.take();
  if (!stream->place)
    return set_error(response, 503, "throttled",
        cat(m_options.streams, " event streams are open: try again later"));
  // What is there already, at once: it also says whether the reader may have it.
  const auto answer = m_monitor.ask(PacketVerb::job_events,
      {x.route.id, x.route.capability, std::to_string(x.route.after), ""}, m_options.answer);
  if (!answer || answer->status != 200)
    return set_answer(response, answer);
  stream->batch = event_batch(answer->body, x.route.after);
  stream->batch.text.insert(0, k_reconnect);
  stream->until = now() + m_options.stream;
  response.set_header("X-Accel-Buffering", "no"); // NGINX passes each event on as it comes
  response.set_content_provider(
      "text/event-stream", [this, &x, stream](size_t, httplib::DataSink& sink) {
        try {
          return stream_on(x, *stream, sink);
        } catch (const std::exception& e) { // here cpp-httplib catches nothing
          log::error(cat("event stream: ", printable(e.what())));
          return false;
        }
      });
}

// Sends what there is, then waits for more. False: the stream is over without its end, and its
// reader comes back.
bool Server::Http::stream_on(RequestContext& x, EventStream& stream, httplib::DataSink& sink) {
  x.connection.set_deadline(now() + m_options.request);
  if (!sink.write(stream.batch.text.data(), stream.batch.text.size()) || !x.connection.flush())
    return false;
  if (stream.batch.ended) {
    sink.done();
    return true;
  }
  if (now() >= stream.until)
    return false;
  const auto began = now();
  auto more = wait_for_events(x, stream.batch.last);
  if (!more)
    return false;
  stream.batch = std::move(*more);
  if (stream.batch.text.empty() && !stream.batch.ended) {
    stream.batch.text = k_heartbeat;
    os::real_clock().sleep(k_least_wait -
        (now() - began)); // a monitor that cannot hold the question must not be asked in circles
  }
  return true;
}

Result<EventBatch> Server::Http::wait_for_events(const RequestContext& x, uint64_t after) {
  const auto answer = TRY(m_monitor.ask(PacketVerb::job_events,
      {x.route.id, x.route.capability, std::to_string(after), "wait"},
      m_options.poll + m_options.answer));
  if (answer.status != 200)
    return fail(Code::unreachable, cat("events: the monitor answers ", answer.status));
  return event_batch(answer.body, after);
}

namespace {

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

Server::Server(const EdgeOptions& options, MonitorLink& monitor)
    : m_http(std::make_unique<Http>(options, monitor)), m_monitor(monitor), m_options(options) {}
Server::~Server() = default;

std::optional<Server::Next> Server::begin(int fd, Buffers& buffers, uint32_t served, Then then) {
  auto asked = std::make_shared<PendingRequest>(fd, buffers, now() + m_options.request);
  if (!asked->connection.read_available())
    return Next::close;
  size_t size = 0;
  if (find_head(buffers.in, 0, size) || size == 0)
    return std::nullopt;
  RequestContext& x = asked->x;
  if (!read_request(x, m_options.artifact_max) || x.refusal || x.route.action != Action::hook)
    return std::nullopt;
  const auto body = asked->connection.whole_body();
  if (!body)
    return std::nullopt;
  asked->keep = x.head.keep_alive && served + 1 < m_options.requests;
  ask(std::move(asked), *body, std::move(then));
  return Next::asked;
}

Server::Next Server::serve(int fd, Buffers& buffers, uint32_t served, Then then) {
  auto asked = std::make_shared<PendingRequest>(fd, buffers, now() + m_options.request);
  RequestContext& x = asked->x;
  if (!read_request(x, m_options.artifact_max))
    return Next::close;
  asked->keep = x.head.keep_alive && !x.refusal && x.route.action != Action::job_events &&
      served + 1 < m_options.requests;
  if (x.refusal)
    count_refused(x);
  if (!x.refusal && x.route.action == Action::hook) {
    const auto body = read_body(asked->connection);
    if (!body)
      return Next::close; // cut off or too slow: no job comes of it (faults 31)
    ask(std::move(asked), *body, std::move(then));
    return Next::asked;
  }
  x.abandoned = !m_http->run(x, asked->keep) || x.abandoned;
  return finish(*asked);
}

// By what the path says, which is known for most of what is refused.
void Server::count_refused(const RequestContext& x) {
  if (x.head.path == "/v1/hooks")
    ++m_monitor.refused_hooks;
  else if (x.head.path.starts_with("/v1/artifacts/"))
    ++m_monitor.refused_uploads;
}

void Server::ask(std::shared_ptr<PendingRequest> asked, std::string_view body, Then then) {
  const RequestHead& h = asked->x.head;
  const auto answered = [this, asked, then = std::move(then)](Result<Answer> answer) {
    asked->x.answer = std::move(answer);
    try {
      asked->x.abandoned = !m_http->run(asked->x, asked->keep);
    } catch (const std::exception& e) { // no memory, mostly
      log::error(cat("a request ended: ", printable(e.what())));
      asked->x.abandoned = true;
    }
    then(asked);
  };
  m_monitor.ask_later(PacketVerb::hook,
      {h.value("webhook-id"), h.value("webhook-timestamp"), h.value("webhook-signature"),
          h.value("x-hub-signature-256"), h.value("x-github-delivery"), body,
          h.value("content-type")},
      m_options.answer, answered);
}

std::optional<Server::Next> Server::send(PendingRequest& asked) {
  if (asked.x.abandoned)
    return Next::close;
  // Before the answer goes out: what is there now was not sent because of it (faults 29).
  const bool more = asked.connection.body_left() > 0 || asked.connection.has_pending_input();
  asked.keep = asked.keep && asked.x.status < 400 && !more;
  const auto sent = asked.connection.flush_available();
  if (!sent)
    return Next::close;
  if (!*sent || more)
    return std::nullopt;
  return asked.keep ? Next::another : Next::close;
}

Server::Next Server::finish(PendingRequest& asked) {
  asked.connection.set_deadline(now() + m_options.request);
  if (const auto done = send(asked))
    return *done;
  if (!asked.connection.flush())
    return Next::close;
  if (!asked.keep)
    asked.connection.linger();
  return asked.keep ? Next::another : Next::close;
}

} // namespace chillbox::edge
