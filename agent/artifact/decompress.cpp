#include "artifact/decompress.hpp"

#include "base/text.hpp"

#include <zlib.h>
#include <zstd.h>
#include <zstd_errors.h>

#include <algorithm>

namespace chillbox::artifact {
namespace {

constexpr int k_max_window_log =
    27; // 128 MiB, what `zstd --ultra -22` writes and zstd itself accepts unasked
// Below, a ratio says nothing, and what it would keep out fits: regular text, blank databases.
constexpr uint64_t k_ratio_from = 64 << 20;
constexpr size_t k_magic_size = 4;

struct Magic {
  std::string_view bytes, name;
};
using namespace std::string_view_literals;
constexpr std::array<Magic, 11> k_not_taken{
    {{"\xFD\x37zXZ", "xz"}, {"BZh", "bzip2"}, {"\x04\x22\x4D\x18", "lz4"}, {"PK\x03\x04", "zip"},
        {"7z\xBC\xAF", "7-Zip"}, {"\x1F\x9D", "compress"}, {"\x5D\0\0"sv, "lzma"},
        {"x\x01", "zlib"}, {"x\x5E", "zlib"}, {"x\x9C", "zlib"}, {"x\xDA", "zlib"}}};
constexpr std::array<Magic, 2> k_taken{{{"\x28\xB5\x2F\xFD", "zstd"}, {"\x1F\x8B", "gzip"}}};

// Of what begins with these bytes; "": none of them.
std::string_view name_in(std::span<const Magic> magics, ByteView bytes) {
  const std::string_view start(
      reinterpret_cast<const char*>(bytes.data()), std::min(bytes.size(), k_magic_size));
  const auto found = std::ranges::find_if(magics,
      [&](const Magic& magic) { return start.starts_with(magic.bytes.substr(0, k_magic_size)); });
  return found == magics.end() ? std::string_view() : found->name;
}

} // namespace

// Turns input into output and reports when its one frame or member is over.
class Decompressor::Codec {
public:
  struct Step {
    size_t used = 0, made = 0;
    bool over = false;
  };
  virtual ~Codec() = default;
  virtual Result<Step> run(ByteView in, std::span<uint8_t> out) = 0;
  virtual std::string_view name() const = 0;
};

class Decompressor::Zstd : public Codec {
public:
  Zstd() : m_stream(ZSTD_createDCtx()) {
    if (m_stream)
      ZSTD_DCtx_setParameter(m_stream.get(), ZSTD_d_windowLogMax, k_max_window_log);
  }
  Result<Step> run(ByteView in, std::span<uint8_t> out) override {
    if (!m_stream)
      return fail(Code::no_space, "zstd: out of memory");
    ZSTD_inBuffer from{in.data(), in.size(), 0};
    ZSTD_outBuffer to{out.data(), out.size(), 0};
    const size_t left = ZSTD_decompressStream(m_stream.get(), &to, &from);
    if (ZSTD_getErrorCode(left) == ZSTD_error_frameParameter_windowTooLarge)
      return fail(Code::corrupt,
          cat("zstd: its window is larger than 2^", k_max_window_log,
              " bytes: compress with --long=", k_max_window_log, " at most"));
    if (ZSTD_isError(left))
      return fail(Code::corrupt, cat("zstd: ", ZSTD_getErrorName(left)));
    return Step{from.pos, to.pos, left == 0};
  }
  std::string_view name() const override { return "zstd frame"; }

private:
  struct Free {
    void operator()(ZSTD_DCtx* p) const { ZSTD_freeDCtx(p); }
  };
  std::unique_ptr<ZSTD_DCtx, Free> m_stream;
};

class Decompressor::Gzip : public Codec {
public:
  Gzip() { m_ready = inflateInit2(&m_stream, 16 + MAX_WBITS) == Z_OK; }
  ~Gzip() override {
    if (m_ready)
      inflateEnd(&m_stream);
  }
  Result<Step> run(ByteView in, std::span<uint8_t> out) override {
    if (!m_ready)
      return fail(Code::no_space, "gzip: out of memory");
    m_stream.next_in = const_cast<uint8_t*>(in.data()); // zlib does not write there
    m_stream.avail_in = static_cast<uInt>(in.size());
    m_stream.next_out = out.data();
    m_stream.avail_out = static_cast<uInt>(out.size());
    const int code = inflate(&m_stream, Z_NO_FLUSH);
    if (code != Z_OK && code != Z_STREAM_END && code != Z_BUF_ERROR)
      return fail(Code::corrupt, cat("gzip: ", m_stream.msg != nullptr ? m_stream.msg : "damaged"));
    return Step{
        in.size() - m_stream.avail_in, out.size() - m_stream.avail_out, code == Z_STREAM_END};
  }
  std::string_view name() const override { return "gzip member"; }

private:
  z_stream m_stream{};
  bool m_ready = false;
};

class Decompressor::None : public Codec {
public:
  Result<Step> run(ByteView in, std::span<uint8_t> out) override {
    const size_t n = std::min(in.size(), out.size());
    std::copy_n(in.begin(), n, out.begin());
    return Step{n, n, false};
  }
  std::string_view name() const override { return ""; }
};

Decompressor::Decompressor(crypto::PayloadReader payload, const StageLimits& limits)
    : m_payload(std::move(payload)), m_limits(limits) {
  m_limits.ratio = std::max<uint64_t>(1, limits.ratio);
}
Decompressor::~Decompressor() = default;

Result<void> Decompressor::refill() {
  if (!m_input.empty() || m_ended)
    return {};
  m_input = TRY(m_payload.next());
  m_ended = m_input.empty();
  return {};
}

// The first chunk of a payload is as long as it can be, so a short one is the whole payload.
Result<void> Decompressor::start() {
  TRY(refill());
  if (m_input.size() < k_magic_size)
    return fail(Code::corrupt, cat("payload of ", m_input.size(), " bytes: not an archive"));
  if (const auto other = name_in(k_not_taken, m_input); !other.empty())
    return fail(
        Code::corrupt, cat("compressed with ", other, ": zstd, gzip and plain tar are taken"));
  const auto taken = name_in(k_taken, m_input);
  if (taken == "zstd")
    m_codec = std::make_unique<Zstd>();
  else if (taken == "gzip")
    m_codec = std::make_unique<Gzip>();
  else
    m_codec = std::make_unique<None>(); // a tar, or the reader says that it is none
  return {};
}

Result<void> Decompressor::check_limits() const {
  if (m_out > m_limits.bytes)
    return fail(
        Code::too_large, cat("unpacks to more than the limit of ", m_limits.bytes, " bytes"));
  if (m_out > k_ratio_from && m_out / m_limits.ratio > m_in)
    return fail(Code::too_large,
        cat("unpacks to more than ", m_limits.ratio, " times its size (limits.ratio_max): ", m_out,
            " bytes out of ", m_in));
  return {};
}

// The first bytes that came out.
Result<void> Decompressor::check_once(ByteView unpacked) const {
  std::string_view again = name_in(k_taken, unpacked);
  if (again.empty())
    again = name_in(k_not_taken, unpacked);
  return again.empty()
      ? Result<void>{}
      : fail(Code::corrupt,
            cat("compressed twice: the ", m_codec->name(), " holds ", again, ", not a tar"));
}

Result<size_t> Decompressor::next(std::span<uint8_t> out) {
  if (!m_codec)
    TRY(start());
  size_t made = 0;
  while (made < out.size()) {
    const bool raw = m_codec->name().empty();
    if (raw && m_input.empty() && !m_ended &&
        out.size() - made >= crypto::k_age_chunk) { // no copy between
      const size_t n = TRY(m_payload.next_into(out.subspan(made)));
      m_ended = n == 0;
      m_in += n;
      m_out += n;
      made += n;
      TRY(check_limits());
      continue;
    }
    TRY(refill());
    if (m_ended && raw)
      break;
    const auto step = TRY(m_codec->run(m_input, out.subspan(made)));
    m_input = m_input.subspan(step.used);
    m_in += step.used;
    m_out += step.made;
    made += step.made;
    if (!raw && m_out == made)
      TRY(check_once(out.first(made)));
    TRY(check_limits());
    if (step.over) {
      TRY(refill());
      if (!m_ended)
        return fail(Code::corrupt,
            cat("data after the ", m_codec->name(),
                ": exactly one is allowed (pzstd, bgzip and cat make several)"));
      m_codec = std::make_unique<None>();
    } else if (m_ended && step.made == 0) {
      return fail(Code::corrupt, cat("cut off: the ", m_codec->name(), " does not end"));
    }
  }
  return made;
}

} // namespace chillbox::artifact
