// Bytes that must not be seen: in guarded, locked memory of libsodium, wiped when they go,
// move-only, not printable.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace chillbox {

using ByteView = std::span<const uint8_t>;

class SecretBytes {
public:
  SecretBytes() = default;
  explicit SecretBytes(size_t size); // zeroed
  explicit SecretBytes(ByteView bytes);
  SecretBytes(SecretBytes&& other) noexcept;
  SecretBytes& operator=(SecretBytes&& other) noexcept;
  SecretBytes(const SecretBytes&) = delete;
  SecretBytes& operator=(const SecretBytes&) = delete;
  ~SecretBytes();

  uint8_t* data() { return m_data; }
  const uint8_t* data() const { return m_data; }
  size_t size() const { return m_size; }
  bool empty() const { return m_size == 0; }
  ByteView view() const { return {m_data, m_size}; }
  std::span<uint8_t> span() { return {m_data, m_size}; }
  // For the parsers that take text; the view must not outlive this.
  std::string_view text() const { return {reinterpret_cast<const char*>(m_data), m_size}; }
  void truncate(size_t size); // wipes the rest
  SecretBytes copy() const { return SecretBytes(view()); }

private:
  void wipe();
  uint8_t* m_data = nullptr;
  size_t m_size = 0;
};

// Wipes what a stack buffer or a std::string held. Not optimised away.
void wipe(void* data, size_t size);
// Text whose memory is wiped when it is given back: for secrets of which there are many, or that
// grow. Not locked.
template <class T> struct WipingAllocator {
  using value_type = T;
  WipingAllocator() = default;
  template <class U> WipingAllocator(const WipingAllocator<U>&) noexcept {}
  T* allocate(size_t n) { return std::allocator<T>().allocate(n); }
  void deallocate(T* p, size_t n) noexcept {
    wipe(p, n * sizeof(T));
    std::allocator<T>().deallocate(p, n);
  }
  bool operator==(const WipingAllocator&) const = default;
};
using SecretString = std::basic_string<char, std::char_traits<char>, WipingAllocator<char>>;
using SecretStrings = std::vector<SecretString, WipingAllocator<SecretString>>;

// Constant-time for equal sizes; the sizes themselves are public.
bool same(ByteView a, ByteView b);
// Once in main, before anything else of crypto. Ends the process if libsodium cannot start.
void init_crypto();

inline ByteView bytes_of(std::string_view s) {
  return {reinterpret_cast<const uint8_t*>(s.data()), s.size()};
}
inline std::string_view text_of(ByteView b) {
  return {reinterpret_cast<const char*>(b.data()), b.size()};
}

} // namespace chillbox
