// How chillboxctl gets a site's logs: chillboxd opens the files, says what each of them is and
// passes its descriptor along. It reads nothing of them, because a site wrote them: who asked does,
// as the user who asked (cli/logs/).
#pragma once

#include "base/error.hpp"
#include "base/fd.hpp"
#include "control/messages.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace chillbox::control {

// An event of the verb log_files. Of a file: right after it comes its descriptor, and then that of
// its marks (os/log_index.hpp), if it has some. Of one log the oldest file comes first.
struct LogNews {
  bool look = false;           // no file: what has been sent so far can be read, or has grown
  std::string service, stream; // of NGINX's: "nginx"
  uint64_t part = 0;           // 0: the one that is written to, 1.. older
  bool marks = false;          // two descriptors
  bool lost = false;           // more was written since the last one than is kept
};

// What `logs --json` prints of a line, and of all of them.
struct LogEntry {
  std::string service, line, stream;
  int64_t time_ms = 0;               // when it was written, 0: not known
  std::optional<std::string> base64; // of the line, if it has what is not printable
};
struct LogEntries {
  std::optional<std::vector<LogEntry>> lines;
};

// The descriptor with one byte over a stream socket, between two frames.
Result<void> send_descriptor(int socket, int fd);
Result<Fd> receive_descriptor(int socket);

} // namespace chillbox::control
