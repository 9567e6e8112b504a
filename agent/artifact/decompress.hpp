// From an encrypted artifact to the plain bytes of its tar: age payload, then exactly one zstd
// frame, one gzip member, or nothing, told apart by their first bytes. Refused within one buffer:
// more than the limits allow (faults 60), a second frame or member, anything behind the last one, a
// wrong checksum, a cut (faults 59, 61). What comes out before the end is not yet proven whole: the
// caller throws it away when next() fails.
#pragma once

#include "artifact/stager.hpp"
#include "crypto/age.hpp"

#include <cstdint>
#include <memory>
#include <span>

namespace chillbox::artifact {

class Decompressor {
public:
  Decompressor(crypto::PayloadReader payload, const StageLimits& limits);
  ~Decompressor();
  Decompressor(const Decompressor&) = delete;
  Decompressor& operator=(const Decompressor&) = delete;
  // Fills `out` as far as there is something, says how much of it; 0 once the payload's last chunk
  // was verified and the compression ended with it.
  Result<size_t> next(std::span<uint8_t> out);

private:
  class Codec; // zstd, gzip or none
  class Zstd;
  class Gzip;
  class None;
  Result<void> refill();
  Result<void> start();
  Result<void> check_limits() const;

  crypto::PayloadReader m_payload;
  StageLimits m_limits;
  std::unique_ptr<Codec> m_codec;
  ByteView m_input; // compressed, not yet used
  uint64_t m_in = 0, m_out = 0;
  bool m_ended = false; // the payload
};

} // namespace chillbox::artifact
