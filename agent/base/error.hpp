// The one error type. A Code says what the caller does about it: one table maps it to the exit code
// of chillboxctl and to the HTTP status of the edge (codes.cpp). A message is one line, lower case,
// no full stop, and gains context on its way up: "site 'blog': switch release: rename current.tmp:
// no space left on device". Log an error once, where it is handled.
#pragma once

#include <expected>
#include <string>
#include <string_view>
#include <utility>

namespace chillbox {

enum class Code {
  failure,     // something that should have worked did not
  usage,       // the command line is wrong
  invalid,     // the input is wrong: a site file, a frame, a header
  not_found,   // no such site, version, job, file
  denied,      // signature, permission, freshness
  unreachable, // the host or its daemon does not answer
  sealed,      // needs `chillboxctl unlock`
  busy,        // held, or another job is in the way
  conflict,    // the same id with another content
  preflight,   // refused before anything was touched
  unhealthy,   // the new release did not hold; the previous one is kept
  rolled_back, // went live, failed, was rolled back automatically
  partial,     // some of several hosts failed
  timed_out,
  interrupted,
  corrupt,   // what was stored or received is damaged
  no_space,  // disk, inodes or memory
  too_large, // over a stated limit
  throttled, // try again later
  changed,   // no error: a plan with --exit-code, and something would change
};

struct Error {
  Code code;
  std::string message;
};

template <class T> struct [[nodiscard]] Result : std::expected<T, Error> {
  using std::expected<T, Error>::expected;
};

// Facts about a code, from one table.
std::string_view code_name(Code code); // "not_found", as in JSON
int exit_code(Code code);              // as documented in chillboxctl(1)
int http_status(Code code);
Code code_from_name(std::string_view name); // unknown: Code::failure

inline std::unexpected<Error> fail(Code code, std::string message) {
  return std::unexpected(Error{code, std::move(message)});
}
// "WHAT: strerror(err)", with the code that fits the errno (ENOSPC, EDQUOT: no_space; ENOENT:
// not_found; EACCES, EPERM: denied).
std::unexpected<Error> fail_errno(std::string_view what, int err);
// The same error one level up: "CONTEXT: message".
std::unexpected<Error> within(std::string_view context, Error error);

namespace detail {
template <class T> T take(Result<T>&& r) {
  if constexpr (!std::is_void_v<T>)
    return std::move(*r);
}
} // namespace detail
} // namespace chillbox

// The value of a Result, or return its error from this function. Never inside a braced initialiser
// or next to another argument: when it returns from there, g++ 12 does not destroy what was built
// before it. The name is numbered so that one may stand within another.
#define CHILLBOX_PASTE_(a, b) a##b
#define CHILLBOX_PASTE(a, b) CHILLBOX_PASTE_(a, b)
#define CHILLBOX_TRY(name, expr, on_error)                                                         \
  __extension__({                                                                                  \
    auto name = (expr);                                                                            \
    if (!name)                                                                                     \
      return on_error(std::move(name).error());                                                    \
    ::chillbox::detail::take(std::move(name));                                                     \
  })
#define TRY(expr) CHILLBOX_TRY(CHILLBOX_PASTE(try_result_, __COUNTER__), expr, std::unexpected)

// The same, with context for the one who reads the error.
#define TRY_IN(context, expr)                                                                      \
  CHILLBOX_TRY(CHILLBOX_PASTE(try_result_, __COUNTER__), expr,                                     \
      [&](auto&& e) { return ::chillbox::within((context), std::forward<decltype(e)>(e)); })
