#include "notices/target.hpp"

#include "base/names.hpp"
#include "config/kind.hpp"
#include "config/toml.hpp"
#include "crypto/hash.hpp"
#include "os/disk.hpp"
#include "os/root_owned.hpp"

#include <sys/stat.h>

#include <algorithm>

namespace chillbox::notices {
namespace {

using config::Choice;
using config::each;
using config::into;
using config::Location;
using config::Table;
using config::Text;
using config::TextRule;

constexpr std::string_view k_suffix = ".toml";

// An event by its name, or all of a family.
bool fits(std::string_view pattern, std::string_view event) {
  if (pattern.ends_with('*'))
    return event.starts_with(pattern.substr(0, pattern.size() - 1));
  return pattern == event;
}
bool is_event(std::string_view pattern) {
  const auto all = control::notice_events();
  return (!pattern.contains('*') || pattern == "*" || pattern.ends_with(".*")) &&
      std::ranges::any_of(all, [&](const auto& event) { return fits(pattern, event.name); });
}
bool is_site(std::string_view text) {
  return SiteName::parse(text).has_value();
}

const TextRule k_kind{"the name of a hook in hooks/notify", 32, config::is_kind_name};
const TextRule k_event{"an event of chillboxd.toml(5), FAMILY.* or *", 60, is_event};
const TextRule k_site_name{"the name of a site", 31, is_site};

void read_settings(const Location& at, const Json& json, Target& target) {
  if (!json.is_object())
    return at.problem("must be a table of names and strings");
  for (const auto& [name, value] : json.items()) {
    const Location here = at / printable(name, 40);
    if (!is_setting_name(name))
      here.problem("must be a lower-case letter, then lower-case letters, digits and '_'");
    else if (!value.is_string() || !is_setting_value(value.get_ref<const std::string&>()))
      here.problem("must be a string of 1 to 4,096 bytes on one line");
    else
      target.settings[name] = value.get<std::string>();
  }
}

const Table<Target>& table() {
  static const Table<Target> k_table{{"kind", into(&Target::kind, Text{k_kind}), true},
      {"events", each(&Target::events, 50, Text{k_event})},
      {"sites", each(&Target::sites, 100, Text{k_site_name})},
      {"severity", into(&Target::severity, Choice{{"info", "warning", "error"}})},
      {"body", into(&Target::body, Choice{{"json", "text"}})}, {"settings", read_settings}};
  return k_table;
}

std::string toml_text(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\')
      out += '\\';
    out += c;
  }
  return out + "\"";
}

std::string toml_text(const std::vector<std::string>& all) {
  std::vector<std::string> words;
  for (const auto& one : all)
    words.push_back(toml_text(std::string_view(one)));
  return cat("[", join(words, ", "), "]");
}

} // namespace

bool is_setting_name(std::string_view name) {
  return !name.empty() && name.size() <= 32 && name[0] >= 'a' && name[0] <= 'z' &&
      name.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789_") == std::string_view::npos;
}

bool is_setting_value(std::string_view value) {
  constexpr size_t k_longest = 4096;
  return !value.empty() && value.size() <= k_longest && is_utf8(value) &&
      std::ranges::none_of(value, [](unsigned char c) { return c < ' ' || c == 0x7f; });
}

Result<Target> parse_target(std::string_view toml, const std::string& name) {
  if (toml.size() > k_max_target_file)
    return fail(
        Code::too_large, cat(name, ": ", toml.size(), " bytes, the limit is ", k_max_target_file));
  config::Lines lines;
  const std::string file = name + ".toml";
  const Json json = TRY(config::parse_toml(toml, file, lines));
  config::Problems problems(file, &lines);
  Target target;
  target.name = TRY(parse_key_name(name));
  config::read_object({problems, ""}, json, table(), target);
  if (!problems.empty())
    return problems.error();
  return target;
}

std::string target_text(const Target& t) {
  std::string text = cat("kind = ", toml_text(t.kind), "\n");
  if (!t.events.empty())
    text += cat("events = ", toml_text(t.events), "\n");
  if (!t.sites.empty())
    text += cat("sites = ", toml_text(t.sites), "\n");
  if (t.severity != "info")
    text += cat("severity = ", toml_text(t.severity), "\n");
  if (!t.body.empty())
    text += cat("body = ", toml_text(t.body), "\n");
  text += "\n[settings]\n";
  for (const auto& [name, value] : t.settings)
    text += cat(name, " = ", toml_text(value), "\n");
  return text;
}

bool Target::wants(const control::Notice& notice) const {
  const auto& rank = control::severity_rank;
  return (events.empty() ||
             std::ranges::any_of(
                 events, [&](const auto& pattern) { return fits(pattern, notice.event); })) &&
      (sites.empty() || std::ranges::find(sites, notice.site) != sites.end()) &&
      rank(notice.severity).value_or(2) >= rank(severity).value_or(0) &&
      (notice.event != "notify.exhausted" || notice.subject != name); // it would not come either
}

std::string targets_dir(const os::Paths& paths) {
  return paths.etc() + "/notify";
}

std::string target_path(const os::Paths& paths, const std::string& name) {
  return cat(targets_dir(paths), "/", name, k_suffix);
}

Result<Target> read_target(const os::Paths& paths, const std::string& name) {
  const std::string path = target_path(paths, TRY(parse_key_name(name)));
  TRY(os::check_root_owned(path));
  struct stat info{};
  if (::stat(path.c_str(), &info) == 0 && (info.st_mode & 077) != 0)
    return fail(Code::denied, cat(path, ": others can read it: chmod it to 0600"));
  std::string text = TRY(os::real_disk().read(path, k_max_target_file));
  auto target = TRY_IN(targets_dir(paths), parse_target(text, name));
  target.digest = crypto::sha256_of(bytes_of(text)).str();
  wipe(text.data(), text.size());
  return target;
}

TargetFiles read_targets(const os::Paths& paths) {
  TargetFiles files;
  for (const auto& file :
      os::real_disk().list(targets_dir(paths)).value_or(std::vector<std::string>{})) {
    if (!file.ends_with(k_suffix) || file.starts_with('.'))
      continue;
    const std::string name = file.substr(0, file.size() - k_suffix.size());
    if (auto target = read_target(paths, name))
      files.targets.push_back(std::move(*target));
    else
      files.faults.emplace_back(printable(name, 64), std::move(target).error());
  }
  return files;
}

} // namespace chillbox::notices
