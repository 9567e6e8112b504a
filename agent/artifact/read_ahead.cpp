#include "artifact/read_ahead.hpp"

#include "base/text.hpp"

#include <system_error>

namespace chillbox::artifact {

ReadAhead::~ReadAhead() {
  {
    const std::scoped_lock lock(m_mutex);
    m_stop = true;
  }
  m_changed.notify_all();
  if (m_thread.joinable())
    m_thread.join();
}

void ReadAhead::work() {
  for (;;) {
    size_t at = 0;
    {
      std::unique_lock lock(m_mutex);
      // One buffer is always the caller's. Once all are filled, only when nearly all are empty: to
      // be woken up for each costs more.
      if (m_filled - m_taken == k_buffers - 1)
        m_changed.wait(lock, [this] { return m_stop || m_filled - m_taken <= k_low; });
      if (m_stop)
        return;
      at = m_filled % k_buffers;
    }
    Bytes& buffer = m_buffers[at];
    buffer.resize(k_buffer);
    const auto made = m_stream.next(buffer);
    const std::scoped_lock lock(m_mutex);
    if (made && *made > 0) {
      buffer.resize(*made);
      ++m_filled;
    } else {
      m_ended = true;
      if (!made)
        m_failed = made.error();
    }
    m_changed.notify_all();
    if (m_ended)
      return;
  }
}

Result<ByteView> ReadAhead::next() {
  if (!m_thread.joinable()) {
    try {
      m_thread = std::thread([this] { work(); });
    } catch (const std::system_error& e) {
      return fail(Code::no_space, cat("start a thread: ", e.what()));
    }
  }
  std::unique_lock lock(m_mutex);
  m_changed.wait(lock, [this] { return m_ended || m_filled > m_taken; });
  if (m_filled > m_taken) {
    const Bytes& buffer = m_buffers[m_taken++ % k_buffers];
    if (m_filled - m_taken <= k_low)
      m_changed.notify_all();
    return ByteView(buffer);
  }
  if (m_failed)
    return std::unexpected(*m_failed);
  return ByteView{};
}

} // namespace chillbox::artifact
