#include "cli/laptop/host_session.hpp"

#include "base/text.hpp"
#include "cli/fleet/ssh.hpp"
#include "control/json.hpp"
#include "os/io.hpp"

#include <nlohmann/json.hpp>

#include <fcntl.h>
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <thread>

namespace chillbox::cli {
namespace {

using std::chrono::milliseconds;
using Clock = std::chrono::steady_clock;

constexpr size_t k_max_host_line = 8 << 20;
constexpr milliseconds k_step_tick{250}; // of the line that shows how long a step takes
constexpr size_t k_chunk = 64 * 1024;
constexpr int k_no_such_command = 127; // of the shell there

Result<std::pair<Fd, Fd>> pipe_pair() {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0)
    return fail_errno("make a pipe", errno);
  return std::pair(Fd(ends[0]), Fd(ends[1]));
}

bool has_schema(const Json& json, std::string_view name) {
  return control::string_or(json, "schema", "") == cat("chillbox.", name, ".v1");
}

std::unexpected<Error> error_in(const Json& json) {
  const auto answer = control::from_json<control::ErrorAnswer>(json);
  if (!answer)
    return std::unexpected(answer.error());
  return fail(answer->error.code, answer->error.message);
}

} // namespace

HostSession::HostSession(HostSession&& other) noexcept
    : m_host(std::move(other.m_host)), m_pid(std::exchange(other.m_pid, -1)),
      m_in(std::move(other.m_in)), m_out(std::move(other.m_out)), m_read(std::move(other.m_read)),
      m_facts(std::move(other.m_facts)) {}

HostSession& HostSession::operator=(HostSession&& other) noexcept {
  abandon();
  m_host = std::move(other.m_host);
  m_pid = std::exchange(other.m_pid, -1);
  m_in = std::move(other.m_in);
  m_out = std::move(other.m_out);
  m_read = std::move(other.m_read);
  m_facts = std::move(other.m_facts);
  return *this;
}

HostSession::~HostSession() {
  abandon();
}

// With its input closed the other side ends, and so does ssh; but one that still follows a job
// would be waited for as long as that lasts.
void HostSession::abandon() {
  constexpr milliseconds k_grace{1'000}, k_step{5};
  m_in.reset();
  m_out.reset();
  for (milliseconds waited{0}; m_pid > 0 && waited < k_grace; waited += k_step) {
    if (::waitpid(m_pid, nullptr, WNOHANG) == m_pid)
      m_pid = -1;
    else
      std::this_thread::sleep_for(k_step);
  }
  if (m_pid > 0)
    ::kill(m_pid, SIGTERM);
  end();
}

int HostSession::end() {
  if (m_pid <= 0)
    return 0;
  m_in.reset();
  m_out.reset();
  int status = 0;
  while (::waitpid(m_pid, &status, 0) < 0 && errno == EINTR) {}
  m_pid = -1;
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

std::unexpected<Error> HostSession::broken() {
  end();
  return fail(Code::unreachable, cat(m_host.name, ": the connection broke"));
}

Result<HostSession> HostSession::run(const Host& host, const std::vector<std::string>& words) {
  HostSession session(host);
  auto [in_there, in_here] = TRY(pipe_pair());
  auto [out_here, out_there] = TRY(pipe_pair());
  session.m_pid = TRY(spawn_ssh(host, {}, words, {in_there.get(), out_there.get(), -1}));
  session.m_in = std::move(in_here);
  session.m_out = std::move(out_here);
  return session;
}

Result<HostSession> HostSession::open(const Host& host, const std::string& site) {
  auto session = TRY(run(host, {"deploy", "--json", cat("--site=", site), "--", "-"}));
  const auto json = session.object();
  if (json && has_schema(*json, "facts")) {
    session.m_facts = TRY(control::from_json<control::Facts>(*json));
    return session;
  }
  const bool old = json && has_schema(*json, "error") &&
      (error_in(*json).error().message.find("no verb 'facts'") != std::string::npos ||
          error_in(*json).error().code == Code::usage);
  if (json && has_schema(*json, "error") && !old)
    return within(host.name, error_in(*json).error());
  const int code = json ? 0 : session.end();
  if (code == 255)
    return unreached(host);
  if (code == k_no_such_command)
    return fail(Code::not_found,
        cat("there is no chillboxctl on ", host.name, ": chillboxctl setup ",
            printable(host.target, 100), " installs it"));
  return fail(Code::conflict,
      cat("chillbox on ", host.name,
          " is older than this one and takes no deploy by ssh: chillboxctl setup ",
          printable(host.target, 100), " upgrades it, or pack and deploy --to URL"));
}

// With the time in which something may happen here, too.
Result<std::string> HostSession::line(
    const std::function<void()>& tick, Clock::time_point deadline) {
  for (;;) {
    if (const auto end = m_read.find('\n'); end != std::string::npos) {
      std::string out = m_read.substr(0, end);
      m_read.erase(0, end + 1);
      return out;
    }
    if (m_read.size() > k_max_host_line)
      return fail(
          Code::corrupt, cat(m_host.name, ": a line of more than ", k_max_host_line, " bytes"));
    if (Clock::now() >= deadline)
      return fail(Code::timed_out, "timed out");
    pollfd one{m_out.get(), POLLIN, 0};
    if (const int n = ::poll(&one, 1,
            tick || deadline != Clock::time_point::max() ? static_cast<int>(k_step_tick.count())
                                                         : -1);
        n == 0 || (n < 0 && errno == EINTR)) {
      if (tick)
        tick();
      continue;
    }
    std::array<char, 16 * 1024> bytes;
    const ssize_t n = os::read_some(m_out.get(), bytes.data(), bytes.size());
    if (n <= 0)
      return fail(Code::unreachable, cat(m_host.name, ": the connection broke"));
    m_read.append(bytes.data(), static_cast<size_t>(n));
  }
}

// What is no object comes from a shell that greets.
Result<Json> HostSession::object(const std::function<void()>& tick, Clock::time_point deadline) {
  for (;;) {
    const std::string text = TRY(line(tick, deadline));
    auto json = parse_json(text, k_max_host_line);
    if (json && json->is_object())
      return std::move(*json);
  }
}

Result<void> HostSession::write(std::string_view bytes) {
  if (os::write_fully(m_in.get(), bytes) != 0)
    return fail(Code::unreachable, cat(m_host.name, ": the connection broke"));
  return {};
}

Result<uint64_t> HostSession::announce(std::string_view verb, const control::Arguments& order) {
  TRY(write(dump(Json{{"verb", verb}, {"args", control::to_json(order)}}) + "\n"));
  const Json json = TRY(object());
  if (has_schema(json, "error"))
    return error_in(json);
  if (!has_schema(json, "upload"))
    return fail(Code::corrupt, cat(m_host.name, ": an answer that is none"));
  const uint64_t received = control::u64_or(json, "received", 0);
  if (received > order.number.value_or(0))
    return fail(Code::corrupt, cat(m_host.name, " has more of the artifact than there is"));
  return received;
}

Result<void> HostSession::answered() {
  const Json json = TRY(object());
  if (has_schema(json, "error"))
    return error_in(json);
  return {};
}

Result<control::Plan> HostSession::planned() {
  const Json json = TRY(object());
  if (has_schema(json, "error"))
    return error_in(json);
  return control::from_json<control::Plan>(json);
}

Result<control::Plan> HostSession::prepare_fetch(
    const control::Arguments& order, const std::function<void(const std::string&)>& note) {
  TRY(write(dump(Json{{"verb", "prepare_fetch"}, {"args", control::to_json(order)}}) + "\n"));
  for (;;) {
    const Json json = TRY(object());
    if (has_schema(json, "error")) { // of its sources: the host itself answers
      Error error = error_in(json).error();
      if (error.code == Code::unreachable)
        error.code = Code::failure;
      return std::unexpected(std::move(error));
    }
    if (has_schema(json, "plan"))
      return control::from_json<control::Plan>(json);
    if (const std::string text = control::string_or(json, "note", ""); !text.empty())
      note(printable(text, 500));
  }
}

Result<void> HostSession::send(int file, uint64_t from, uint64_t size, const Sent& sent) {
  if (from < size && ::lseek(file, static_cast<off_t>(from), SEEK_SET) < 0)
    return fail_errno("read the artifact", errno);
  std::string chunk(k_chunk, '\0');
  while (from < size) {
    const ssize_t n = os::read_some(file, chunk.data(), chunk.size());
    if (n <= 0)
      return fail(Code::conflict, "the artifact changed while it was sent: run it again");
    if (!write(std::string_view(chunk).substr(0, static_cast<size_t>(n))))
      break; // what the host says of it is the reason
    from += static_cast<uint64_t>(n);
    sent(from);
  }
  m_in.reset();
  return {};
}

Result<control::Job> HostSession::follow(const Heard& heard) {
  for (;;) {
    const auto got = object(heard.tick, heard.deadline);
    if (!got && got.error().code == Code::unreachable)
      return broken();
    const Json json = TRY(got);
    if (has_schema(json, "error"))
      return error_in(json);
    if (has_schema(json, "job") || json.contains("schema"))
      return std::move(TRY(control::from_json<control::JobAnswer>(json)).job);
    if (const std::string id = control::string_or(json, "job", ""); !id.empty()) {
      if (heard.begins)
        heard.begins(printable(id, 40));
    } else if (const auto event = control::from_json<control::JobEvent>(json);
        event && heard.event) {
      heard.event(*event);
    }
  }
}

// The job continues there, whatever became of the connection.
Result<control::Job> HostSession::follow_again(
    const Host& host, const std::string& id, const Heard& heard) {
  for (int tried = 0; tried < k_tries; ++tried) {
    std::this_thread::sleep_for(k_pause);
    auto job = TRY(run(host, {"job", "--follow", "--json", "--", id})).follow(heard);
    if (job || job.error().code != Code::unreachable)
      return job;
  }
  return fail(Code::unreachable,
      cat("the connection to ", host.name, " broke, and job ", id, " continues there"));
}

} // namespace chillbox::cli
