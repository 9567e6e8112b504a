#include "cli/fleet/deploy_client.hpp"
#include "cli/fleet/edge_answer.hpp"

#include "artifact/artifact_store.hpp"
#include "base/fd.hpp"
#include "base/text.hpp"
#include "cli/core/file_input.hpp"
#include "cli/pack/encrypt_and_sign.hpp"
#include "crypto/webhook.hpp"
#include "os/clock.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <thread>
#include <utility>

namespace chillbox::cli {
namespace {

using control::JobState;

using std::chrono::milliseconds;

constexpr milliseconds k_request_timeout{30'000};
constexpr milliseconds k_look_timeout{10'000}; // of one question
// Until the job wants its upload: before that the host has no stream of events of it.
constexpr milliseconds k_look_first{2}, k_look_again{200};
constexpr milliseconds look_pause(int looked) { // most jobs begin at once
  return std::min(k_look_first * (1 << std::min(looked, 7)), k_look_again);
}
static_assert(look_pause(1) < k_look_again && look_pause(1'000) == k_look_again);
constexpr milliseconds k_reconnect_first{250};
constexpr milliseconds k_reconnect_most{5'000};
constexpr int k_request_tries = 3;
constexpr long k_too_many = 429;
constexpr int k_upload_tries = 10; // one after the other in which nothing was sent
// The host learns within a quarter of a minute that a connection is gone.
constexpr milliseconds k_still_running{25'000};

// The host starts a job within moments. If it is still queued after this many looks, its files are
// sent anyway, so that the host has them when its turn comes.
constexpr int k_looks_while_queued = 11;

// The body of a delivery: {"type","timestamp","data":{...}}.
std::string body_of(const ArtifactFile& file, int64_t now, bool watch) {
  const artifact::Statement& s = file.statement;
  control::Announcement announcement{.type = s.secrets ? "secrets.update" : "site.deploy",
      .timestamp = rfc3339(now),
      .data = {.site = s.site.str(), .sha256 = s.sha256.str(), .size = file.size}};
  if (!s.secrets)
    announcement.data.version = s.version;
  if (!watch)
    announcement.data.watch = false;
  return control::to_text(announcement);
}

} // namespace

Result<ArtifactFile> open_artifact(const std::string& path) {
  struct stat st{};
  if (::stat(path.c_str(), &st) == 0 && S_ISDIR(st.st_mode))
    return fail(Code::usage,
        cat(printable(path, 1024),
            " is a folder, and what is deployed is an artifact of it: chillboxctl pack ",
            printable(path, 1024), " -R recipient.txt -k deployer.key -o out"));
  const std::string minisig = path + ".minisig";
  const Fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd)
    return fail_errno(cat("read ", printable(path, 1024)), errno);
  if (::access(minisig.c_str(), F_OK) != 0)
    return fail(Code::not_found,
        cat(printable(path, 1024), " has no signature next to it: ", printable(minisig, 1024),
            " does not exist"));
  auto statement = TRY_IN(printable(minisig, 1024), read_statement(minisig));
  const artifact::StoredFile file = TRY_IN(printable(path, 1024), artifact::digest_file(fd.get()));
  if (file.sha256 != statement.sha256)
    return fail(Code::invalid,
        cat(printable(minisig, 1024), " is the signature of another file: pack again"));
  const std::string signature = TRY(read_input(minisig, 64 * 1024));
  return ArtifactFile{path, signature, std::move(statement), file.size};
}

Delivery make_delivery(const ArtifactFile& file, const std::string& id, int64_t now, bool watch) {
  return {id, body_of(file, now, watch)};
}

std::vector<std::string> sign_delivery(
    const SecretBytes& key, const Delivery& delivery, int64_t now) {
  const std::string timestamp = std::to_string(now);
  return {"Content-Type: application/json", cat("webhook-id: ", delivery.id),
      cat("webhook-timestamp: ", timestamp),
      cat("webhook-signature: ", crypto::sign_webhook(key, delivery.id, timestamp, delivery.body))};
}

Result<SecretBytes> parse_key_file(std::string_view text) {
  for (const auto line : content_lines(text))
    if (line.starts_with("whsec_"))
      return crypto::parse_webhook_key(line);
  return fail(Code::invalid,
      "contains no whsec_ key: use the one that `chillboxctl webhook add` printed on the host");
}

milliseconds DeployClient::left() const {
  return std::max(milliseconds(1),
      std::chrono::ceil<milliseconds>(m_deadline - std::chrono::steady_clock::now()));
}

void DeployClient::wait(milliseconds time) const {
  std::this_thread::sleep_for(std::min(time, left())); // between two looks at a job, see above
}

// A reply of 2xx; any other becomes its error. NGINX's 429 says that everybody at this address asks
// too often, and nothing of this request: it is sent again until the deadline.
Result<HttpReply> DeployClient::checked(HttpRequest request, const MakeHeaders& headers) {
  for (auto pause = k_reconnect_first;; pause = std::min(pause * 2, k_reconnect_most)) {
    if (headers)
      request.headers = headers();
    auto reply = TRY(m_http.send(request));
    if (reply.status / 100 == 2)
      return reply;
    if (reply.status != k_too_many || std::chrono::steady_clock::now() >= m_deadline)
      return std::unexpected(http_error(reply.status, reply.body));
    wait(pause);
  }
}

// A short request that may come twice, so that a connection that is lost or a daemon that starts
// just now does not end the deploy.
Result<HttpReply> DeployClient::insisted(const HttpRequest& request, const MakeHeaders& headers) {
  for (int tried = 1;; ++tried) {
    auto reply = checked(request, headers);
    if (reply || reply.error().code != Code::unreachable || tried == k_request_tries)
      return reply;
    wait(k_reconnect_first * tried);
  }
}

Result<control::Accepted> DeployClient::announce(const Delivery& delivery, const SecretBytes& key) {
  const auto reply = insisted({.method = "POST",
                                  .url = m_base + "/v1/hooks",
                                  .body = delivery.body,
                                  .timeout = std::min(left(), k_request_timeout)},
      [&] { return sign_delivery(key, delivery, os::real_clock().wall()); });
  if (reply)
    return read_accepted(reply->body);
  if (reply.error().code == Code::denied) // the host does not say why
    return fail(Code::denied,
        "the host refused the delivery: wrong webhook key, a sender that may not do this, or clocks over 5 minutes apart");
  return std::unexpected(reply.error());
}

Result<control::JobAnswer> DeployClient::look(const control::Accepted& job) {
  const auto reply = TRY(insisted({.url = m_base + job.links.status,
      .timeout = k_look_timeout})); // after the deadline too: it is the verdict
  return control::read_answer<control::JobAnswer>(reply.body);
}

Result<control::Job> DeployClient::job_now(const control::Accepted& job) {
  return TRY(look(job)).job;
}

Result<bool> DeployClient::wants_upload(const control::Accepted& job) {
  for (int looked = 1;; ++looked) {
    const auto answer = TRY(look(job));
    const auto& view = answer.job;
    if (view.state == JobState::waiting_upload) {
      if (const auto upload = answer.upload.value_or(control::UploadState{}); !upload.running)
        m_received = upload.received;
      return true;
    }
    const bool before = view.step.empty() || view.step == "accept" || view.step == "obtain";
    if (!is_open(view.state) || view.state == JobState::waiting_unlock || !before)
      return false;
    if (looked >= k_looks_while_queued && view.state == JobState::queued)
      return true; // one that runs and has not come further fetches
    if (std::chrono::steady_clock::now() >= m_deadline)
      return false;
    wait(look_pause(looked));
  }
}

// False: the host does not take it, because the job has ended.
Result<bool> DeployClient::put(const std::string& link, const HttpRequest& what) {
  HttpRequest request = what;
  request.method = "PUT";
  request.url = m_base + link;
  request.headers = {"Content-Type: application/octet-stream"};
  request.timeout = left();
  const auto reply = insisted(request);
  if (reply || reply.error().code == Code::conflict)
    return reply.has_value();
  return std::unexpected(reply.error());
}

// How much of the artifact the host has; nullopt: the job has ended, or is past its upload.
Result<std::optional<uint64_t>> DeployClient::resume_point(const control::Accepted& job) {
  const auto until = std::chrono::steady_clock::now() + k_still_running;
  for (;;) {
    const auto view = TRY(look(job));
    if (view.job.state != JobState::waiting_upload && view.job.state != JobState::queued)
      return std::nullopt;
    const auto upload = view.upload.value_or(control::UploadState{});
    if (!upload.running)
      return upload.received;
    if (std::chrono::steady_clock::now() >= until)
      return 0; // another one sends it too: the whole is always taken
    std::this_thread::sleep_for(k_look_again * 5);
  }
}

Result<HttpReply> DeployClient::send_from(
    uint64_t at, const control::Accepted& job, const ArtifactFile& file, int fd) {
  HttpRequest request{.method = "PUT",
      .url = m_base + *job.links.artifact,
      .headers = {"Content-Type: application/octet-stream"},
      .file = fd,
      .file_offset = at,
      .file_size = file.size,
      .timeout = milliseconds::max(),
      .sent = [&](uint64_t done) {
        m_sent = done;
        m_view.uploading(done, file.size);
      }};
  if (at > 0) {
    request.headers.push_back(cat("Content-Range: bytes ", at, "-", file.size - 1, "/", file.size));
    m_view.upload_note(cat("continues at ", human_size(at), " of ", human_size(file.size)));
  }
  m_view.uploading(at, file.size);
  return checked(request);
}

// False: the host does not take it any more.
Result<bool> DeployClient::send_artifact(
    const control::Accepted& job, const ArtifactFile& file, int fd) {
  uint64_t reached = 0;
  for (int tried = 1;; ++tried) {
    Error error{};
    const auto known = std::exchange(m_received, std::nullopt);
    if (const auto at = known ? Result<std::optional<uint64_t>>(known) : resume_point(job); !at)
      error = at.error();
    else if (!*at)
      return false;
    else if (const auto reply = send_from(**at < file.size ? **at : 0, job, file, fd); reply)
      return true;
    else if (error = reply.error(); error.code == Code::corrupt && **at > 0)
      error.code = Code::conflict; // what the host had was not this: from the beginning
    m_view.end_line();
    if (error.code != Code::unreachable && error.code != Code::conflict)
      return std::unexpected(error);
    if (m_sent > reached)
      tried = 1;
    reached = std::max(reached, m_sent);
    if (tried == k_upload_tries)
      return std::unexpected(error);
    m_view.upload_note(cat("broke off: ", error.message));
    std::this_thread::sleep_for(std::min(k_reconnect_first * (1 << tried), k_reconnect_most));
  }
}

Result<bool> DeployClient::upload(const control::Accepted& job, const ArtifactFile& file) {
  if (!TRY(wants_upload(job)))
    return false;
  if (!TRY_IN("upload of the signature", put(*job.links.signature, {.body = file.minisig})))
    return false;
  const Fd fd(::open(file.path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd)
    return fail_errno(cat("read ", printable(file.path, 1024)), errno);
  const auto began = std::chrono::steady_clock::now();
  const bool taken = TRY_IN("upload", send_artifact(job, file, fd.get()));
  m_deadline += std::chrono::steady_clock::now() - began; // which is for waiting
  if (taken)
    m_view.uploaded(file.size);
  m_view.end_line();
  return taken;
}

// One connection to the event stream. It fails only if another connection would fail in the same
// way.
Result<DeployClient::StreamState> DeployClient::read_events(
    const control::Accepted& job, SseParser& parser) {
  StreamState stream;
  HttpRequest request{.url = m_base + job.links.events,
      .headers = {"Accept: text/event-stream"},
      .timeout = left()};
  if (!parser.last_id().empty())
    request.headers.push_back(cat("Last-Event-ID: ", parser.last_id()));
  bool locked = false;
  request.on_bytes = [&](std::string_view bytes) {
    auto fed = parser.feed(bytes, [&](const SseParser::Event& event) {
      const auto parsed = control::read_answer<control::JobEvent>(event.data);
      stream.ended |= event.kind == "end";
      if (!parsed || parsed->number <= m_number)
        return; // shown before: the host repeats events
      stream.anything = true;
      locked = parsed->step == "unseal" && parsed->kind == control::EventKind::info;
      m_number = parsed->number;
      if (parsed->kind == control::EventKind::begin)
        m_step = parsed->step;
      m_view.event(*parsed);
    });
    return fed && locked && m_stop_when_locked ? Result<void>(fail(Code::sealed, "")) : fed;
  };
  const auto reply = checked(request);
  parser.reconnect();
  if (reply)
    return stream;
  const Code code = reply.error().code;
  if (code == Code::sealed)
    return fail(code, cat("job ", printable(job.job, 40), " waits: the host is locked"));
  if (code == Code::unreachable || code == Code::timed_out || code == Code::busy ||
      code == Code::throttled)
    return stream;
  return std::unexpected(reply.error());
}

Result<control::Job> DeployClient::follow(const control::Accepted& job) {
  SseParser parser;
  milliseconds pause = k_reconnect_first;
  while (std::chrono::steady_clock::now() < m_deadline) {
    const StreamState stream = TRY(read_events(job, parser));
    if (stream.ended)
      return job_now(job);
    if (!stream.anything) {
      if (const auto view = job_now(job);
          view && !is_open(view->state)) // so there will be no more events
        return view;
    }
    pause = stream.anything ? k_reconnect_first : std::min(pause * 2, k_reconnect_most);
    wait(pause);
  }
  const auto view = job_now(job);
  if (view && !is_open(view->state))
    return view;
  if (view && view->state == JobState::waiting_unlock)
    return fail(Code::sealed,
        cat("job ", printable(job.job, 40),
            " waits: the host is locked; it continues after `chillboxctl unlock` there"));
  return fail(Code::timed_out,
      cat("job ", printable(job.job, 40), " is not done yet",
          m_step.empty() ? "" : cat(", step ", printable(m_step, 40)), ": it keeps running"));
}

} // namespace chillbox::cli
