#include "cli/core/secret_output.hpp"

#include "base/text.hpp"
#include "os/io.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

namespace chillbox::cli {

Result<SecretOutput> SecretOutput::create(const std::string& path) {
  Fd file(::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (!file && errno == EEXIST)
    return fail(
        Code::conflict, cat(printable(path, 1024), " already exists and is not overwritten"));
  if (!file)
    return fail_errno(cat("make ", printable(path, 1024)), errno);
  return SecretOutput(path, std::move(file));
}

SecretOutput::~SecretOutput() {
  if (!m_path.empty())
    ::unlink(m_path.c_str());
}

Result<void> SecretOutput::write(std::string_view text) {
  return os::write_all(m_file.get(), bytes_of(text));
}

Result<void> SecretOutput::commit() {
  if (::fsync(m_file.get()) != 0)
    return fail_errno(cat("write ", printable(m_path, 1024)), errno);
  m_path.clear();
  return {};
}

Result<bool> SecretOutput::empty() const {
  struct stat st{};
  if (::fstat(m_file.get(), &st) != 0)
    return fail_errno(cat("read ", printable(m_path, 1024)), errno);
  return st.st_size == 0;
}

} // namespace chillbox::cli
