#include "control/control.hpp"

#include "base/text.hpp"
#include "os/io.hpp"

#include <nlohmann/json.hpp>

#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <optional>

namespace chillbox::control {
namespace {

using os::Deadline;
using os::Millis;

constexpr size_t k_head = 4;

Result<void> write_bytes(int fd, ByteView bytes, size_t limit, Millis timeout) {
  if (bytes.size() > limit)
    return fail(Code::too_large, cat("frame of ", bytes.size(), " bytes: the limit is ", limit));
  const Deadline deadline(timeout);
  const auto n = static_cast<uint32_t>(bytes.size());
  const std::array<uint8_t, k_head> head{static_cast<uint8_t>(n), static_cast<uint8_t>(n >> 8),
      static_cast<uint8_t>(n >> 16), static_cast<uint8_t>(n >> 24)};
  TRY_IN("frame", os::write_all(fd, head, deadline));
  TRY_IN("frame", os::write_all(fd, bytes, deadline));
  return {};
}

Result<size_t> read_head(int fd, size_t limit, const Deadline& deadline) {
  std::array<uint8_t, k_head> head{};
  const size_t have = TRY_IN("frame", os::read_up_to(fd, head, deadline));
  if (have == 0)
    return fail(Code::not_found, "the other side closed the connection");
  if (have < head.size())
    return fail(Code::corrupt, "frame is cut off in its length");
  const size_t n = head[0] | static_cast<size_t>(head[1]) << 8 |
      static_cast<size_t>(head[2]) << 16 | static_cast<size_t>(head[3]) << 24;
  if (n > limit)
    return fail(Code::too_large, cat("frame of ", n, " bytes: the limit is ", limit));
  return n;
}

Result<void> read_body(int fd, std::span<uint8_t> out, const Deadline& deadline) {
  const size_t have = TRY_IN("frame", os::read_up_to(fd, out, deadline));
  if (have < out.size())
    return fail(Code::corrupt, cat("frame is cut off: ", have, " of ", out.size(), " bytes came"));
  return {};
}

// The last word of the daemon, when this frame is one.
std::optional<Result<std::string>> verdict(const Json& frame, ErrorData* error_data) {
  if (const auto result = frame.find("result"); result != frame.end())
    return Result<std::string>(dump(*result));
  if (!frame.contains("error"))
    return std::nullopt;
  auto answer = from_json<ErrorAnswer>(frame);
  if (!answer)
    return Result<std::string>(std::unexpected(answer.error()));
  auto& [code, message, data] = answer->error;
  if (error_data != nullptr && data)
    *error_data = std::move(*data);
  return Result<std::string>(
      fail(code, message.empty() ? "the daemon gave no reason" : std::move(message)));
}

} // namespace

Result<void> write_frame(int fd, std::string_view bytes, Millis timeout) {
  return write_bytes(fd, bytes_of(bytes), k_max_control_frame, timeout);
}

Result<void> write_result(int fd, std::string_view text) {
  if (text.size() <= k_max_control_answer)
    return write_bytes(fd, bytes_of(text), k_max_control_answer, k_write_timeout);
  return write_frame(fd,
      error_text({Code::too_large,
          cat("the answer has ", text.size(), " bytes, the limit is ", k_max_control_answer,
              ": ask for less, as with -n")}));
}

Result<std::string> read_frame(int fd, Millis timeout, size_t limit) {
  const Deadline deadline(timeout);
  std::string text(TRY(read_head(fd, limit, deadline)), '\0');
  TRY(read_body(fd, {reinterpret_cast<uint8_t*>(text.data()), text.size()}, deadline));
  return text;
}

Result<void> write_secret_frame(int fd, const SecretBytes& secret) {
  return write_bytes(fd, secret.view(), k_max_control_frame, k_write_timeout);
}

Result<SecretBytes> read_secret_frame(int fd, Millis timeout, size_t limit) {
  const Deadline deadline(timeout);
  SecretBytes secret(TRY(read_head(fd, limit, deadline)));
  TRY(read_body(fd, secret.span(), deadline)); // straight into guarded memory
  return secret;
}

Result<Request> parse_request(std::string_view text) {
  const auto json = TRY_IN("request", parse_json(text, k_max_control_frame));
  const std::string verb = string_or(json, "verb", "");
  const uint64_t version = u64_or(json, "v", 0);
  if (version != k_control_version && verb != "upgrade") // another version may well look different
    return fail(Code::invalid,
        cat("request: protocol version ", version, ", this chillboxd speaks ", k_control_version,
            ": use the chillboxctl of the same release"));
  if (verb.empty())
    return fail(Code::invalid, "request: verb: must be a string, and is missing");
  Request request{verb, {}};
  if (const auto args = json.find("args"); args != json.end() && !args->is_null()) {
    if (!args->is_object())
      return fail(Code::invalid, "request: args: must be an object");
    request.args = TRY_IN("request: args", from_json<Arguments>(*args));
  }
  return request;
}

std::string request_text(std::string_view verb, const Arguments& args) {
  return dump({{"v", k_control_version}, {"verb", verb}, {"args", to_json(args)}});
}

std::string event_text(const Json& event) {
  return dump({{"event", event}});
}

namespace {

constexpr std::string_view k_result_head = "{\"result\":{", k_result_tail = "}}";

// Of a frame as result_text() writes it: the result as it came, since who asked reads it anyway.
// "": of another frame.
std::string_view plain_result(std::string_view frame) {
  const bool is = frame.starts_with(k_result_head) && frame.ends_with(k_result_tail);
  return is ? frame.substr(k_result_head.size() - 1, frame.size() - k_result_head.size())
            : std::string_view();
}

} // namespace

std::string result_text(std::string_view answer) {
  return cat("{\"result\":", answer, "}");
}

std::string error_text(const Error& error) {
  return to_text(ErrorAnswer{{.code = error.code, .message = error.message, .data = {}}});
}

Result<void> write_body(int fd, int from) {
  std::string chunk(k_max_control_frame / 2, '\0');
  for (;;) {
    const ssize_t n = os::read_some(from, chunk.data(), chunk.size());
    if (n < 0)
      return fail_errno("read what is to be sent", errno);
    TRY(write_frame(fd, std::string_view(chunk).substr(0, static_cast<size_t>(n))));
    if (n == 0)
      return {};
  }
}

Result<std::string> call(int fd, std::string_view verb, const Arguments& args,
    const SecretBytes* secret, const std::function<void(const Json&)>& on_event, Millis timeout,
    ErrorData* error_data, int body) {
  // A daemon that refuses the caller answers and closes without reading on: its answer says more
  // than our broken pipe.
  Result<void> sent = write_frame(fd, request_text(verb, args));
  if (sent && secret)
    sent = write_secret_frame(fd, *secret);
  if (sent && body >= 0)
    sent = write_body(fd, body);
  if (!sent && sent.error().code != Code::unreachable)
    return std::unexpected(sent.error());
  for (;;) {
    auto text = read_frame(fd, timeout, k_max_control_answer);
    if (!text && (text.error().code == Code::not_found || text.error().code == Code::corrupt))
      return fail(
          Code::unreachable, "chillboxd closed the connection without an answer: see its log");
    if (!text)
      return std::unexpected(std::move(text).error());
    if (const auto result = plain_result(*text); !result.empty())
      return std::string(result);
    const Json frame = TRY_IN("answer of chillboxd", parse_json(*text, k_max_control_answer));
    if (!frame.is_object())
      return fail(Code::corrupt, "answer of chillboxd: not an object");
    if (auto last = verdict(frame, error_data))
      return std::move(*last);
    if (const auto event = frame.find("event"); event != frame.end() && on_event)
      on_event(*event);
  }
}

} // namespace chillbox::control
