// The launcher's spec as a file: written by Slots, read by slot_main. JSON, one object, unknown members refused. For this room only.
#pragma once

#include "openrc/slots.hpp"

#include <string>
#include <string_view>

namespace chillbox::openrc {

inline constexpr size_t k_max_spec = 1024 * 1024;

std::string spec_path(const os::Paths& paths, const std::string& slot_name);
// denied: what the launcher would refuse (no absolute program, NUL bytes, a relative directory).
Result<std::string> spec_text(const SlotSpec& spec);
// The launcher's part of a spec: name, release, argv, env, cwd, user, umask, niceness.
Result<SlotSpec> parse_spec(std::string_view text);

} // namespace chillbox::openrc
