#include "base/guarded.hpp"

#include "base/log.hpp"
#include "base/text.hpp"

#include <exception>

namespace chillbox::detail {

Error caught(std::string_view what) noexcept {
  try {
    std::string text = cat(what, ": internal error");
    try {
      throw;
    } catch (const std::exception& e) {
      text += cat(": ", printable(e.what(), 200));
    } catch (...) {
      text += ": an exception without a name";
    }
    log::error(text);
    return {Code::failure, std::move(text)};
  } catch (...) { // not even that much memory
    return {Code::failure, "internal error"};
  }
}

} // namespace chillbox::detail
