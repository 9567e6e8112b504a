// The chillbox.toml that `init` writes: every key that there is, documented in place and commented
// out with its default, so that the file changes nothing until somebody edits it.
#pragma once

#include <string_view>

namespace chillbox::cli {

std::string_view default_host_toml();

} // namespace chillbox::cli
