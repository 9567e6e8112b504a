#include "cli/fleet/edge_answer.hpp"

#include "base/text.hpp"

namespace chillbox::cli {
namespace {

// For an answer of NGINX or of something between: what its status means.
Code code_of_status(long status) {
  switch (status) {
  case 401:
  case 403: return Code::denied;
  case 404: return Code::not_found;
  case 409: return Code::conflict;
  case 413: return Code::too_large;
  case 400:
  case 422: return Code::invalid;
  case 429:
  case 503: return Code::busy;
  case 408:
  case 504: return Code::timed_out;
  case 502: return Code::unreachable;
  default: return Code::failure;
  }
}

// Ours begin with one slash. Anything else could lead the artifact and its capability to another
// host.
Result<void> check_link(std::string_view name, const std::string& link) {
  if (!link.starts_with('/') || link.starts_with("//") || link != printable(link, 1024) ||
      link.find(' ') != std::string::npos)
    return fail(Code::corrupt,
        cat("links.", name, ": '", printable(link, 80), "' is not a path on this host"));
  return {};
}

} // namespace

Result<control::Accepted> read_accepted(std::string_view text) {
  auto accepted = TRY(control::read_answer<control::Accepted>(text));
  if (accepted.job.empty())
    return fail(Code::corrupt, "answer of chillboxd: no job in it");
  const auto& links = accepted.links;
  TRY(check_link("status", links.status));
  TRY(check_link("events", links.events));
  TRY(check_link("artifact", links.artifact.value_or("")));
  TRY(check_link("signature", links.signature.value_or("")));
  return accepted;
}

Error http_error(long status, std::string_view body) {
  const auto answer = control::read_answer<control::ErrorAnswer>(body);
  if (answer && !answer->error.message.empty())
    return {answer->error.code, printable(answer->error.message, 500)};
  // NGINX's own: another server of it than the one that chillboxd wrote.
  const std::string_view why = status == 404
      ? ": no chillbox answers to this name there: see server_name in its chillboxd.toml"
      : status == 429 ? ": too many requests at once from this address"
                      : "";
  return {code_of_status(status), cat("the host answered ", status, why)};
}

} // namespace chillbox::cli
