// Turns an encrypted artifact into the bytes of its tar: an age payload, in it exactly one zstd
// frame, one gzip member, or no compression, which their first bytes decide. Refused within one
// buffer: more than the limits allow (faults 60), a second frame or member, anything after the last
// one, a wrong checksum, a cut (faults 59, 61). The bytes are proven whole only at the end: the
// caller throws them away when next() fails.
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
  // Fills `out` as far as possible and returns how many bytes came; 0 once the payload's last chunk
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
  Result<void> check_once(ByteView unpacked) const;

  crypto::PayloadReader m_payload;
  StageLimits m_limits;
  std::unique_ptr<Codec> m_codec;
  ByteView m_input; // compressed, not yet used
  uint64_t m_in = 0, m_out = 0;
  bool m_ended = false; // the payload
};

} // namespace chillbox::artifact
