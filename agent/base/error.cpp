#include "base/error.hpp"

#include "base/text.hpp"

#include <array>
#include <cerrno>
#include <cstring>

namespace chillbox {
namespace {

struct Row {
  Code code;
  std::string_view name;
  int exit;
  int http;
};

constexpr std::array k_codes{
    Row{Code::failure, "failure", 1, 500},
    Row{Code::usage, "usage", 2, 400},
    Row{Code::invalid, "invalid", 1, 422},
    Row{Code::not_found, "not_found", 3, 404},
    Row{Code::denied, "denied", 4, 401},
    Row{Code::unreachable, "unreachable", 5, 502},
    Row{Code::sealed, "sealed", 6, 503},
    Row{Code::busy, "busy", 7, 503},
    Row{Code::conflict, "conflict", 7, 409},
    Row{Code::preflight, "preflight", 8, 422},
    Row{Code::unhealthy, "unhealthy", 9, 500},
    Row{Code::rolled_back, "rolled_back", 10, 500},
    Row{Code::partial, "partial", 11, 500},
    Row{Code::timed_out, "timed_out", 124, 504},
    Row{Code::interrupted, "interrupted", 130, 500},
    Row{Code::corrupt, "corrupt", 1, 500},
    Row{Code::no_space, "no_space", 1, 503},
    Row{Code::too_large, "too_large", 1, 413},
    Row{Code::throttled, "throttled", 7, 503},
    Row{Code::changed, "changed", 20, 200},
};

const Row& row(Code code) {
  for (const Row& r : k_codes)
    if (r.code == code)
      return r;
  return k_codes[0];
}

Code code_of_errno(int err) {
  switch (err) {
  case ENOENT: return Code::not_found;
  case EACCES:
  case EPERM: return Code::denied;
  case ENOSPC:
  case EDQUOT: return Code::no_space;
  case ETIMEDOUT: return Code::timed_out;
  default: return Code::failure;
  }
}

} // namespace

std::string_view code_name(Code code) {
  return row(code).name;
}
int exit_code(Code code) {
  return row(code).exit;
}
int http_status(Code code) {
  return row(code).http;
}

Code code_from_name(std::string_view name) {
  for (const Row& r : k_codes)
    if (r.name == name)
      return r.code;
  return Code::failure;
}

std::unexpected<Error> fail_errno(std::string_view what, int err) {
  std::string reason = std::strerror(err);
  if (!reason.empty() && reason[0] >= 'A' && reason[0] <= 'Z' &&
      !(reason.size() > 1 && reason[1] >= 'A' && reason[1] <= 'Z'))
    reason[0] = static_cast<char>(reason[0] - 'A' + 'a');
  return fail(code_of_errno(err), cat(what, ": ", reason));
}

std::unexpected<Error> within(std::string_view context, Error error) {
  error.message = cat(context, ": ", error.message);
  return std::unexpected(std::move(error));
}

} // namespace chillbox
