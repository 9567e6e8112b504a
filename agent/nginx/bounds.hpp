// What a site may name in its NGINX text: its own files, logs, cache, host names, ports and
// services, and what chillboxd.toml allows in addition. Each question is answered with what is
// wrong, for a message after the directive; nothing: it is fine. For this room only.
#pragma once

#include "nginx/nginx.hpp"

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace chillbox::nginx {

using Problem = std::optional<std::string>;

class Bounds {
public:
  explicit Bounds(const SiteInput& input);

  // A word as Names::expand() gives it. No ".." however it is asked for, and nothing of a
  // visitor's.
  static Problem clean(std::string_view expanded);
  Problem path(std::string_view expanded) const;        // root, alias
  Problem tested_path(std::string_view expanded) const; // "if (-f ...)"
  std::string real_path(
      const std::string& word) const; // the original's directory for ACME is another here
  Problem log(std::string_view path, bool error_log) const;
  Problem cache(std::string_view path) const;
  Problem certificate(
      std::string_view path, bool is_public) const; // or its key: NGINX reads it when it starts
  Problem server_name(std::string_view name) const;
  Problem listen(const std::vector<std::string>& words) const;
  // "http://HOST:PORT/...", "unix:...": expanded; scheme may be missing where the directive takes
  // none. own: is it an upstream of the site?
  Problem target(std::string_view expanded, bool own) const;
  bool allows_path(std::string_view path) const;
  bool allows_directive(std::string_view name) const;
  bool allows_variable(std::string_view name) const;

private:
  Problem socket(std::string_view path) const;
  bool is_own_port(std::string_view port) const;

  const SiteInput& m_in;
  std::string m_slug, m_log_dir, m_cache_dir;
  std::vector<std::string> m_readable; // directories
};

// Where the host's name is in "http://NAME:PORT/path", "NAME:PORT", "NAME"; length 0: it has
// none ("unix:...").
struct Place {
  size_t at = 0, length = 0;
};
Place host_in(std::string_view target);

} // namespace chillbox::nginx
