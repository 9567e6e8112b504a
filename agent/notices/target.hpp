// Who is told of notices: /etc/chillbox/notify/NAME.toml (chillboxd.toml(5)), root's alone. Its
// settings are for the hook that delivers; which it needs, only the hook knows.
#pragma once

#include "base/error.hpp"
#include "control/notices.hpp"
#include "os/paths.hpp"

#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace chillbox::notices {

struct Target {
  std::string name;
  std::string kind;                // hooks/notify/KIND
  std::vector<std::string> events; // "service.crashed", "deploy.*", "*"; none: all
  std::vector<std::string> sites;  // none: all, and the host
  std::string severity = "info";   // and above
  std::string body;                // "json" or "text"; "": what the kind takes
  std::map<std::string, std::string> settings;
  std::string digest; // of the file

  bool wants(const control::Notice& notice) const;
  bool json() const { return body.empty() ? kind == "webhook" : body == "json"; }
};

inline constexpr size_t k_max_target_file = 64 * 1024;
// invalid with every problem, one a line. No value of a setting is in an error.
Result<Target> parse_target(std::string_view toml, const std::string& name);
std::string target_text(const Target& target);
// a lower-case letter, then lower-case letters, digits and '_'.
bool is_setting_name(std::string_view name);
// 1 to 4,096 bytes on one line: they go to the hook line by line.
bool is_setting_value(std::string_view value);

std::string targets_dir(const os::Paths& paths);
std::string target_path(const os::Paths& paths, const std::string& name);
// denied: somebody else than root could have written it, or can read it.
Result<Target> read_target(const os::Paths& paths, const std::string& name);
struct TargetFiles {
  std::vector<Target> targets;
  std::vector<std::pair<std::string, Error>> faults; // by the name of the target
};
TargetFiles read_targets(const os::Paths& paths);

} // namespace chillbox::notices
