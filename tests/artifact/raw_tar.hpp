// Tar archives byte by byte, right ones and wrong ones, as no tar program would write them.
#pragma once

#include "base/text.hpp"

#include <cstdio>
#include <functional>
#include <string>
#include <string_view>

namespace chillbox::test {

// A header block. What is set in `patch` happens before the checksum is made.
struct Header {
  std::string name;
  char type = '0';
  uint64_t size = 0;
  unsigned mode = 0644;
  std::string link = {};
  bool gnu = false;
  std::function<void(std::string& block)> patch = {};

  std::string bytes() const {
    std::string block(512, '\0');
    put(block, 0, name);
    number(block, 100, 8, mode);
    number(block, 108, 8, 0);
    number(block, 116, 8, 0);
    number(block, 124, 12, size);
    number(block, 136, 12, 0);
    block[156] = type;
    put(block, 157, link);
    put(block, 257,
        gnu ? std::string_view("ustar  \0", 8)
            : std::string_view("ustar\0"
                               "00",
                  8));
    if (patch)
      patch(block);
    seal(block);
    return block;
  }

  static void put(std::string& block, size_t at, std::string_view text) {
    block.replace(at, text.size(), text);
  }
  static void number(std::string& block, size_t at, size_t width, uint64_t value) {
    char text[32];
    std::snprintf(text, sizeof text, "%0*llo", static_cast<int>(width - 1),
        static_cast<unsigned long long>(value));
    put(block, at, text);
  }
  static void seal(std::string& block) {
    put(block, 148, "        ");
    unsigned sum = 0;
    for (const char c : block)
      sum += static_cast<unsigned char>(c);
    char text[16];
    std::snprintf(text, sizeof text, "%06o", sum);
    put(block, 148, std::string_view(text, 7)); // with its NUL, then the space
  }
};

inline std::string padded(std::string data) {
  data.resize((data.size() + 511) / 512 * 512, '\0');
  return data;
}

inline std::string file(
    const std::string& name, const std::string& content = "x", unsigned mode = 0644) {
  return Header{.name = name, .size = content.size(), .mode = mode}.bytes() + padded(content);
}
inline std::string dir(const std::string& name) {
  return Header{.name = name + "/", .type = '5', .mode = 0755}.bytes();
}
inline std::string alias(const std::string& name, const std::string& target) {
  return Header{.name = name, .type = '2', .mode = 0777, .link = target}.bytes();
}
inline std::string special(const std::string& name, char type, const std::string& target = {}) {
  return Header{.name = name, .type = type, .link = target}.bytes();
}

// "LENGTH KEY=VALUE\n", the length counting itself.
inline std::string record(const std::string& key, const std::string& value) {
  const size_t rest = key.size() + value.size() + 3;
  size_t length = rest + 1;
  while (std::to_string(length).size() + rest != length)
    ++length;
  return cat(length, " ", key, "=", value, "\n");
}
inline std::string pax(const std::string& records, char type = 'x') {
  return Header{.name = "PaxHeaders/x", .type = type, .size = records.size()}.bytes() +
      padded(records);
}
inline std::string gnu_long(const std::string& text, char type = 'L') {
  const std::string data = text + '\0';
  return Header{.name = "././@LongLink", .type = type, .size = data.size(), .gnu = true}.bytes() +
      padded(data);
}

inline std::string end() {
  return std::string(1024, '\0');
}

} // namespace chillbox::test
