#include "os/file_stamp.hpp"

#include <sys/stat.h>

namespace chillbox::os {

FileStamp FileStamp::of(const std::string& path) {
  constexpr int64_t k_second_ns = 1'000'000'000;
  struct stat st{};
  if (::stat(path.c_str(), &st) != 0)
    return {};
  return {st.st_dev, st.st_ino, static_cast<uint64_t>(st.st_size),
      st.st_ctim.tv_sec * k_second_ns + st.st_ctim.tv_nsec,
      st.st_mtim.tv_sec * k_second_ns + st.st_mtim.tv_nsec};
}

} // namespace chillbox::os
