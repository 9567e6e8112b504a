// What the tests of this room share: secrets from text, age files in memory, errors as short text.
#pragma once

#include "catch.hpp"

#include "crypto/age.hpp"

#include "base/text.hpp"

#include <algorithm>

namespace chillbox::crypto {

inline SecretBytes secret(std::string_view text) {
  return SecretBytes(bytes_of(text));
}

inline Bytes bytes(std::string_view text) {
  return {text.begin(), text.end()};
}

// "code: message", or "ok": one line to compare or to search.
template <class T> std::string outcome(const Result<T>& result) {
  return result ? "ok" : cat(code_name(result.error().code), ": ", result.error().message);
}

template <class T> bool failed_with(Code code, const Result<T>& result) {
  return !result && result.error().code == code;
}

inline bool contains(std::string_view text, std::string_view part) {
  return text.find(part) != std::string_view::npos;
}

// Bytes that repeat with a period that is no power of two, so that chunks in a wrong order show.
inline Bytes pattern(size_t size) {
  Bytes out(size);
  for (size_t i = 0; i < size; ++i)
    out[i] = static_cast<uint8_t>(i % 251);
  return out;
}

// Hands out at most `step` bytes at a time, as a pipe may.
inline ReadBytes reading(ByteView from, size_t step = SIZE_MAX) {
  return [from, step](std::span<uint8_t> into) mutable -> Result<size_t> {
    const size_t n = std::min({into.size(), from.size(), step});
    std::copy_n(from.data(), n, into.data());
    from = from.subspan(n);
    return n;
  };
}

inline WriteBytes appending(Bytes& to) {
  return [&to](ByteView more) -> Result<void> {
    to.insert(to.end(), more.begin(), more.end());
    return {};
  };
}

inline Bytes encrypted(ByteView plain, const std::vector<std::string>& recipients) {
  Bytes out;
  AgeWriter writer = AgeWriter::to_recipients(recipients, appending(out)).value();
  REQUIRE(writer.write(plain));
  REQUIRE(writer.finish());
  return out;
}

// What a reader released, and how it ended.
struct Released {
  Bytes plain;
  Result<void> end;
};

inline Released release(PayloadReader reader) {
  Released out;
  for (;;) {
    const auto part = reader.next();
    if (!part) {
      out.end = std::unexpected(part.error());
      return out;
    }
    if (part->empty())
      return out;
    out.plain.insert(out.plain.end(), part->begin(), part->end());
  }
}

} // namespace chillbox::crypto
