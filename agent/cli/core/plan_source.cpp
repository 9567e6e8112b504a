#include "cli/core/plan_source.hpp"

#include "artifact/signature.hpp"
#include "base/names.hpp"
#include "base/text.hpp"
#include "cli/core/file_input.hpp"
#include "os/io.hpp"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include <cerrno>

namespace chillbox::cli {
namespace {

constexpr size_t k_max_plan_signature = 10 * 1024;

bool is_file(const std::string& text) {
  return text.find_first_of("./") != std::string::npos;
}

Result<Fd> open_file(const std::string& path) {
  Fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd)
    return fail_errno(printable(path, 1024), errno);
  return fd;
}

// It reads byte by byte: what follows the signature is for another reader.
Result<std::string> read_signature(int fd) {
  std::string text;
  while (!artifact::is_whole_signature(text)) {
    char c = 0;
    if (os::read_some(fd, &c, 1) <= 0 || text.size() >= k_max_plan_signature)
      return fail(Code::invalid,
          "standard input: must be the signature and then the artifact: cat FILE.minisig FILE");
    text += c;
  }
  return text;
}

Result<void> copy_all(int from, int to) {
  std::string chunk(256 * 1024, '\0');
  for (;;) {
    const ssize_t n = os::read_fully(from, chunk.data(), chunk.size());
    if (n < 0)
      return fail_errno("read the artifact", errno);
    if (n == 0)
      return {};
    std::string_view rest(chunk.data(), static_cast<size_t>(n));
    if (const int err = os::write_fully(to, rest); err != 0)
      return fail_errno("copy the artifact", err);
  }
}

} // namespace

Result<PlanSource> plan_source(const std::string& text) {
  PlanSource source;
  if (text == "-") {
    const std::string signature = TRY(read_signature(STDIN_FILENO));
    source.args.signature = signature;
    source.body = Fd(::dup(STDIN_FILENO));
  } else if (Digest::parse(text)) {
    source.args.sha256 = text;
  } else if (is_file(text)) {
    const std::string signature = TRY(read_input(text + ".minisig", k_max_plan_signature));
    source.args.signature = signature;
    source.body = TRY(open_file(text));
  } else {
    const auto site = SiteName::parse(text);
    if (!site)
      return fail(Code::usage,
          cat(site.error().message, "; a file is written with a slash: ./", printable(text, 100)));
    source.args.site = text;
  }
  return source;
}

Result<std::optional<Fd>> plan_stream(const std::string& text) {
  if (text == "-" || Digest::parse(text) || !is_file(text))
    return std::optional<Fd>();
  const std::string signature = TRY(read_input(text + ".minisig", k_max_plan_signature));
  const Fd artifact = TRY(open_file(text));
  std::string path = "/tmp/chillbox-plan.XXXXXX"; // its content is encrypted and signed, and it
                                                  // loses its name at once
  Fd both(::mkostemp(path.data(), O_CLOEXEC));
  if (!both || ::unlink(path.c_str()) != 0 ||
      ::write(both.get(), signature.data(), signature.size()) !=
          static_cast<ssize_t>(signature.size()))
    return fail_errno(cat("make ", path), errno);
  TRY(copy_all(artifact.get(), both.get()));
  if (::lseek(both.get(), 0, SEEK_SET) != 0)
    return fail_errno("rewind", errno);
  return std::optional<Fd>(std::move(both));
}

} // namespace chillbox::cli
