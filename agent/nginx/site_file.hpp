// Where the files of a site are, and NGINX's words. For this room only.
#pragma once

#include "base/names.hpp"
#include "os/paths.hpp"
#include "os/runner.hpp"

#include <string>
#include <string_view>

namespace chillbox::nginx {

inline constexpr size_t k_max_file = 4 * 1024 * 1024;

std::string file_of(const SiteName& site); // in NGINX's directory
bool is_error(std::string_view line);
// NGINX's own line: the first that is an error, without what it puts before the level.
std::string nginx_line(const os::Exit& exit);

} // namespace chillbox::nginx
