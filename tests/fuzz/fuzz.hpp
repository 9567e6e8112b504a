// What the fuzz targets share. A target says with claim() what must hold for every input, so that
// it finds more than crashes: a claim that does not hold ends the process, and libFuzzer keeps the
// input.
#pragma once

#include "base/error.hpp"
#include "base/log.hpp"
#include "base/secret.hpp"

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);
extern "C" size_t LLVMFuzzerMutate(uint8_t* data, size_t size, size_t max_size);

namespace chillbox::fuzz {

inline void claim(bool holds, const char* what) {
  if (holds)
    return;
  std::fprintf(stderr, "fuzz: this does not hold: %s\n", what);
  std::abort();
}

template <class T> T must(Result<T>&& r, const char* what) {
  if (!r)
    std::fprintf(stderr, "fuzz: %s\n", r.error().message.c_str());
  claim(r.has_value(), what);
  if constexpr (!std::is_void_v<T>)
    return std::move(*r);
}

inline std::string_view text(const uint8_t* data, size_t size) {
  return {reinterpret_cast<const char*>(data), size};
}

// A message is one line that can be shown on a terminal, whatever it is about.
inline void claim_printable(const Error& error) {
  claim(!error.message.empty(), "an error says something");
  for (const char c : error.message)
    claim(c != '\r' && c != '\x1b' && c != '\0', "no control characters in a message");
}

// Takes pieces off the front of an input.
struct Input {
  const uint8_t* data;
  size_t size;

  uint64_t number(size_t bytes) {
    uint64_t n = 0;
    for (; bytes > 0 && size > 0; --bytes, ++data, --size)
      n = n << 8 | *data;
    return n;
  }
  // Up to the next `end`, which is taken too; all when there is none.
  std::string_view until(char end) {
    const std::string_view all = rest();
    const auto at = all.find(end);
    const std::string_view piece = all.substr(0, at);
    const size_t taken = at == std::string_view::npos ? size : at + 1;
    data += taken;
    size -= taken;
    return piece;
  }
  std::string_view rest() const { return text(data, size); }
};

} // namespace chillbox::fuzz
