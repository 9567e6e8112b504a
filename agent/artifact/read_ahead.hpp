// Decrypts and decompresses in a thread, a few buffers ahead of the one that unpacks: on two
// processors an artifact takes as long as the slower of the two, not as both. The bytes and the
// first error come in the order of the stream.
#pragma once

#include "artifact/decompress.hpp"

#include <array>
#include <condition_variable>
#include <mutex>
#include <optional>
#include <thread>

namespace chillbox::artifact {

class ReadAhead {
public:
  explicit ReadAhead(Decompressor& stream) : m_stream(stream) {}
  ~ReadAhead(); // waits for the buffer that is being filled
  ReadAhead(const ReadAhead&) = delete;
  ReadAhead& operator=(const ReadAhead&) = delete;

  // As Decompressor::next(): valid until the next call; empty at the end.
  Result<ByteView> next();

private:
  static constexpr size_t k_buffer = 256 * 1024;
  static constexpr size_t k_buffers = 4;
  static constexpr size_t k_low = 1; // with so many filled buffers left it is time to fill others

  void work();

  Decompressor& m_stream;
  std::array<Bytes, k_buffers> m_buffers;
  std::mutex m_mutex;
  std::condition_variable m_changed;
  size_t m_filled = 0; // buffers that the thread has filled so far; the number of one, modulo
                       // k_buffers, is its place
  size_t m_taken = 0;  // that the caller has taken; it still uses the last of them
  bool m_ended = false, m_stop = false;
  std::optional<Error> m_failed;
  std::thread m_thread; // began with the first next()
};

} // namespace chillbox::artifact
