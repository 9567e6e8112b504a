#include "artifact/age_input.hpp"

#include <unistd.h>

#include <algorithm>
#include <cerrno>

namespace chillbox::artifact {
namespace {

crypto::ReadBytes file_source(int fd) {
  return [fd, at = off_t{0}](std::span<uint8_t> out) mutable -> Result<size_t> {
    for (;;) {
      const ssize_t n = pread(fd, out.data(), out.size(), at);
      if (n < 0 && errno == EINTR)
        continue;
      if (n < 0)
        return fail_errno("read the artifact", errno);
      at += n;
      return static_cast<size_t>(n);
    }
  };
}

// What was read with the header first.
crypto::ReadBytes continuing(Bytes held, crypto::ReadBytes source) {
  return [held = std::move(held), given = size_t{0}, source = std::move(source)](
             std::span<uint8_t> out) mutable -> Result<size_t> {
    if (given == held.size())
      return source(out);
    const size_t n = std::min(out.size(), held.size() - given);
    std::copy_n(held.begin() + static_cast<ptrdiff_t>(given), n, out.begin());
    given += n;
    return n;
  };
}

} // namespace

Result<AgeInput> open_age(int fd) {
  auto source = crypto::unarmored(file_source(fd));
  Bytes start(crypto::k_max_age_header);
  start.resize(TRY(crypto::read_full(source, start)));
  auto header = TRY(crypto::parse_age_header(start));
  const auto payload = start.begin() + static_cast<ptrdiff_t>(header.size);
  std::string text(start.begin(), payload);
  return AgeInput{std::move(header), std::move(text),
      continuing(Bytes(payload, start.end()), std::move(source))};
}

} // namespace chillbox::artifact
