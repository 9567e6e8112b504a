#include "os/log_writer.hpp"

#include "base/text.hpp"
#include "os/io.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

namespace chillbox::os {
namespace {

constexpr uint64_t k_longest_line = 64 * 1024; // a rotation waits for the end of a line, up to this

std::string numbered(const std::string& name, uint32_t number) {
  return cat(name, ".", number);
}

} // namespace

LogWriter::LogWriter(Fd dir, std::string name, uint64_t size, uint32_t keep)
    : m_dir(std::move(dir)), m_name(std::move(name)), m_size(size), m_keep(keep) {}

// Another writer, or somebody by hand, may have renamed or removed what we hold open.
bool LogWriter::open_current() {
  struct stat ours{}, named{};
  if (m_file && ::fstat(m_file.get(), &ours) == 0 &&
      ::fstatat(m_dir.get(), m_name.c_str(), &named, AT_SYMLINK_NOFOLLOW) == 0 &&
      ours.st_ino == named.st_ino && ours.st_dev == named.st_dev)
    return true;
  m_file = Fd(::openat(m_dir.get(), m_name.c_str(),
      O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0640));
  return m_file && ::fstat(m_file.get(), &ours) == 0 && S_ISREG(ours.st_mode);
}

// One at a time: who comes second finds a small file. A log is not worth a sync.
void LogWriter::rotate() {
  if (::flock(m_dir.get(), LOCK_EX) != 0)
    return;
  struct stat named{};
  if (::fstatat(m_dir.get(), m_name.c_str(), &named, AT_SYMLINK_NOFOLLOW) == 0 &&
      static_cast<uint64_t>(named.st_size) >= m_size) {
    if (m_keep == 0)
      ::unlinkat(m_dir.get(), m_name.c_str(), 0);
    for (uint32_t i = m_keep; i-- > 1;)
      ::renameat(
          m_dir.get(), numbered(m_name, i).c_str(), m_dir.get(), numbered(m_name, i + 1).c_str());
    if (m_keep > 0)
      ::renameat(m_dir.get(), m_name.c_str(), m_dir.get(), numbered(m_name, 1).c_str());
  }
  ::flock(m_dir.get(), LOCK_UN);
}

bool LogWriter::put(std::string_view text) {
  std::string_view rest = text;
  const int err = write_fully(m_file.get(), rest);
  const size_t written = text.size() - rest.size();
  if (written > 0)
    m_line_begins = text[written - 1] == '\n';
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
    if (size >= m_size && (m_line_begins || size >= m_size + k_longest_line)) {
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
