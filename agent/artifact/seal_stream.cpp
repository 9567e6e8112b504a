#include "artifact/seal_stream.hpp"

#include "base/text.hpp"

#include <zstd.h>

#include <optional>

namespace chillbox::artifact {
namespace {

constexpr int k_level = 3;

struct FreeZstd {
  void operator()(ZSTD_CCtx* p) const { ZSTD_freeCCtx(p); }
};

} // namespace

struct SealStream::State {
  Bytes buffer = Bytes(ZSTD_CStreamOutSize());
  std::unique_ptr<ZSTD_CCtx, FreeZstd> zstd{ZSTD_createCCtx()};
  std::optional<crypto::ArmorWriter> armor;
  std::optional<crypto::AgeWriter> age;

  Result<void> compress(ByteView tar, ZSTD_EndDirective end) {
    ZSTD_inBuffer in{tar.data(), tar.size(), 0};
    for (;;) {
      ZSTD_outBuffer out{buffer.data(), buffer.size(), 0};
      const size_t left = ZSTD_compressStream2(zstd.get(), &out, &in, end);
      if (ZSTD_isError(left))
        return fail(Code::failure, cat("zstd: ", ZSTD_getErrorName(left)));
      if (out.pos > 0)
        TRY(age->write(ByteView(buffer).first(out.pos)));
      if (end == ZSTD_e_end ? left == 0 : in.pos == in.size)
        return {};
    }
  }
};

SealStream::SealStream(std::unique_ptr<State> state) : m_state(std::move(state)) {}
SealStream::SealStream(SealStream&&) noexcept = default;
SealStream::~SealStream() = default;

Result<SealStream> SealStream::create(
    const std::vector<std::string>& recipients, crypto::WriteBytes sink, bool armor) {
  auto state = std::make_unique<State>();
  if (!state->zstd)
    return fail(Code::no_space, "zstd: out of memory");
  ZSTD_CCtx_setParameter(state->zstd.get(), ZSTD_c_compressionLevel, k_level);
  ZSTD_CCtx_setParameter(state->zstd.get(), ZSTD_c_checksumFlag, 1);
  if (armor)
    state->armor.emplace(sink);
  crypto::WriteBytes below = std::move(sink);
  if (armor)
    below = [own = state.get()](ByteView bytes) { return own->armor->write(bytes); };
  state->age.emplace(TRY(crypto::AgeWriter::to_recipients(recipients, std::move(below))));
  return SealStream(std::move(state));
}

Result<void> SealStream::write(ByteView tar) {
  return m_state->compress(tar, ZSTD_e_continue);
}

Result<void> SealStream::finish() {
  TRY(m_state->compress({}, ZSTD_e_end));
  TRY(m_state->age->finish());
  return m_state->armor ? m_state->armor->finish() : Result<void>{};
}

} // namespace chillbox::artifact
