#include "nginx/kept_look.hpp"

#include "base/text.hpp"
#include "os/file_stamp.hpp"
#include "os/root_owned.hpp"

#include <sys/stat.h>

#include <array>
#include <set>
#include <utility>

namespace chillbox::nginx {
namespace {

constexpr std::string_view k_look_name = "nginx-look", k_look_head = "chillbox nginx look 1";
constexpr size_t k_max_look = 64 * 1024 * 1024;

// NGINX itself; users and groups; names; libraries (the last is Alpine's).
constexpr std::array<const char*, 9> k_read_anyway{"/usr/local/sbin/nginx", "/usr/sbin/nginx",
    "/usr/bin/nginx", "/etc/passwd", "/etc/group", "/etc/hosts", "/etc/resolv.conf",
    "/etc/ld.so.cache", "/lib/apk/db/installed"};
// Where a relative path may lead, besides the directory of nginx.conf.
constexpr std::array<const char*, 4> k_look_prefixes{
    "/usr/share/nginx", "/var/lib/nginx", "/usr/lib/nginx", "/usr/local/nginx"};
// Of its logs and temporary files, whatever is configured.
constexpr std::array<const char*, 3> k_written_anyway{
    "/var/log/nginx", "/var/lib/nginx", "/var/cache/nginx"};

// What decides about a path: all of the file that it leads to, the link itself, or only which
// directory it is, as what NGINX writes to changes by itself.
enum class Part : char { whole = 'w', link = 'l', place = 'p' };

os::FileStamp stamp_of(const std::string& path, Part part) {
  constexpr int64_t k_second_ns = 1'000'000'000;
  if (part == Part::whole)
    return os::FileStamp::of(path);
  struct stat st{};
  if ((part == Part::link ? ::lstat(path.c_str(), &st) : ::stat(path.c_str(), &st)) != 0)
    return {};
  if (part == Part::place)
    return {.device = st.st_dev, .inode = st.st_ino};
  return {.device = st.st_dev,
      .inode = st.st_ino,
      .changed_ns = st.st_ctim.tv_sec * k_second_ns + st.st_ctim.tv_nsec};
}

bool is_regular(const std::string& path) {
  struct stat st{};
  return ::stat(path.c_str(), &st) == 0 && S_ISREG(st.st_mode);
}
bool is_link(const std::string& path) {
  struct stat st{};
  return ::lstat(path.c_str(), &st) == 0 && S_ISLNK(st.st_mode);
}

std::string directory_of(std::string_view path) {
  return std::string(path.substr(0, path.rfind('/')));
}

// "SITE.con[f]" includes that one file, if it exists.
std::string without_one_of_one(std::string pattern) {
  for (size_t at = pattern.find('['); at != std::string::npos; at = pattern.find('[', at + 1))
    if (at + 2 < pattern.size() && pattern[at + 2] == ']')
      pattern.replace(at, 3, 1, pattern[at + 1]);
  return pattern;
}

bool is_written_to(std::string_view name) {
  return name == "access_log" || name == "error_log" || name == "pid" || name == "lock_file" ||
      name.ends_with("_temp_path") || name.ends_with("_cache_path");
}

// All that decides about what NGINX printed.
class Deciding {
public:
  explicit Deciding(const Printed& printed)
      : m_home(printed.files.empty() ? "" : directory_of(printed.files.front())) {
    m_known = !m_home.empty();
    for (const auto& file : printed.files)
      add_read(file);
    for (const auto& d : printed.directives)
      if (d.words.size() > 1 && d.words[0] == "include")
        add_include(d.words[1]);
      else if (d.words.size() > 1 && is_written_to(d.words[0]))
        add_written(d.words[1]);
    for (const auto& word : printed.named)
      if (!m_written.contains(word))
        add_named(word);
    for (const char* path : k_read_anyway)
      m_parts.emplace(path, Part::whole);
    for (const char* path : k_written_anyway)
      m_parts.emplace(path, Part::place);
  }
  bool known() const { return m_known; }
  const std::set<std::pair<std::string, Part>>& parts() const { return m_parts; }

private:
  void add_whole(const std::string& path) {
    m_parts.emplace(path, Part::whole);
    if (is_link(path))
      m_parts.emplace(path, Part::link);
  }
  // It is gone already: nobody knows what it was.
  void add_read(const std::string& file) {
    m_known = m_known && is_regular(file);
    add_whole(file);
  }
  void add_include(std::string_view word) {
    const std::string path =
        without_one_of_one(word.starts_with('/') ? std::string(word) : cat(m_home, "/", word));
    const auto wild = path.find_first_of("*?[");
    if (wild == std::string::npos)
      return add_whole(path);
    const std::string dir = directory_of(path);
    m_known = m_known && wild > dir.size(); // of directories that are looked for it keeps nothing
    add_whole(dir);
  }
  void add_written(const std::string& word) {
    m_written.insert(word);
    if (word.starts_with('/'))
      m_parts.emplace(directory_of(word), Part::place);
  }
  void add_named(const std::string& word) {
    for (const auto& path : places_of(word))
      if (is_regular(path))
        add_whole(path);
  }
  std::vector<std::string> places_of(const std::string& word) const {
    if (word.starts_with('/'))
      return {word};
    std::vector<std::string> places{cat(m_home, "/", word)};
    for (const char* prefix : k_look_prefixes)
      places.push_back(cat(prefix, "/", word));
    return places;
  }

  std::string m_home; // of relative paths
  bool m_known = true;
  std::set<std::string> m_written; // logs and the like
  std::set<std::pair<std::string, Part>> m_parts;
};

// "5:hello\n", so that any word can be in it.
void put(std::string& out, std::string_view field) {
  out += cat(field.size(), ":", field, "\n");
}
void put(std::string& out, uint64_t number) {
  put(out, std::to_string(number));
}

class Fields {
public:
  explicit Fields(std::string_view text) : m_rest(text) {}
  std::string_view text() {
    const auto colon = m_rest.find(':');
    const auto size = parse_u64(m_rest.substr(0, colon));
    if (!size || colon == std::string_view::npos || m_rest.size() - colon - 1 <= *size) {
      m_well = false;
      return {};
    }
    const auto field = m_rest.substr(colon + 1, static_cast<size_t>(*size));
    m_rest.remove_prefix(colon + 1 + field.size() + 1);
    return field;
  }
  uint64_t number() {
    const auto number = parse_u64(text());
    m_well = m_well && number;
    return number.value_or(0);
  }
  bool well() const { return m_well; }

private:
  std::string_view m_rest;
  bool m_well = true;
};

std::array<uint64_t, 5> numbers_of(const os::FileStamp& s) {
  return {s.device, s.inode, s.size, static_cast<uint64_t>(s.changed_ns),
      static_cast<uint64_t>(s.written_ns)};
}

bool is_unchanged(Fields& fields) {
  for (uint64_t left = fields.number(); fields.well() && left > 0; --left) {
    const auto part = fields.text();
    const std::string path(fields.text());
    if (!fields.well() || part.size() != 1)
      return false;
    for (const uint64_t now : numbers_of(stamp_of(path, static_cast<Part>(part[0]))))
      if (fields.number() != now)
        return false;
  }
  return fields.well();
}

} // namespace

std::string look_file(const os::Paths& paths) {
  return cat(paths.run(), "/", k_look_name);
}

std::optional<Look> kept_look(os::Disk& disk, const os::Paths& paths) {
  if (!os::check_root_owned(paths.run(), k_look_name))
    return std::nullopt;
  const auto text = disk.read(look_file(paths), k_max_look);
  if (!text)
    return std::nullopt;
  Fields fields(*text);
  if (fields.text() != k_look_head)
    return std::nullopt;
  Look look{.at_ms = static_cast<int64_t>(fields.number()), .directives = {}};
  if (!is_unchanged(fields))
    return std::nullopt;
  for (uint64_t left = fields.number(); fields.well() && left > 0; --left) {
    Directive d{
        .file = std::string(fields.text()), .block = std::string(fields.text()), .words = {}};
    for (uint64_t words = fields.number(); fields.well() && words > 0; --words)
      d.words.emplace_back(fields.text());
    look.directives.push_back(std::move(d));
  }
  return fields.well() ? std::optional(std::move(look)) : std::nullopt;
}

void keep_look(os::Disk& disk, const os::Paths& paths, int64_t asked_ms, const Printed& printed) {
  const Deciding deciding(printed);
  bool is_known = deciding.known();
  std::string text;
  put(text, k_look_head);
  put(text, static_cast<uint64_t>(asked_ms));
  put(text, deciding.parts().size());
  for (const auto& [path, part] : deciding.parts()) {
    const auto stamp = stamp_of(path, part);
    is_known = is_known && (part == Part::place || stamp.is_settled(asked_ms * 1'000'000));
    put(text, std::string_view(reinterpret_cast<const char*>(&part), 1));
    put(text, path);
    for (const uint64_t number : numbers_of(stamp))
      put(text, number);
  }
  put(text, printed.directives.size());
  for (const auto& d : printed.directives) {
    put(text, d.file);
    put(text, d.block);
    put(text, d.words.size());
    for (const auto& word : d.words)
      put(text, word);
  }
  if (is_known)
    (void)disk.write(look_file(paths), text, 0600); // without it NGINX is asked again
  else
    (void)disk.remove(look_file(paths));
}

} // namespace chillbox::nginx
