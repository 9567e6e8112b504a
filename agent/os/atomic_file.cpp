#include "os/atomic_file.hpp"

#include "os/files.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>

namespace chillbox::os {

Result<AtomicFile> AtomicFile::create(const std::string& path, mode_t mode, Owner owner) {
  AtomicFile file;
  file.m_path = path;
  const std::string dir = parent_of(path);
  file.m_dir = Fd(::open(dir.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!file.m_dir)
    return fail_io("open directory", dir, errno);
  std::string name = temporary_name(base_of(path));
  file.m_file = Fd(::openat(
      file.m_dir.get(), name.c_str(), O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (!file.m_file)
    return fail_io("create", path, errno);
  file.m_temporary = std::move(name); // from here on it is ours to remove
  TRY(set_owner_and_mode(file.m_file.get(), owner, mode, path));
  return file;
}

AtomicFile::AtomicFile(AtomicFile&& other) noexcept
    : m_path(std::move(other.m_path)), m_temporary(std::exchange(other.m_temporary, {})),
      m_dir(std::move(other.m_dir)), m_file(std::move(other.m_file)) {}

AtomicFile::~AtomicFile() {
  if (!m_temporary.empty())
    ::unlinkat(m_dir.get(), m_temporary.c_str(), 0);
}

Result<void> AtomicFile::write(std::string_view bytes) {
  return write_file(m_file.get(), bytes, m_path);
}

Result<void> AtomicFile::commit() {
  // The bytes before the name: see the header.
  TRY(sync_file(m_file.get(), m_path));
  if (::renameat(m_dir.get(), m_temporary.c_str(), m_dir.get(), base_of(m_path).c_str()) != 0)
    return fail_io("rename to", m_path, errno);
  m_temporary.clear();
  // The name before we say so.
  return sync_names(m_dir.get(), parent_of(m_path));
}

} // namespace chillbox::os
