#include "rollout/links.hpp"

#include "base/text.hpp"

#include <algorithm>
#include <array>

namespace chillbox::rollout {

bool stays_inside(std::string_view path, std::string_view target) {
  if (target.empty() || target.front() == '/')
    return false;
  auto depth = std::ranges::count(path, '/');
  bool down = false;
  for (const auto part : split(target, '/')) {
    if (part == "..") {
      if (down || --depth < 0)
        return false;
    } else if (!part.empty() && part != ".") {
      down = true;
    }
  }
  return true;
}

bool is_of_the_system(std::string_view target) {
  constexpr std::array<std::string_view, 6> k_tops{
      "/usr/", "/bin/", "/sbin/", "/lib/", "/lib64/", "/opt/"};
  const auto parts = split(target, '/');
  return std::ranges::any_of(k_tops, [&](auto top) { return target.starts_with(top); }) &&
      std::ranges::find(parts, "..") == parts.end();
}

const os::TreeLink* first_that_leaves(const std::vector<os::TreeLink>& links) {
  const auto found = std::ranges::find_if(
      links, [](const auto& link) { return !stays_inside(link.path, link.target); });
  return found == links.end() ? nullptr : &*found;
}

} // namespace chillbox::rollout
