#include "cli/core/file_input.hpp"

#include "base/fd.hpp"
#include "base/text.hpp"
#include "os/io.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>

namespace chillbox::cli {

Result<SecretBytes> read_secret_input(const std::string& path, size_t limit) {
  const bool standard = path == "-";
  const std::string name = standard ? "standard input" : printable(path, 1024);
  const Fd opened(standard ? ::dup(STDIN_FILENO) : ::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!opened)
    return fail_errno(cat("read ", name), errno);
  SecretBytes bytes(limit + 1);
  const ssize_t have = os::read_fully(opened.get(), bytes.data(), bytes.size());
  if (have < 0)
    return fail_errno(cat("read ", name), errno);
  if (static_cast<size_t>(have) <= limit) {
    bytes.truncate(static_cast<size_t>(have));
    return bytes;
  }
  return fail(Code::too_large, cat("read ", name, ": more than the limit of ", limit, " bytes"));
}

Result<std::string> read_input(const std::string& path, size_t limit) {
  return std::string(TRY(read_secret_input(path, limit)).text());
}

Result<std::string> read_text(const std::string& path, size_t limit) {
  const std::string text = TRY(read_input(path, limit));
  if (const auto why = utf16_problem(text); !why.empty())
    return fail(Code::invalid, cat(printable(path, 1024), ": ", why));
  if (text.contains('\0'))
    return fail(Code::invalid, cat(printable(path, 1024), ": it has a NUL byte, so it is no text"));
  return std::string(without_byte_order_mark(text));
}

std::vector<std::string_view> content_lines(std::string_view text) {
  std::vector<std::string_view> lines;
  for (auto line : split(text, '\n')) {
    line = trim(line);
    if (!line.empty() && !line.starts_with('#'))
      lines.push_back(line);
  }
  return lines;
}

} // namespace chillbox::cli
