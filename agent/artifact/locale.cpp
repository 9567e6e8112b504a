#include "artifact/locale.hpp"

#include <cerrno>
#include <utility>

namespace chillbox::artifact {

Result<Utf8Locale> Utf8Locale::enter() {
  const locale_t mine = newlocale(LC_CTYPE_MASK, "C.UTF-8", locale_t{});
  if (mine == locale_t{})
    return fail_errno("the C library has no locale C.UTF-8", errno);
  return Utf8Locale(mine, uselocale(mine));
}

Utf8Locale::Utf8Locale(Utf8Locale&& other) noexcept
    : m_mine(std::exchange(other.m_mine, locale_t{})), m_before(other.m_before) {}

Utf8Locale::~Utf8Locale() {
  if (m_mine == locale_t{})
    return;
  uselocale(m_before);
  freelocale(m_mine);
}

} // namespace chillbox::artifact
