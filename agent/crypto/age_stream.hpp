// Inside agent/crypto: the chunks of an age payload (C2SP age.md, "Payload"), one at a time, for
// the reader and the writer.
#pragma once

#include "crypto/age.hpp"
#include "crypto/libcrypto.hpp"

#include <cstdint>

namespace chillbox::crypto {

enum class Direction { decrypt, encrypt };

// ChaCha20-Poly1305 under the payload key. One libcrypto context serves all chunks: only the nonce
// changes between them.
class ChunkCipher {
public:
  ChunkCipher(Direction direction, const SecretBytes& file_key, ByteView payload_nonce);
  // out has room for chunk - 16 bytes; false: not this chunk, at this place, with this finality.
  // What is in `out` is wiped then.
  bool decrypt(ByteView chunk, bool last, uint8_t* out);
  // out has room for plain + 16 bytes.
  void encrypt(ByteView plain, bool last, uint8_t* out);
  // Counts on to the next chunk.
  void advance() { ++m_counter; }
  bool at_first() const { return m_counter == 0; }

private:
  void set_nonce(bool last);
  std::unique_ptr<EVP_CIPHER_CTX, FreeCipherContext> m_context;
  uint64_t m_counter =
      0; // 2^64 chunks are never reached: the upper three of the eleven bytes stay zero
};

} // namespace chillbox::crypto
