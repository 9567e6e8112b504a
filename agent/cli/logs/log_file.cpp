#include "cli/logs/log_file.hpp"

#include "cli/logs/line_time.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <utility>

namespace chillbox::cli {
namespace {

constexpr size_t k_block = 64 * 1024;
// A line's own time counts if it is that near to when it was written: another zone, or a line that
// is about some other day, is not.
constexpr int64_t k_own_time_ms = 300'000;

} // namespace

LogFile::LogFile(Fd text, Fd marks) : m_text(std::move(text)), m_marks_file(std::move(marks)) {}

uint64_t LogFile::size() const {
  struct stat st{};
  return ::fstat(m_text.get(), &st) == 0 ? static_cast<uint64_t>(st.st_size) : 0;
}

bool LogFile::is(const Fd& file) const {
  struct stat mine{}, other{};
  return ::fstat(m_text.get(), &mine) == 0 && ::fstat(file.get(), &other) == 0 &&
      mine.st_dev == other.st_dev && mine.st_ino == other.st_ino;
}

Result<std::string> LogFile::read_at(uint64_t offset, size_t most) {
  std::string bytes(most, '\0');
  ssize_t n = 0;
  while ((n = ::pread(m_text.get(), bytes.data(), most, static_cast<off_t>(offset))) < 0 &&
      errno == EINTR) {}
  if (n < 0)
    return fail_errno("read a log", errno);
  bytes.resize(static_cast<size_t>(n));
  m_read += bytes.size();
  return bytes;
}

// Marks come after what they are about, so those of what is in the buffer are there.
Result<void> LogFile::load_marks() {
  if (!m_marks_file)
    return {};
  const uint64_t whole = size();
  std::string bytes(k_block / os::k_log_mark * os::k_log_mark, '\0');
  for (;;) {
    const ssize_t n =
        ::pread(m_marks_file.get(), bytes.data(), bytes.size(), static_cast<off_t>(m_marks_to));
    if (n < 0 && errno == EINTR)
      continue;
    if (n < static_cast<ssize_t>(os::k_log_mark))
      break;
    const size_t take = static_cast<size_t>(n) / os::k_log_mark * os::k_log_mark;
    m_marks_to += take;
    m_read += take;
    const auto more = os::decode_marks(std::string_view(bytes).substr(0, take), whole);
    m_marks.insert(m_marks.end(), more.begin(), more.end());
  }
  const auto before = [](const auto& a, const auto& b) { return a.offset < b.offset; };
  if (!std::is_sorted(m_marks.begin(), m_marks.end(), before))
    std::sort(m_marks.begin(), m_marks.end(), before);
  return {};
}

int64_t LogFile::known_from_ms() const {
  return m_marks.empty() || m_marks.front().offset == 0 ? 0 : m_marks.front().ms;
}

void LogFile::go_to(uint64_t offset) {
  m_at = offset;
  m_buffer.clear();
  m_taken = 0;
  m_skip = false;
}

// A clock that was set back makes times fall: from the first mark that may matter to the last one.
Result<void> LogFile::select_by_marks(int64_t since_ms, int64_t until_ms) {
  size_t first = 0;
  while (first < m_marks.size() && m_marks[first].ms < since_ms)
    ++first;
  if (since_ms > 0) {
    go_to(m_marks[first > 0 ? first - 1 : 0].offset); // up to the next mark it may have come later
    if (m_at > 0 && TRY(read_at(m_at - 1, 1)) != "\n")
      m_skip = true; // a line that began before
  }
  size_t last = m_marks.size();
  while (last > 0 && m_marks[last - 1].ms > until_ms)
    --last;
  if (last < m_marks.size())
    m_end = m_marks[last].offset;
  return {};
}

// By the lines' own times, which NGINX's have.
Result<void> LogFile::bisect(int64_t since_ms) {
  uint64_t low = 0, high = size();
  bool any = false;
  // The first line with a time in the block at `from`, and where it begins.
  const auto probe = [&](uint64_t from) -> Result<std::optional<std::pair<uint64_t, int64_t>>> {
    const std::string block = TRY(read_at(from, k_block));
    size_t at = from == 0 ? 0 : block.find('\n') + 1;
    for (; at != 0 || from == 0; at = block.find('\n', at) + 1) {
      const auto end = block.find('\n', at);
      if (end == std::string::npos)
        break;
      if (const auto ms = time_of_line(std::string_view(block).substr(at, end - at), since_ms))
        return std::pair{from + at, *ms};
      if (end + 1 >= block.size())
        break;
    }
    return std::optional<std::pair<uint64_t, int64_t>>();
  };
  while (high - low > k_block) {
    const uint64_t middle = low + (high - low) / 2;
    const auto found = TRY(probe(middle));
    any = any || found;
    if (found && found->second < since_ms)
      low = found->first;
    else
      high = middle;
  }
  any = any || TRY(probe(low));
  go_to(any ? low : size());
  return {};
}

Result<void> LogFile::select(int64_t since_ms, int64_t until_ms) {
  TRY(load_marks());
  if (!m_marks.empty())
    return select_by_marks(since_ms, until_ms);
  return since_ms > 0 ? bisect(since_ms) : Result<void>{};
}

Result<uint64_t> LogFile::seek_last(uint64_t lines) {
  uint64_t at = size(), found = 0;
  go_to(0);
  while (at > 0) {
    const uint64_t from = at > k_block ? at - k_block : 0;
    const std::string block = TRY(read_at(from, static_cast<size_t>(at - from)));
    for (size_t i = block.size(); i-- > 0;) {
      if (block[i] != '\n')
        continue;
      if (found == lines) {
        go_to(from + i + 1);
        return found;
      }
      ++found;
    }
    at = from;
  }
  return found;
}

LogText LogFile::line_of(std::string text, uint64_t offset, bool cut) {
  LogText line{.text = std::move(text), .cut = cut};
  const auto after = std::ranges::upper_bound(m_marks, offset, {}, &os::LogMark::offset);
  const os::LogMark* mark = after == m_marks.begin() ? nullptr : &*(after - 1);
  if (mark != nullptr) {
    line.ms = mark->ms;
    line.release = mark->release;
  }
  const auto own = time_of_line(line.text, mark != nullptr ? mark->ms : m_last_ms);
  if (own && (mark == nullptr || std::llabs(*own - mark->ms) <= k_own_time_ms)) {
    line.ms = *own;
    line.own_time = true;
  }
  if (m_marks.empty()) // of what belongs to a line: a traceback
    line.ms = m_last_ms = line.own_time ? line.ms : m_last_ms;
  return line;
}

Result<size_t> LogFile::read_on() {
  m_buffer.erase(0, m_taken);
  m_taken = 0;
  const std::string more = TRY(read_at(m_at + m_buffer.size(), k_block));
  m_buffer += more;
  if (!more.empty())
    TRY(load_marks());
  return more.size();
}

// A piece of a line as long as may be shown, or what is left of a longer one up to its end.
std::string LogFile::take(size_t length) {
  std::string text = m_buffer.substr(m_taken, length);
  m_taken += length;
  m_at += length;
  return text;
}

Result<std::optional<LogText>> LogFile::next(bool to_the_end) {
  while (m_at < m_end) {
    const auto end = m_buffer.find('\n', m_taken);
    const bool whole = end != std::string::npos;
    const size_t length = (whole ? end : m_buffer.size()) - m_taken;
    if (m_skip) {
      (void)take(length + (whole ? 1 : 0));
      m_skip = !whole;
      if (whole || TRY(read_on()) > 0)
        continue;
      break;
    }
    const uint64_t offset = m_at;
    if (length >= k_longest_line) {
      m_skip = true;
      return line_of(take(k_longest_line), offset, true);
    }
    if (!whole && TRY(read_on()) > 0)
      continue;
    if (!whole && (!to_the_end || length == 0))
      break;
    std::string text = take(length);
    if (whole)
      (void)take(1);
    return line_of(std::move(text), offset, false);
  }
  return std::optional<LogText>();
}

} // namespace chillbox::cli
