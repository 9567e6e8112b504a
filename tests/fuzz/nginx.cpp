// A site's own NGINX text: read, checked against what a site may say, written again.
#include "nginx/nginx.hpp"
#include "base/text.hpp"
#include "fuzz.hpp"
#include "nginx/syntax.hpp"

#include <algorithm>

using namespace chillbox;
using namespace chillbox::nginx;
using fuzz::claim;

namespace {

bool is_inside(std::string_view path, std::initializer_list<std::string_view> dirs) {
  return path.find("..") == std::string_view::npos &&
      std::ranges::any_of(dirs, [&](auto dir) { return path.starts_with(dir); });
}

// The site's certificate, where to listen without one, what every upstream has, and what is
// counted. counted.
bool is_of_the_agent(std::string_view file) {
  return file == "/var/lib/chillbox/certs/blog.con[f]" ||
      file == "/var/lib/chillbox/certs/blog.listen.con[f]" ||
      file == "/var/lib/chillbox/certs/blog.wildcard.con[f]" ||
      file == "/var/lib/chillbox/nginx/upstream.con[f]" ||
      file == "/run/chillbox/counts/blog.con[f]";
}

// What a text that was let through has, whatever the check thought of it.
void try_accepted(const std::vector<Node>& nodes) {
  for (const auto& node : nodes) {
    const auto& name = node.words[0];
    const std::string_view value =
        node.words.size() > 1 ? std::string_view(node.words[1]) : std::string_view();
    claim(name != "load_module" && name != "resolver" && !name.ends_with("_temp_path") &&
            !name.starts_with("perl"),
        "not for sites");
    if (name == "include")
      claim(is_of_the_agent(value), "includes of the agent's");
    if (name == "root" || name == "alias")
      claim(is_inside(value,
                {"/srv/chillbox/blog/", "/srv/blog", "/usr/local/src/blog", "/var/lib/blog/",
                    "/var/lib/chillbox/acme"}),
          "files of its own");
    if (name == "access_log" || name == "error_log")
      claim(value == "off" || value == "/dev/null" || is_inside(value, {"/var/log/nginx/blog/"}),
          "logs of its own, and the agent's");
    if (name == "server_name")
      claim(std::all_of(node.words.begin() + 1, node.words.end(),
                [](const auto& n) { return n.size() >= 11 && (n.back() | 0x20) == 'g'; }),
          "names of its own");
    if (name == "upstream" && node.block)
      claim(value.ends_with(".blog.chillbox.invalid"), "upstreams of its own");
    try_accepted(node.inside);
  }
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const bool ready = (init_crypto(), true);
  claim(ready, "libsodium");
  const std::string_view text = fuzz::text(data, size);
  if (const auto nodes = parse(text)) {
    const auto again = parse(write(*nodes));
    claim(again && *again == *nodes, "what is written is read as the same words");
  } else {
    fuzz::claim_printable(nodes.error());
  }
  static const auto slug = SiteName::parse("blog").value();
  static const config::HostConfig host;
  config::Site site{slug};
  site.server_name = "example.org";
  site.domains = {site.server_name};
  SiteInput in{.site = &site,
      .host = &host,
      .upstreams = {Upstream{.service = ServiceName::parse("web").value(),
          .front = true,
          .socket = "/run/chillbox/live/blog/web.sock",
          .port = 20001}},
      .paths = os::Paths{}};
  in.ipv6 = true;
  in.templates = {{"blog.nginx.conf.template", std::string(text)}};
  if (const auto out = render_site(in)) {
    const auto nodes = parse(*out);
    claim(nodes.has_value(), "what is let through can be read");
    try_accepted(*nodes);
    (void)served_names(*out);
  } else {
    fuzz::claim_printable(out.error());
  }
  return 0;
}
