#include "crypto/age_stream.hpp"
#include "crypto/hkdf.hpp"

#include "base/text.hpp"

#include <algorithm>
#include <array>
#include <optional>

namespace chillbox::crypto {

ChunkCipher::ChunkCipher(Direction direction, const SecretBytes& file_key, ByteView payload_nonce)
    : m_context(EVP_CIPHER_CTX_new()) {
  const SecretBytes key = hkdf_sha256(file_key.view(), payload_nonce, "payload");
  const int encrypts = direction == Direction::encrypt ? 1 : 0;
  must(m_context != nullptr &&
      EVP_CipherInit_ex2(
          m_context.get(), chacha20_poly1305(), key.data(), nullptr, encrypts, nullptr) == 1);
}

void ChunkCipher::set_nonce(bool last) {
  std::array<uint8_t, 12> nonce{};
  for (unsigned i = 0; i < 8; ++i)
    nonce[10 - i] = static_cast<uint8_t>(m_counter >> (8 * i));
  nonce[11] = last ? 1 : 0;
  must(EVP_CipherInit_ex2(m_context.get(), nullptr, nullptr, nonce.data(), -1, nullptr) == 1);
}

bool ChunkCipher::decrypt(ByteView chunk, bool last, uint8_t* out) {
  const size_t size = chunk.size() - k_age_tag;
  std::array<uint8_t, k_age_tag> tag{}; // libcrypto wants it writable
  std::copy(chunk.begin() + static_cast<ptrdiff_t>(size), chunk.end(), tag.begin());
  set_nonce(last);
  int done = 0;
  int rest = 0;
  must(EVP_CIPHER_CTX_ctrl(
           m_context.get(), EVP_CTRL_AEAD_SET_TAG, static_cast<int>(tag.size()), tag.data()) == 1 &&
      EVP_DecryptUpdate(m_context.get(), out, &done, chunk.data(), static_cast<int>(size)) == 1);
  if (EVP_DecryptFinal_ex(m_context.get(), out + done, &rest) == 1)
    return true;
  wipe(out, size);
  return false;
}

void ChunkCipher::encrypt(ByteView plain, bool last, uint8_t* out) {
  static constexpr uint8_t nothing =
      0; // an empty span may hold a null pointer, which means something else to libcrypto
  set_nonce(last);
  int done = 0;
  int rest = 0;
  must(EVP_EncryptUpdate(m_context.get(), out, &done, plain.empty() ? &nothing : plain.data(),
           static_cast<int>(plain.size())) == 1 &&
      EVP_EncryptFinal_ex(m_context.get(), out + done, &rest) == 1 &&
      EVP_CIPHER_CTX_ctrl(m_context.get(), EVP_CTRL_AEAD_GET_TAG, static_cast<int>(k_age_tag),
          out + plain.size()) == 1);
}

ReadBytes bytes_source(ByteView bytes) {
  return [bytes](std::span<uint8_t> into) mutable -> Result<size_t> {
    const size_t n = std::min(into.size(), bytes.size());
    std::copy_n(bytes.begin(), n, into.begin());
    bytes = bytes.subspan(n);
    return n;
  };
}

Result<size_t> read_full(const ReadBytes& source, std::span<uint8_t> into) {
  size_t have = 0;
  while (have < into.size()) {
    const size_t n = TRY(source(into.subspan(have)));
    if (n == 0)
      break;
    have += n;
  }
  return have;
}

struct PayloadReader::State {
  State(const SecretBytes& key, ReadBytes from) : file_key(key.copy()), source(std::move(from)) {}

  SecretBytes file_key; // until the nonce is read
  ReadBytes source;
  std::unique_ptr<ChunkCipher> cipher;
  Bytes chunk = Bytes(k_age_chunk + k_age_tag);
  SecretBytes plain;   // of next(): locked, and wiped with the reader
  uint64_t number = 0; // of the chunk, for messages
  bool last_seen = false;
  bool ended = false;
  std::optional<Error> failed; // once failed, always failed

  Result<void> start();
  Result<size_t> next_chunk(uint8_t* out);
  Result<void> nothing_follows();
  std::unexpected<Error> damaged(std::string_view what) const {
    return fail(Code::corrupt, cat("age payload chunk ", number, ": ", what));
  }
};

Result<void> PayloadReader::State::start() {
  if (file_key.size() != 16)
    return fail(Code::invalid, "age file key is not 16 bytes");
  std::array<uint8_t, k_age_nonce> nonce{};
  if (TRY(read_full(source, nonce)) != nonce.size())
    return fail(Code::invalid, "age payload: cut short within its nonce");
  cipher = std::make_unique<ChunkCipher>(Direction::decrypt, file_key, nonce);
  file_key = SecretBytes();
  return {};
}

Result<void> PayloadReader::State::nothing_follows() {
  if (TRY(read_full(source, std::span(chunk).first(1))) != 0)
    return damaged("data after the last chunk");
  ended = true;
  return {};
}

Result<size_t> PayloadReader::State::next_chunk(uint8_t* out) {
  if (!cipher)
    TRY(start());
  if (last_seen) {
    TRY(nothing_follows());
    return 0;
  }
  const size_t size = TRY(read_full(source, chunk));
  if (size < k_age_tag)
    return damaged(size == 0 ? "missing: cut short" : "cut short");
  const ByteView encrypted(chunk.data(), size);
  // A full chunk is usually not the last one, a shorter one must be.
  const bool full = size == chunk.size();
  last_seen = !full || !cipher->decrypt(encrypted, false, out);
  if (last_seen && !cipher->decrypt(encrypted, true, out))
    return damaged(full ? "wrong tag: damaged" : "wrong tag: damaged or cut short");
  if (size == k_age_tag) {
    if (!cipher->at_first())
      return damaged("empty last chunk");
    TRY(nothing_follows());
    return 0;
  }
  cipher->advance();
  ++number;
  return size - k_age_tag;
}

PayloadReader::PayloadReader(const SecretBytes& file_key, ReadBytes source)
    : m_state(std::make_unique<State>(file_key, std::move(source))) {}
PayloadReader::~PayloadReader() = default;
PayloadReader::PayloadReader(PayloadReader&&) noexcept = default;

Result<ByteView> PayloadReader::next() {
  if (m_state->plain.size() == 0)
    m_state->plain = SecretBytes(k_age_chunk);
  const size_t size = TRY(next_into({m_state->plain.data(), k_age_chunk}));
  return m_state->plain.view().first(size);
}

Result<size_t> PayloadReader::next_into(std::span<uint8_t> out) {
  if (m_state->failed)
    return std::unexpected(*m_state->failed);
  if (m_state->ended)
    return 0;
  if (out.size() < k_age_chunk)
    return fail(Code::invalid, "age payload: no room for a chunk");
  auto size = m_state->next_chunk(out.data());
  if (!size)
    m_state->failed = size.error();
  return size;
}

} // namespace chillbox::crypto
