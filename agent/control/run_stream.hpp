// Between the process of a run (cron/run_session.hpp) and the client that is attached to it, over a
// socket for those who control chillbox: frames as in control.hpp, 32 bits of length and as many
// bytes, the first of which says what they are. One is attached at a time; the next one takes its
// place.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace chillbox::control {

enum class RunFrame : char {
  // of who is attached
  input = 'i',        // bytes for the command's standard input
  end_of_input = 'e', // no more of them
  window = 'w',       // "ROWS COLUMNS" of the terminal; the first frame, also without a terminal
  stop = 's', // end the command; as the first frame of a connection nobody is attached by it
  // of the run
  output = 'o',
  error = 'r', // of standard error; a terminal has only output
  ended = 'x'  // "CODE TEXT": the last one. TEXT is empty unless the command did not run to its end
};
inline constexpr size_t k_max_run_frame = 64 * 1024;

inline std::string run_frame(RunFrame kind, std::string_view bytes = {}) {
  const auto size = static_cast<uint32_t>(bytes.size() + 1);
  std::string frame;
  for (unsigned shift = 0; shift < 32; shift += 8)
    frame.push_back(static_cast<char>((size >> shift) & 0xff));
  frame.push_back(static_cast<char>(kind));
  return frame.append(bytes);
}

// Takes the frames out of bytes that come in pieces.
class RunFrames {
public:
  void feed(std::string_view bytes) { m_bytes.append(bytes); }
  // The next whole one, its kind first; "" : not yet.
  std::string next() {
    if (m_bytes.size() < 4)
      return {};
    uint32_t size = 0;
    for (size_t i = 0; i < 4; ++i)
      size |= static_cast<uint32_t>(static_cast<unsigned char>(m_bytes[i])) << (8 * i);
    if (size == 0 || size > k_max_run_frame) {
      m_broken = true;
      return {};
    }
    if (m_bytes.size() < 4 + size)
      return {};
    std::string frame = m_bytes.substr(4, size);
    m_bytes.erase(0, 4 + size);
    return frame;
  }
  bool broken() const { return m_broken; } // no frame of ours

private:
  std::string m_bytes;
  bool m_broken = false;
};

} // namespace chillbox::control
