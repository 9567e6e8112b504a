#include "os/open_log.hpp"

#include "base/text.hpp"
#include "os/files.hpp"
#include "os/log_index.hpp"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>

namespace chillbox::os {
namespace {

uint64_t read_u64(const char* bytes) {
  uint64_t value = 0;
  for (unsigned i = 8; i-- > 0;)
    value = value << 8 | static_cast<unsigned char>(bytes[i]);
  return value;
}

Fd open_to_read(const std::string& path) {
  return Fd(::open(path.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
}

} // namespace

std::vector<LogMark> decode_marks(std::string_view bytes, uint64_t size) {
  std::vector<LogMark> marks;
  marks.reserve(bytes.size() / k_log_mark);
  for (; bytes.size() >= k_log_mark; bytes.remove_prefix(k_log_mark)) {
    const uint64_t offset = read_u64(bytes.data()), rest = read_u64(bytes.data() + 8);
    if (offset < size)
      marks.push_back({offset, static_cast<int64_t>(rest & k_log_time_mask),
          static_cast<uint32_t>(rest >> k_log_time_bits)});
  }
  std::ranges::stable_sort(marks, {}, &LogMark::offset); // two writers may pass each other
  return marks;
}

Result<OpenLog> open_log(const std::string& path) {
  OpenLog log{.text = open_to_read(path), .marks = {}};
  struct stat st{};
  if (!log.text || ::fstat(log.text.get(), &st) != 0)
    return fail_io("open", path, errno);
  if (!S_ISREG(st.st_mode))
    return fail(Code::denied, cat(path, ": it is no regular file"));
  log.inode = st.st_ino;
  log.size = static_cast<uint64_t>(st.st_size);
  log.written_ms = int64_t{st.st_mtim.tv_sec} * 1000 + st.st_mtim.tv_nsec / 1'000'000;
  log.marks = open_to_read(cat(path, k_log_marks));
  if (log.marks && (::fstat(log.marks.get(), &st) != 0 || !S_ISREG(st.st_mode)))
    log.marks = Fd();
  return log;
}

} // namespace chillbox::os
