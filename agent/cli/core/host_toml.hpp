// The chillboxd.toml that `init` writes. It documents every key and has it commented out with its
// default, so that the file has no effect until it is edited.
#pragma once

#include <string_view>

namespace chillbox::cli {

std::string_view default_host_toml();

} // namespace chillbox::cli
