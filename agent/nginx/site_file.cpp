#include "nginx/site_file.hpp"

#include "base/text.hpp"
#include "nginx/nginx.hpp"

#include <algorithm>
#include <array>

namespace chillbox::nginx {
namespace {

// "2026/11/24 11:24:33 [emerg] 1562#1562: unknown directive" -> "[emerg] unknown directive": a
// log's date and process say nothing here.
std::string without_stamp(std::string_view line) {
  const auto level = line.find('[');
  const auto end = line.find("] ", level);
  if (end == std::string_view::npos)
    return std::string(line);
  auto words = line.substr(end + 2);
  const auto stamp = words.find_first_not_of("0123456789#");
  if (stamp != 0 && stamp != std::string_view::npos && words.substr(stamp).starts_with(": "))
    words.remove_prefix(stamp + 2);
  return cat(line.substr(level, end + 2 - level), words);
}

} // namespace

std::string file_of(const SiteName& site) {
  return cat("chillbox.", site.str(), ".conf");
}
std::string log_dir(const os::Paths& paths, const SiteName& site) {
  return cat(paths.root, "/var/log/nginx/", site.str());
}

bool is_error(std::string_view line) {
  return std::ranges::any_of(
      std::array<std::string_view, 4>{"[emerg]", "[alert]", "[crit]", "[error]"},
      [&](auto level) { return line.find(level) != std::string_view::npos; });
}

std::string nginx_line(const os::Exit& exit) {
  std::string_view found;
  for (const auto line : split(exit.err, '\n')) {
    if (is_error(line)) {
      found = line;
      break;
    }
    if (!trim(line).empty())
      found = line;
  }
  if (found.starts_with("nginx: "))
    found.remove_prefix(7);
  if (found.empty())
    return cat("exit ", exit.code);
  return printable(trim(is_error(found) ? without_stamp(found) : std::string(found)), 400);
}

} // namespace chillbox::nginx
