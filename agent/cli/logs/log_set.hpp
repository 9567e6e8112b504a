// The logs of a site, one after the other or merged by time: each is a chain of files, of which the
// newest grows. A log keeps the order that it has, whatever its times say.
#pragma once

#include "base/error.hpp"
#include "cli/core/period.hpp"
#include "cli/logs/line_pattern.hpp"
#include "cli/logs/log_file.hpp"

#include <deque>
#include <functional>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace chillbox::cli {

struct LogWish {
  Period period = {};
  std::optional<uint64_t> lines = {}; // the newest ones of all logs together; nullopt: all
  std::optional<LinePattern> pattern = {};
  bool invert = false;                             // lines that do not match
  std::optional<std::set<uint32_t>> releases = {}; // only of these, by their N
};

struct LogSource {
  std::string service, stream;
};
using LogSink = std::function<void(const LogSource&, const LogText&)>;

class LogSet {
public:
  explicit LogSet(LogWish wish) : m_wish(std::move(wish)) {}

  // The next newer file of this log.
  void add(const LogSource& source, LogFile file);
  // Whether it is one of this log's.
  bool has(const LogSource& source, const Fd& file) const;
  // Lines that come from elsewhere, in their order.
  void add(const LogSource& source, std::deque<LogText> lines);
  // What is wanted of what there is; merged.
  Result<void> read(const LogSink& sink);
  // What has come since.
  Result<void> read_on(const LogSink& sink);
  // Logs of which it is not known when all of their lines were written, with the time from when on
  // it is.
  std::vector<std::pair<LogSource, int64_t>> partly_known() const;
  uint64_t bytes_read() const;

private:
  struct Chain {
    LogSource source;
    std::deque<LogFile> files;
    std::deque<LogText> lines;
    size_t at = 0; // the file that is read
    std::optional<LogText> head;
    int64_t key = 0; // of head, for the merge: never less than the one before
  };
  Chain& chain_of(const LogSource& source);
  Result<void> select(Chain& chain);
  Result<std::optional<LogText>> next(Chain& chain);
  Result<void> advance(Chain& chain);
  bool is_wanted(const LogText& line) const;

  LogWish m_wish;
  std::deque<Chain> m_chains;
};

} // namespace chillbox::cli
