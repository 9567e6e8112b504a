#include "base/text.hpp"
#include "nginx/nginx.hpp"

#include <sys/stat.h>

#include <array>

namespace chillbox::nginx {
namespace {

// Where packages have it, and the time of its last change; "" when it is elsewhere.
std::string binary_in_use() {
  for (const char* path : {"/usr/local/sbin/nginx", "/usr/sbin/nginx", "/usr/bin/nginx"}) {
    struct stat st{};
    if (::stat(path, &st) == 0)
      return cat(path, " ", st.st_ino, " ", st.st_ctim.tv_sec, ".", st.st_ctim.tv_nsec);
  }
  return {};
}

} // namespace

Build build_of(std::string_view nginx_v) {
  constexpr std::string_view k_before = "nginx/";
  const auto at = nginx_v.find(k_before);
  if (at == std::string_view::npos)
    return {};
  auto rest = nginx_v.substr(at + k_before.size());
  rest = rest.substr(0, rest.find_first_not_of("0123456789."));
  unsigned version = 0;
  size_t parts = 0;
  for (const auto part : split(rest, '.')) {
    const auto number = parse_u64(part);
    if (!number || *number > 999 || ++parts > 3)
      return {};
    version = version * 1000 + static_cast<unsigned>(*number);
  }
  if (parts != 3)
    return {};
  return {
      .version = version, .http3 = nginx_v.find("--with-http_v3_module") != std::string_view::npos};
}

Build Nginx::build() {
  const std::scoped_lock lock(m_build_mutex);
  const std::string binary = binary_in_use();
  if (!binary.empty() && binary == m_binary)
    return m_build;
  os::Command c;
  c.argv = {"nginx", "-V"};
  c.timeout = os::Millis{20'000};
  const auto exit = m_runner.run(c);
  if (!exit || !exit->ok())
    return {};
  m_binary = binary;
  return m_build = build_of(cat(exit->err, exit->out));
}

} // namespace chillbox::nginx
