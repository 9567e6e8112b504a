// A file that appears whole or not at all, also after a power cut. It is written under a temporary
// name next to its place
// (".NAME.tmp.XXXXXXXX", mode 0600); commit() syncs the file, renames it, and syncs the directory,
// in this order, because a name that reaches the disk before its bytes is an empty file after a
// crash. Destroyed without commit(): the temporary file is removed. A failed sync is final: the
// kernel may have dropped the pages, so nothing retries it (faults 91).
#pragma once

#include "base/error.hpp"
#include "base/fd.hpp"
#include "os/disk.hpp"

#include <string>
#include <string_view>

namespace chillbox::os {

class AtomicFile {
public:
  // Not root: `owner` is left out, since only root can give files away.
  static Result<AtomicFile> create(const std::string& path, mode_t mode, Owner owner = {});
  AtomicFile(AtomicFile&& other) noexcept;
  AtomicFile& operator=(AtomicFile&&) = delete;
  ~AtomicFile();

  int fd() const {
    return m_file.get();
  } // for writers that bring their own loop (hash while copying)
  Result<void> write(std::string_view bytes);
  Result<void> commit();

private:
  AtomicFile() = default;
  std::string m_path;
  std::string m_temporary; // a name in m_dir; empty once published
  Fd m_dir;
  Fd m_file;
};

} // namespace chillbox::os
