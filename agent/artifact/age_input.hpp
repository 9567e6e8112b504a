// An age file on disk, armored or not: its header, and the bytes that follow it.
#pragma once

#include "base/error.hpp"
#include "crypto/age.hpp"

#include <string>

namespace chillbox::artifact {

struct AgeInput {
  crypto::AgeHeader header;
  std::string header_text;   // as it came, without armor: what a vault is asked about
  crypto::ReadBytes payload; // from the nonce on; valid while the descriptor is open
};

// Reads from offset 0, not from the descriptor's position, which is shared with the process that
// passed it.
// invalid: not an age file, or malformed.
Result<AgeInput> open_age(int fd);

} // namespace chillbox::artifact
