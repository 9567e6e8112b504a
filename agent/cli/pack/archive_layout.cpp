// Which files of a site's folder go into the artifact, and under which names.
#include "base/text.hpp"
#include "cli/core/file_input.hpp"
#include "cli/pack/site_folder.hpp"

#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <filesystem>
#include <set>

namespace chillbox::cli {
namespace {

namespace fs = std::filesystem;

// Folders in the archive next to the services.
constexpr std::array<std::string_view, 3> k_shared{"nginx", "redis", "immutable"};

bool is_directory(const std::string& path) {
  struct stat st{};
  return ::stat(path.c_str(), &st) == 0 && S_ISDIR(st.st_mode);
}

// A relative path that stays below where it begins.
bool stays_below(std::string_view path) {
  if (path.empty() || path.starts_with('/'))
    return false;
  return std::ranges::none_of(split(path, '/'), [](std::string_view part) { return part == ".."; });
}

class Layer {
public:
  Layer(const SiteFolder& folder, const LayoutOptions& how)
      : m_folder(folder), m_how(how), m_slug(folder.site.slug.str()) {}

  Result<void> service(const config::Service& service);
  // path: below the site's folder; name: in the archive.
  Result<void> add(const std::string& path, const std::string& name);
  // invalid: a folder on the way to it, of those before a '/', is a link.
  Result<void> check_way(const std::string& path) const;
  std::vector<artifact::PackEntry> entries;
  LeftOut left_out;

private:
  std::string on_disk(const std::string& path) const { return cat(m_folder.dir, "/", path); }
  bool skips(const std::string& path, bool directory);
  Result<void> made(const config::Service& service);
  Result<void> whole(const std::string& prefix);
  Result<void> manifest(const config::Service& service, const std::string& prefix);
  void replace(const config::Service& service, const std::string& prefix);

  const SiteFolder& m_folder;
  const LayoutOptions& m_how;
  const std::string& m_slug;
  std::vector<std::string> m_left_out; // folders, by the kind of the service
};

// Virtual environments have any name, but always this file; they hold paths of one machine.
bool Layer::skips(const std::string& path, bool directory) {
  struct stat st{};
  const std::string name = path.substr(path.rfind('/') + 1);
  const bool of_tools = directory && !m_folder.ignore.takes_back(path, directory) &&
      (std::ranges::find(m_left_out, name) != m_left_out.end() ||
          ::stat(on_disk(path + "/pyvenv.cfg").c_str(), &st) == 0);
  if (!of_tools && !m_folder.ignore.leaves_out(path, directory))
    return false;
  ++left_out[cat(name, directory ? "/" : "")];
  return true;
}

// What a link on the way leads to may be outside of the site's folder. One at the end is packed as
// a link, and the host refuses it there if it leads out.
Result<void> Layer::check_way(const std::string& path) const {
  for (auto at = path.find('/'); at != std::string::npos; at = path.find('/', at + 1)) {
    struct stat st{};
    if (::lstat(on_disk(path.substr(0, at)).c_str(), &st) == 0 && S_ISLNK(st.st_mode))
      return fail(Code::invalid,
          cat("'", printable(path, 1024), "': '", printable(path.substr(0, at), 1024),
              "' is a link, and what it leads to is not packed: name the folder itself"));
  }
  return {};
}

Result<void> Layer::add(const std::string& path, const std::string& name) {
  const std::string source = on_disk(path);
  struct stat st{};
  TRY(check_way(path));
  if (::lstat(source.c_str(), &st) != 0)
    return fail_errno(cat("read ", printable(source, 1024)), errno);
  if (m_folder.ignore.leaves_out_whole(path, S_ISDIR(st.st_mode)))
    return fail(Code::conflict,
        cat("'", printable(path, 1024), "' is to be taken, but is left out: a line '!",
            printable(path, 1024), "' in .chillboxignore takes it back"));
  if (S_ISDIR(st.st_mode)) {
    const auto skip = [&](const std::string& below, bool directory) {
      return skips(cat(path, "/", below), directory);
    };
    for (auto& entry : TRY(artifact::folder_entries(source, name, skip)))
      entries.push_back(std::move(entry));
  } else if (S_ISLNK(st.st_mode)) {
    std::error_code error;
    entries.push_back({.name = name,
        .source = source,
        .content = {},
        .link_target = fs::read_symlink(source, error)});
  } else if (S_ISREG(st.st_mode)) {
    entries.push_back({.name = name,
        .source = source,
        .content = {},
        .executable = (st.st_mode & S_IXUSR) != 0,
        .link_target = {}});
  } else {
    return fail(
        Code::denied, cat(printable(source, 1024), ": is neither a file nor a folder nor a link"));
  }
  return {};
}

// The paths that the service's manifest lists, each once, below the service's folder.
Result<void> Layer::manifest(const config::Service& service, const std::string& prefix) {
  if (!stays_below(service.manifest))
    return fail(Code::invalid,
        cat("manifest '", printable(service.manifest), "' is not a path in ",
            printable(service.handler)));
  const auto begin = static_cast<std::ptrdiff_t>(entries.size());
  std::vector<std::string> taken;
  const std::string text =
      TRY_IN("manifest", read_text(on_disk(cat(service.handler, "/", service.manifest)), 1 << 20));
  auto lines = content_lines(text);
  if (lines.empty())
    return fail(Code::invalid,
        cat("manifest '", printable(service.manifest),
            "' lists nothing: write the service's files "
            "in it, one a line"));
  if (m_how.wheels && is_collected(m_folder, service) &&
      is_directory(on_disk(service.handler + "/dep")))
    lines.emplace_back("dep");
  for (const auto line : lines) {
    std::string path(line);
    while (path.ends_with('/'))
      path.pop_back();
    if (path.starts_with("./"))
      path.erase(0, 2);
    if (!stays_below(path))
      return fail(Code::invalid,
          cat("manifest: '", printable(line), "' is not a path in the service's folder"));
    if (path == "dep" && is_collected(m_folder, service) &&
        !is_directory(on_disk(service.handler + "/dep")))
      return fail(Code::not_found,
          cat("manifest: there are no wheels in ",
              printable(on_disk(service.handler + "/dep"), 1024), ": pack --wheels collects them"));
    if (std::ranges::find(taken, path) == taken.end())
      TRY_IN("manifest", add(below(service, path), cat(prefix, "/", path)));
    taken.push_back(std::move(path));
  }
  // A folder and a file in it may both be lines.
  std::ranges::sort(entries.begin() + begin, entries.end(), {}, &artifact::PackEntry::name);
  const auto [twice, end] =
      std::ranges::unique(entries.begin() + begin, entries.end(), {}, &artifact::PackEntry::name);
  entries.erase(twice, end);
  return {};
}

// The site's own folder, without what is not this service's: the site file and its like, folders of
// other services, secrets.
Result<void> Layer::whole(const std::string& prefix) {
  std::set<std::string> others{"chillbox.toml", ".chillboxignore", "secrets"};
  others.insert(k_shared.begin(), k_shared.end());
  for (const config::Service& service : m_folder.site.services)
    others.insert(service.handler.substr(0, service.handler.find('/')));
  std::set<std::string> names;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(m_folder.dir, error))
    if (const std::string name = entry.path().filename();
        !others.contains(name) && !name.ends_with(".site.json") && !name.ends_with(".site.toml"))
      names.insert(name);
  if (error)
    return fail_errno(cat("read ", printable(m_folder.dir, 1024)), error.value());
  for (const std::string& name : names) {
    struct stat st{};
    const bool directory = ::lstat(on_disk(name).c_str(), &st) == 0 && S_ISDIR(st.st_mode);
    if (!skips(name, directory))
      TRY(add(name, cat(prefix, "/", name)));
  }
  return {};
}

// What `collect` prints in place of the author's files.
void Layer::replace(const config::Service& service, const std::string& prefix) {
  const auto replaced = m_how.replaced.find(service.name.str());
  if (replaced == m_how.replaced.end())
    return;
  for (const auto& [path, text] : replaced->second) {
    const auto at = std::ranges::find(entries, cat(prefix, "/", path), &artifact::PackEntry::name);
    if (at == entries.end()) {
      if (text && service.manifest.empty())
        entries.push_back(
            {.name = cat(prefix, "/", path), .source = {}, .content = *text, .link_target = {}});
      continue;
    }
    if (text)
      *at = {.name = at->name, .source = {}, .content = *text, .link_target = {}};
    else
      entries.erase(at);
  }
}

Result<void> Layer::made(const config::Service& service) {
  const std::string dist = service.handler + "/dist";
  const auto hash = m_how.hashes.find(service.name.str());
  if (hash == m_how.hashes.end())
    return {}; // nothing was run: validate has no dist/
  if (!is_directory(on_disk(dist)))
    return fail(
        Code::not_found, cat(printable(on_disk(dist)), " does not exist: its Makefile makes it"));
  TRY(check_way(dist + "/"));
  return add(dist, cat(m_slug, "/immutable/", service.name.str(), "/", hash->second));
}

Result<void> Layer::service(const config::Service& service) {
  const std::string& name = service.name.str();
  if (!service.of.empty())
    return {}; // it runs in that service's folder
  if (std::ranges::find(k_shared, name) != k_shared.end())
    return fail(Code::preflight,
        cat("the archive has a folder '", name, "' of its own: give the service another name"));
  if (!stays_below(service.handler))
    return fail(Code::invalid,
        cat("handler '", printable(service.handler), "' is not a folder below ",
            printable(m_folder.dir)));
  if (m_folder.kind_of(service).hashed && is_directory(on_disk("immutable/" + name)))
    return {}; // built elsewhere and lying there already
  if (!is_directory(on_disk(service.handler)))
    return fail(Code::not_found,
        cat("its handler folder ", printable(on_disk(service.handler)), " does not exist"));
  TRY(check_way(service.handler + "/"));
  if (is_made(m_folder, service))
    return made(service);
  const std::string prefix = cat(m_slug, "/", name);
  m_left_out = m_folder.kind_of(service).left_out;
  TRY(!service.manifest.empty()    ? manifest(service, prefix)
          : service.handler == "." ? whole(prefix)
                                   : add(service.handler, prefix));
  replace(service, prefix);
  return {};
}

} // namespace

Result<std::vector<artifact::PackEntry>> archive_entries(const SiteFolder& folder,
    const std::string& site_json, const LayoutOptions& how, LeftOut* left_out) {
  const std::string& slug = folder.site.slug.str();
  Layer layer(folder, how);
  layer.entries.push_back({.name = cat(slug, "/", slug, ".site.json"),
      .source = {},
      .content = site_json,
      .link_target = {}});
  for (const config::Service& service : folder.site.services)
    TRY_IN(cat("service ", service.name.str()), layer.service(service));
  for (const std::string_view name : k_shared)
    if (const std::string shared(name); is_directory(cat(folder.dir, "/", shared))) {
      TRY(layer.check_way(shared + "/"));
      TRY(layer.add(shared, cat(slug, "/", shared)));
    }
  if (left_out != nullptr)
    *left_out = std::move(layer.left_out);
  return std::move(layer.entries);
}

} // namespace chillbox::cli
