// What the edge answers over HTTP, and what NGINX or something between says in its place.
#pragma once

#include "control/messages.hpp"

#include <string_view>

namespace chillbox::cli {

// The answer to a delivery of a release or secret set. corrupt: no job in it, or a link that is not
// a path on the same host.
Result<control::Accepted> read_accepted(std::string_view text);
// Any answer but 2xx. One that is not the edge's own has the code that its HTTP status stands for.
Error http_error(long status, std::string_view body);

} // namespace chillbox::cli
