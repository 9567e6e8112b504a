// libarchive reads and writes names in the locale of the thread, and loses what that cannot say.
// This makes it UTF-8 while it lives, whatever the process was started in. Opens files of the C
// library: made before a process gives up its file system.
#pragma once

#include "base/error.hpp"

#include <clocale>
#include <locale.h>

namespace chillbox::artifact {

class Utf8Locale {
public:
  static Result<Utf8Locale> enter();
  Utf8Locale(Utf8Locale&& other) noexcept;
  Utf8Locale(const Utf8Locale&) = delete;
  Utf8Locale& operator=(const Utf8Locale&) = delete;
  ~Utf8Locale();

private:
  Utf8Locale(locale_t mine, locale_t before) : m_mine(mine), m_before(before) {}
  locale_t m_mine, m_before;
};

} // namespace chillbox::artifact
