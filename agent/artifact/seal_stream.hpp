// The bytes of a tar on their way out: zstd, age to the recipients, armor if it is wanted, and then
// to the sink. What is not finished is no age file that any reader accepts.
#pragma once

#include "base/error.hpp"
#include "crypto/age.hpp"

#include <memory>
#include <string>
#include <vector>

namespace chillbox::artifact {

class SealStream {
public:
  // invalid: not a recipient. no_space: not the memory for zstd.
  static Result<SealStream> create(
      const std::vector<std::string>& recipients, crypto::WriteBytes sink, bool armor = false);
  SealStream(SealStream&&) noexcept;
  ~SealStream();
  Result<void> write(ByteView tar);
  Result<void> finish();

private:
  struct State;
  explicit SealStream(std::unique_ptr<State> state);
  std::unique_ptr<State> m_state;
};

} // namespace chillbox::artifact
