#include "os/log_writer.hpp"

#include "base/text.hpp"
#include "os/io.hpp"
#include "os/log_index.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <ctime>
#include <utility>

namespace chillbox::os {
namespace {

constexpr uint64_t k_longest_line = 64 * 1024; // a rotation waits for the end of a line, up to this
// What is written within this time of a mark has none of its own.
constexpr int64_t k_mark_again_ms = 250;
// Marks of more than this part of a log's size are as good as a full log: two writers that write a
// byte in turn need a mark for each.
constexpr uint64_t k_marks_part = 4;
constexpr int k_to_append = O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC;

std::string numbered_name(const std::string& name, uint32_t number) {
  return number == 0 ? name : cat(name, ".", number);
}

std::string marks_of(const std::string& log) {
  return cat(log, k_log_marks);
}

int64_t now_ms() {
  timespec now{};
  ::clock_gettime(CLOCK_REALTIME, &now);
  return int64_t{now.tv_sec} * 1000 + now.tv_nsec / 1'000'000;
}

uint64_t size_at(const Fd& dir, const std::string& name) {
  struct stat st{};
  return ::fstatat(dir.get(), name.c_str(), &st, AT_SYMLINK_NOFOLLOW) == 0
      ? static_cast<uint64_t>(st.st_size)
      : 0;
}

} // namespace

LogWriter::LogWriter(Fd dir, std::string name, uint64_t size, uint32_t keep, uint32_t release)
    : m_dir(std::move(dir)), m_name(std::move(name)), m_size(size), m_keep(keep),
      m_release(release) {}

bool LogWriter::full(uint64_t size, uint64_t marks) const {
  return m_size != 0 && (size >= m_size || marks >= m_size / k_marks_part);
}

// Another writer, or somebody by hand, may have renamed or removed what we hold open.
bool LogWriter::open_current() {
  struct stat ours{}, named{};
  if (m_file && ::fstat(m_file.get(), &ours) == 0 &&
      ::fstatat(m_dir.get(), m_name.c_str(), &named, AT_SYMLINK_NOFOLLOW) == 0 &&
      ours.st_ino == named.st_ino && ours.st_dev == named.st_dev)
    return true;
  m_file = Fd(::openat(m_dir.get(), m_name.c_str(), k_to_append, 0640));
  if (!m_file || ::fstat(m_file.get(), &ours) != 0 || !S_ISREG(ours.st_mode))
    return false;
  // Marks of an empty file are of another one that had this name.
  m_marks = Fd(::openat(m_dir.get(), marks_of(m_name).c_str(),
      k_to_append | (ours.st_size == 0 ? O_TRUNC : 0), 0640));
  m_marks_size = size_at(m_dir, marks_of(m_name));
  m_marked_ms = 0;
  m_end = static_cast<uint64_t>(ours.st_size);
  return true;
}

// After a write, because only then is known where it went, with several writers.
void LogWriter::mark(uint64_t written) {
  const off_t at = ::lseek(m_file.get(), 0, SEEK_CUR);
  if (at < 0 || !m_marks)
    return;
  const uint64_t end = static_cast<uint64_t>(at), begin = end - written, before = m_end;
  const int64_t now = now_ms();
  m_end = end;
  if (begin == before && m_marked_ms != 0 && now >= m_marked_ms &&
      now - m_marked_ms < k_mark_again_ms)
    return;
  if (end < before) { // somebody cut the log
    m_marks = Fd(::openat(m_dir.get(), marks_of(m_name).c_str(), k_to_append | O_TRUNC, 0640));
    m_marks_size = 0;
  }
  if (full(0, m_marks_size))
    return; // in the middle of a line that does not end
  m_marked_ms = now;
  const auto bytes = encode({begin, now, m_release});
  std::string_view rest(bytes.data(), bytes.size());
  (void)write_fully(m_marks.get(), rest); // no room: the line is more worth than its time
  m_marks_size = static_cast<uint64_t>(std::max<off_t>(::lseek(m_marks.get(), 0, SEEK_CUR), 0));
}

// One at a time: who comes second finds a small file. A log is not worth a sync.
void LogWriter::rotate() {
  if (::flock(m_dir.get(), LOCK_EX) != 0)
    return;
  if (full(size_at(m_dir, m_name), size_at(m_dir, marks_of(m_name)))) {
    if (m_keep == 0)
      for (const auto& name : {m_name, marks_of(m_name)})
        ::unlinkat(m_dir.get(), name.c_str(), 0);
    for (uint32_t i = m_keep; i-- > 0;) {
      const std::string from = numbered_name(m_name, i), to = numbered_name(m_name, i + 1);
      ::unlinkat(m_dir.get(), marks_of(to).c_str(), 0); // a log of before may have none
      ::renameat(m_dir.get(), from.c_str(), m_dir.get(), to.c_str());
      ::renameat(m_dir.get(), marks_of(from).c_str(), m_dir.get(), marks_of(to).c_str());
    }
  }
  ::flock(m_dir.get(), LOCK_UN);
}

bool LogWriter::put(std::string_view text) {
  std::string_view rest = text;
  const int err = write_fully(m_file.get(), rest);
  const size_t written = text.size() - rest.size();
  if (written > 0) {
    m_line_begins = text[written - 1] == '\n';
    mark(written);
  }
  m_dropped += rest.size();
  return err == 0;
}

void LogWriter::tell_dropped() {
  const uint64_t dropped = std::exchange(m_dropped, 0);
  if (!put(cat(m_line_begins ? "" : "\n", "chillbox: there was no room for ", dropped,
          " bytes that came here\n")))
    m_dropped = dropped;
}

void LogWriter::append(std::string_view text) {
  struct stat st{};
  bool open = open_current();
  if (open && m_size != 0 && ::fstat(m_file.get(), &st) == 0) {
    const auto size = static_cast<uint64_t>(st.st_size);
    if (full(size, m_marks_size) && (m_line_begins || size >= m_size + k_longest_line)) {
      rotate();
      open = open_current();
    }
  }
  if (!open) {
    m_dropped += text.size();
    return;
  }
  if (m_dropped > 0)
    tell_dropped();
  if (m_dropped > 0)
    m_dropped += text.size();
  else
    (void)put(text);
}

} // namespace chillbox::os
