// What must not be in a release by accident: see check_contents().
#include "base/fd.hpp"
#include "base/text.hpp"
#include "cli/pack/private_keys.hpp"
#include "cli/pack/site_folder.hpp"
#include "config/service.hpp"
#include "os/io.hpp"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <filesystem>
#include <set>

namespace chillbox::cli {
namespace {

constexpr size_t k_named = 5; // files in one message

// "a, b (and 3 more)"
std::string some_of(const std::vector<std::string>& all) {
  std::vector<std::string> first(
      all.begin(), all.begin() + static_cast<ptrdiff_t>(std::min(all.size(), k_named)));
  return cat(
      join(first, ", "), all.size() > k_named ? cat(" (and ", all.size() - k_named, " more)") : "");
}

bool is_brought(const SiteFolder& folder, std::string_view path) {
  return std::ranges::any_of(folder.site.services, [&](const config::Service& service) {
    return is_collected(folder, service) && path.starts_with(below(service, "dep/"));
  });
}

// The first bytes of a file, in a buffer that the next call uses again.
Result<std::string_view> head_of(const std::string& path, std::string& buffer, size_t& size) {
  const Fd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
  struct stat st{};
  if (!file || ::fstat(file.get(), &st) != 0)
    return fail_errno(cat("read ", printable(path, 1024)), errno);
  buffer.resize(k_key_bytes);
  const ssize_t have = os::read_fully(file.get(), buffer.data(), buffer.size());
  if (have < 0)
    return fail_errno(cat("read ", printable(path, 1024)), errno);
  size = static_cast<size_t>(st.st_size);
  return std::string_view(buffer).substr(0, static_cast<size_t>(have));
}

// A file that NGINX reads for visitors, but for none whose name begins with '.'
// (nginx/site_locations.cpp). What only keeps a folder is not meant for them.
bool is_never_served(const SiteFolder& folder, std::string_view path) {
  const auto name = path.substr(path.rfind('/') + 1);
  if (!name.starts_with('.') || name == ".gitkeep" || name == ".keep" || name == ".gitignore")
    return false;
  if (path.starts_with("nginx/root/"))
    return true;
  return std::ranges::any_of(folder.site.services, [&](const config::Service& service) {
    const config::Kind& kind = folder.kind_of(service);
    return service.of.empty() && kind.listens == config::Kind::Listens::no && !kind.builds &&
        std::ranges::any_of(kind.published, [&](const std::string& published) {
          return path.starts_with(below(service, published == "." ? "" : published + "/"));
        });
  });
}

bool is_ignored_template(std::string_view path) {
  return path.starts_with("nginx/templates/") && !path.ends_with(".nginx.conf.template");
}

// What would be in Flask's instance folder, unless that is a package.
std::vector<std::string> instance_files(
    const SiteFolder& folder, const std::vector<artifact::PackEntry>& entries) {
  std::vector<std::string> files;
  for (const config::Service& service : folder.site.services) {
    if (!service.of.empty() || folder.kind_of(service).language != "python")
      continue;
    for (const std::string at : {"/instance/", "/src/instance/"}) {
      const std::string top = cat(folder.site.slug.str(), "/", service.name.str(), at);
      const auto named = [&](const auto& entry) { return entry.name == top + "__init__.py"; };
      if (std::ranges::none_of(entries, named))
        for (const auto& entry : entries)
          if (entry.name.starts_with(top) && !entry.directory && !entry.source.empty())
            files.push_back(printable(entry.source.substr(folder.dir.size() + 1), 200));
    }
  }
  return files;
}

// A wheel whose name has more than the parts of one, as a browser's second download: "" or a
// warning.
std::string misnamed_wheel(std::string_view path) {
  constexpr std::string_view k_end = ".whl";
  const auto name = path.substr(path.rfind('/') + 1);
  const auto stray = std::ranges::find_if(name, [](char c) {
    return std::isalnum(static_cast<unsigned char>(c)) == 0 &&
        !std::string_view("_.-+!").contains(c);
  });
  if (!name.ends_with(k_end) || stray == name.end())
    return {};
  return cat("'", printable(path, 200),
      "' is not named like a wheel, and pip does not take it: ", "rename it to ",
      std::string(name.begin(), stray), k_end);
}

// Links to what is not packed. What is behind another link is not followed.
std::vector<std::string> broken_links(const std::vector<artifact::PackEntry>& entries) {
  std::set<std::string> names, links;
  for (const auto& entry : entries) {
    (entry.link_target.empty() ? names : links).insert(entry.name);
    for (auto at = entry.name.rfind('/'); at != std::string::npos && at > 0;
        at = entry.name.rfind('/', at - 1))
      names.insert(entry.name.substr(0, at));
  }
  std::vector<std::string> broken;
  for (const auto& entry : entries) {
    if (entry.link_target.empty() || entry.link_target.starts_with('/'))
      continue;
    const auto way = std::filesystem::path(entry.name).parent_path() / entry.link_target;
    std::string target = way.lexically_normal().string();
    while (target.ends_with('/'))
      target.pop_back();
    bool through = links.contains(target);
    for (size_t at = 0; (at = target.find('/', at + 1)) != std::string::npos;)
      through |= links.contains(target.substr(0, at));
    if (!through && !names.contains(target))
      broken.push_back(printable(
          cat(entry.name.substr(entry.name.find('/') + 1), " -> ", entry.link_target), 300));
  }
  return broken;
}

// The host has no such folder then, and refuses the release. What a Makefile makes is not there
// yet.
Result<void> check_not_empty(
    const SiteFolder& folder, const std::vector<artifact::PackEntry>& entries) {
  for (const config::Service& service : folder.site.services) {
    const std::string& name = service.name.str();
    if (!service.of.empty() || is_made(folder, service))
      continue;
    const auto has = [&](const std::string& in) {
      const std::string prefix = cat(folder.site.slug.str(), "/", in, name, "/");
      return std::ranges::any_of(
          entries, [&](const auto& entry) { return entry.name.starts_with(prefix); });
    };
    if (!has("") && !(folder.kind_of(service).hashed && has("immutable/")))
      return fail(Code::invalid,
          cat("service '", name, "': there is no file in ",
              service.handler == "." ? "the folder" : cat(printable(service.handler, 200), "/"),
              " to pack: it is empty, or .chillboxignore leaves out all of it"));
  }
  return {};
}

} // namespace

Result<std::vector<std::string>> check_contents(
    const SiteFolder& folder, const std::vector<artifact::PackEntry>& entries) {
  TRY(check_not_empty(folder, entries));
  std::vector<std::string> keys, likely, hidden, ignored, wheels;
  std::string buffer;
  for (const auto& entry : entries) {
    if (entry.source.empty() || entry.directory || !entry.link_target.empty())
      continue;
    const std::string path = entry.source.substr(folder.dir.size() + 1);
    if (is_never_served(folder, path))
      hidden.push_back(printable(path, 200));
    if (auto misnamed = misnamed_wheel(path); !misnamed.empty())
      wheels.push_back(std::move(misnamed));
    if (is_ignored_template(path))
      ignored.push_back(printable(path, 200));
    if (is_brought(folder, path) || folder.ignore.takes_back(path, false))
      continue;
    size_t size = 0;
    const auto head = TRY(head_of(entry.source, buffer, size));
    if (const auto what = private_key_in(head, size); !what.empty())
      keys.push_back(cat("'", printable(path, 200), "' holds ", what));
    else if (const auto guess = likely_private(path.substr(path.rfind('/') + 1), head);
        !guess.empty())
      likely.push_back(cat("'", printable(path, 200), "' is ", guess));
  }
  if (!keys.empty())
    return fail(Code::denied,
        cat(some_of(keys),
            ": a release is no place for it. Move it out of the site's folder; what a service needs at run time goes into the secret set (chillboxctl secrets pack). A line such as '!",
            keys.front().substr(1, keys.front().find('\'', 1) - 1),
            "' in .chillboxignore takes it nevertheless"));
  std::vector<std::string> warnings;
  if (!likely.empty())
    warnings.push_back(cat(some_of(likely),
        ": it goes into the release, and a static service shows it to everybody; .chillboxignore leaves files out"));
  if (!hidden.empty())
    warnings.push_back(cat(some_of(hidden),
        ": visitors get 404 for files whose names begin with '.'; .chillboxignore leaves files out"));
  if (const auto broken = broken_links(entries); !broken.empty())
    warnings.push_back(cat(some_of(broken),
        ": leads nowhere on the host, because the file is not packed: bring it in the service's folder"));
  if (const auto files = instance_files(folder, entries); !files.empty())
    warnings.push_back(cat(some_of(files),
        ": Flask's instance folder is the service's data only if the release has none; nothing can be written to what is packed. .chillboxignore leaves files out"));
  if (!ignored.empty())
    warnings.push_back(
        cat(some_of(ignored), ": not read: a template is named NAME.nginx.conf.template"));
  if (!wheels.empty())
    warnings.push_back(some_of(wheels));
  for (const auto& line : config::site_warnings(folder.site, folder.kinds.known()))
    warnings.push_back(line);
  return warnings;
}

} // namespace chillbox::cli
