// stage: what the stager does with an artifact, in this process and without its confinement, and
// how long it took.
//
//   stage IDENTITY ARTIFACT DIR    decrypts, decompresses and unpacks into the empty DIR
//   stage IDENTITY ARTIFACT        decrypts only, to nowhere
//
// Prints the seconds. The figure is of the streaming pass: the identity is read and the file key
// unwrapped before the clock starts.
#include "artifact/stager.hpp"
#include "base/fd.hpp"
#include "base/text.hpp"
#include "crypto/age.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstdio>
#include <fstream>
#include <iterator>

using namespace chillbox;

namespace {

Result<Fd> open_at(const char* path, int flags) {
  Fd fd(::open(path, flags | O_CLOEXEC));
  if (!fd)
    return fail_errno(cat("open ", path), errno);
  return fd;
}

Result<void> run(int argc, char** argv) {
  std::ifstream in(argv[1]);
  const std::string text(std::istreambuf_iterator<char>(in), {});
  const auto identity = TRY(crypto::parse_identity_file(text));
  const Fd artifact = TRY(open_at(argv[2], O_RDONLY));
  Bytes start(crypto::k_max_age_header);
  start.resize(static_cast<size_t>(
      std::max<ssize_t>(0, ::pread(artifact.get(), start.data(), start.size(), 0))));
  const auto header = TRY(crypto::parse_age_header(start));
  const auto file_key = TRY(identity.file_key(header));
  Fd tree;
  if (argc > 3)
    tree = TRY(open_at(argv[3], O_RDONLY | O_DIRECTORY));
  ::umask(022);
  const auto begun = std::chrono::steady_clock::now();
  if (tree) {
    (void)TRY(artifact::unpack(artifact.get(), file_key, tree.get(),
        {.bytes = 8ULL << 30, .entries = 200'000, .ratio = 1'000'000}));
  } else {
    crypto::PayloadReader reader(file_key,
        [fd = artifact.get(), at = off_t(header.size)](
            std::span<uint8_t> out) mutable -> Result<size_t> {
          const ssize_t n = ::pread(fd, out.data(), out.size(), at);
          if (n < 0)
            return fail_errno("read", errno);
          at += n;
          return static_cast<size_t>(n);
        });
    while (!TRY(reader.next()).empty())
      continue;
  }
  std::printf(
      "%.3f\n", std::chrono::duration<double>(std::chrono::steady_clock::now() - begun).count());
  return {};
}

} // namespace

int main(int argc, char** argv) {
  init_crypto();
  if (argc < 3) {
    std::fprintf(stderr, "usage: stage IDENTITY ARTIFACT [DIR]\n");
    return 2;
  }
  if (const auto done = run(argc, argv); !done) {
    std::fprintf(stderr, "stage: %s\n", done.error().message.c_str());
    return 1;
  }
}
