// Where an exception ends. Our own code throws nothing, but libraries do, and so does memory that
// runs out; one that leaves a thread would end the process, and with the monitor the vault: the
// host would be sealed. Here it becomes the error of the one request, job or event that it met.
#pragma once

#include "base/error.hpp"

#include <string_view>
#include <type_traits>
#include <utility>

namespace chillbox {

namespace detail {
template <class T> struct GuardedResult {
  using type = Result<T>;
};
template <class T> struct GuardedResult<Result<T>> {
  using type = Result<T>;
};
// Of the exception that is being handled; logged, because it is a fault of ours or of the machine.
Error caught(std::string_view what) noexcept;
} // namespace detail

// What `work` returns, as a Result; an exception is `failure`, "WHAT: internal error: ...".
template <class F> typename detail::GuardedResult<std::invoke_result_t<F>>::type guarded(
    std::string_view what, F&& work) noexcept {
  try {
    if constexpr (std::is_void_v<std::invoke_result_t<F>>) {
      std::forward<F>(work)();
      return {};
    } else {
      return std::forward<F>(work)();
    }
  } catch (...) {
    return std::unexpected(detail::caught(what));
  }
}

} // namespace chillbox
