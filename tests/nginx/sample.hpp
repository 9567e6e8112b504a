// A root in a directory of its own, an NGINX that is played, and a site as the renderer gets it.
#pragma once

#include "catch.hpp"

#include "base/text.hpp"
#include "nginx/nginx.hpp"

#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <mutex>
#include <string>
#include <vector>

namespace chillbox::nginx {

namespace fs = std::filesystem;

inline void put(const std::string& path, std::string_view text) {
  fs::create_directories(fs::path(path).parent_path());
  std::ofstream(path) << text;
}

inline std::string get(const std::string& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

struct Root {
  Root() {
    std::string pattern = (fs::temp_directory_path() / "chillbox-nginx-XXXXXX").string();
    path = ::mkdtemp(pattern.data());
  }
  Root(const Root&) = delete;
  Root& operator=(const Root&) = delete;
  ~Root() { fs::remove_all(path); }
  std::string at(const std::string& name) const { return path + name; }
  std::string path;
};

// Answers as told, and looks at what it is given while it is "running".
struct FakeNginx final : os::Runner {
  Result<os::Exit> run(const os::Command& c) override {
    const std::scoped_lock lock(mutex);
    did.push_back(join(c.argv, " "));
    return answer(c);
  }
  std::mutex mutex;
  std::vector<std::string> did;
  std::function<Result<os::Exit>(const os::Command&)> answer = [](const os::Command&) {
    return os::Exit{0, 0, "", ""};
  };
};

inline SiteName name(const char* slug = "blog") {
  return SiteName::parse(slug).value();
}

struct Sample {
  config::Site site{name()};
  config::HostConfig host;
  Sample() {
    site.server_name = "example.org";
    site.domains = {"example.org"};
  }
  SiteInput input(std::vector<Upstream> upstreams = {web()}) const {
    SiteInput in{
        .site = &site, .host = &host, .upstreams = std::move(upstreams), .paths = os::Paths{}};
    in.ipv6 = true;
    return in;
  }
  static Upstream service(const char* called, const char* lang, uint16_t port = 0) {
    const std::string_view kind = lang;
    Upstream u{ServiceName::parse(called).value(), kind != "static" && kind != "immutable",
        kind == "immutable", {}, port};
    if (port == 0 && kind != "static" && kind != "immutable")
      u.socket = std::string("/run/chillbox/live/blog/") + called + ".sock";
    if (kind == "static")
      u.files = called;
    return u;
  }
  static Upstream web() { return service("web", "python"); }
};

inline bool has(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}
inline size_t count(const std::string& text, std::string_view part) {
  size_t n = 0;
  for (size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1))
    ++n;
  return n;
}

} // namespace chillbox::nginx
