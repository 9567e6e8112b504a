// The control socket: length-prefixed JSON frames (32 bits, little endian, at most 1 MiB, a result
// at most 16) over a stream socket.
//
//   client: {"v":1,"verb":"rollback","args":{...}}     then, for verbs that take a secret, one raw
//   frame with its bytes; for a
//           plan of an artifact, raw frames with its bytes and an empty one
//   daemon: {"event":{...}} any number of times, then exactly one of
//           {"result":{"schema":"chillbox.VERB.v1",...}}  or
//           {"error":{"code":"not_found","message":"...","data":{...}}}
//
// Another version in the first frame is answered with an error that names both.
#pragma once

#include "base/error.hpp"
#include "base/secret.hpp"
#include "control/json.hpp"
#include "control/messages.hpp"

#include <chrono>
#include <functional>
#include <string>

namespace chillbox::control {

inline constexpr int k_control_version = 1;
inline constexpr size_t k_max_control_frame = 1024 * 1024;
inline constexpr size_t k_max_control_answer = 16 * k_max_control_frame; // the daemon's result

// Raw frames on a descriptor, blocking or not. Errors of reading: timed_out, too_large (nothing of
// it is read), corrupt (cut off), not_found: the other side closed between frames. Of writing:
// timed_out (the other side stopped reading), unreachable (it closed). A timeout is for the whole
// frame; negative waits for ever.
inline constexpr std::chrono::milliseconds k_write_timeout{30'000};
Result<void> write_frame(
    int fd, std::string_view bytes, std::chrono::milliseconds timeout = k_write_timeout);
Result<std::string> read_frame(
    int fd, std::chrono::milliseconds timeout, size_t limit = k_max_control_frame);
// The last frame of the daemon: a result that is too large is an error that says so.
Result<void> write_result(int fd, std::string_view text);
Result<void> write_secret_frame(int fd, const SecretBytes& secret);
Result<SecretBytes> read_secret_frame(
    int fd, std::chrono::milliseconds timeout, size_t limit = 4096);

struct Request {
  std::string verb;
  Arguments args;
};
// The first frame of a client. invalid: another version, no verb, arguments that are no object.
// `upgrade` is taken in every version, because a newer chillboxctl must be able to bring its own
// daemon up: that verb and its answer never change. Members that are not known are ignored.
Result<Request> parse_request(std::string_view text);
std::string request_text(std::string_view verb, const Arguments& args);
std::string event_text(const Json& event);
std::string result_text(std::string_view answer); // answer_text(), an object
std::string error_text(const Error& error);

// The client's side of one exchange: sends, calls on_event for each event, returns the result
// object or the daemon's error. body: a descriptor that is read to its end and sent as write_body()
// does. timeout: for each frame; negative waits for ever. error_data: what an error carries besides
// code and message.
Result<std::string> call(int fd, std::string_view verb, const Arguments& args,
    const SecretBytes* secret, const std::function<void(const Json&)>& on_event,
    std::chrono::milliseconds timeout, ErrorData* error_data = nullptr, int body = -1);

// What follows a request that has a body: raw frames, then an empty one. The daemon's side stops
// at its own limit.
Result<void> write_body(int fd, int from);

} // namespace chillbox::control
