// Names of counters (Store::next_number, serial) that more than one room knows.
#pragma once

#include <string_view>

namespace chillbox::store {

// Of a site's file with what the store knows of it (rollout/manifest.hpp). commit_live() counts it
// with the switch: what the file says is older then.
inline constexpr std::string_view k_manifest = "manifest";

} // namespace chillbox::store
