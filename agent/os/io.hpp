// Bytes into and out of descriptors. The two loops of the program that repeat what a signal
// interrupted or what was done in part; with a deadline they also wait for room or for bytes.
#pragma once

#include "base/encoding.hpp"
#include "base/error.hpp"
#include "base/fd.hpp"
#include "os/deadline.hpp"

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace chillbox::os {

// One read(2): how many bytes came, 0 at the end, -1 with errno. Never EINTR.
ssize_t read_some(int fd, void* out, size_t size);
// Until `size` bytes came or the end: how many, -1 with errno.
ssize_t read_fully(int fd, void* out, size_t size);
// All of `bytes`: 0, or an errno, and then `bytes` is what was not written. SIGPIPE is the
// caller's to ignore.
int write_fully(int fd, std::string_view& bytes);

// To the end. too_large: more than `limit` bytes. `what` begins the messages: "read PATH".
Result<std::string> read_all(int fd, size_t limit, std::string_view what);

// A file without a name that holds `text`, read from its beginning. It never fills, as a pipe does,
// and nobody waits for its end.
Result<Fd> memory_file(std::string_view text = {});

// For sockets, pipes and terminals, with a deadline and without SIGPIPE.
Result<bool> wait_readable(int fd, Deadline deadline); // false: timed out
// All of it. timed_out; unreachable: the other side closed.
Result<void> write_all(int fd, ByteView bytes, Deadline deadline = {});
// Until `out` is full or the other side closed: how many bytes came. timed_out.
Result<size_t> read_up_to(int fd, std::span<uint8_t> out, Deadline deadline = {});
// Exactly out.size() bytes; false: the other side closed before the first. timed_out; corrupt: it
// closed in the middle.
Result<bool> read_exact(int fd, std::span<uint8_t> out, Deadline deadline = {});

} // namespace chillbox::os
