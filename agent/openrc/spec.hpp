// The launcher's spec as a file: written by Slots, read by slot_main. JSON, one object, unknown
// members refused. For this room only.
#pragma once

#include "openrc/slots.hpp"

#include <string>
#include <string_view>

namespace chillbox::openrc {

inline constexpr size_t k_max_spec = 1024 * 1024;

std::string spec_path(const os::Paths& paths, const std::string& slot_name);
std::string restarts_path(const os::Paths& paths, const std::string& slot_name);
// denied: what the launcher would refuse (no absolute program, NUL bytes, a relative directory).
Result<std::string> spec_text(const SlotSpec& spec);
// From disk, through one descriptor, so that what was checked is what is read: a regular file of
// root's own that nobody else can read or write.
Result<SlotSpec> read_spec(const std::string& path);
// The launcher's part of a spec. Of the limits a slot takes user_tasks_max, OpenRC the others.
Result<SlotSpec> parse_spec(std::string_view text);

} // namespace chillbox::openrc
